"""Classes along the middle axis of (outer, K, inner): each matrix turned, then rows as ever."""

from __future__ import annotations

import numpy as np

from ..._arguments import LossOptions
from ..._typing import Array
from ._cross_entropy import cross_entropy_rows
from ._softmax import (
    log_softmax_rows,
    log_softmax_vjp_rows,
    logsumexp_rows,
    logsumexp_vjp_rows,
    softmax_rows,
    softmax_vjp_rows,
)


def softmax_columns(logits: Array, out: Array) -> None:
    """p = exp(z - a) / sum exp(z - a) down every column."""
    for z, result in zip(logits, out, strict=True):
        rows = np.ascontiguousarray(z.T)
        softmax_rows(rows, rows)
        result[...] = rows.T


def log_softmax_columns(logits: Array, out: Array) -> None:
    """q = (z - a) - log sum exp(z - a) down every column."""
    for z, result in zip(logits, out, strict=True):
        rows = np.ascontiguousarray(z.T)
        log_softmax_rows(rows, rows)
        result[...] = rows.T


def logsumexp_columns(logits: Array, out: Array) -> None:
    """l = a + log sum exp(z - a) of every column, as (outer * inner,)."""
    inner = logits.shape[2]
    for i, z in enumerate(logits):
        logsumexp_rows(np.ascontiguousarray(z.T), out[i * inner : (i + 1) * inner])


def softmax_vjp_columns(probabilities: Array, cotangent: Array, out: Array) -> None:
    """p (g - <p, g>) down every column."""
    for p, g, result in zip(probabilities, cotangent, out, strict=True):
        rows = np.ascontiguousarray(p.T)
        softmax_vjp_rows(rows, np.ascontiguousarray(g.T), rows)
        result[...] = rows.T


def log_softmax_vjp_columns(log_probabilities: Array, cotangent: Array, out: Array) -> None:
    """g - exp(q) sum g down every column."""
    for q, g, result in zip(log_probabilities, cotangent, out, strict=True):
        rows = np.ascontiguousarray(q.T)
        log_softmax_vjp_rows(rows, np.ascontiguousarray(g.T), rows)
        result[...] = rows.T


def logsumexp_vjp_columns(logits: Array, cotangent: Array, out: Array) -> None:
    """g p down every column; the cotangent is (outer * inner,)."""
    inner = logits.shape[2]
    for i, (z, result) in enumerate(zip(logits, out, strict=True)):
        rows = np.ascontiguousarray(z.T)
        logsumexp_vjp_rows(rows, cotangent[i * inner : (i + 1) * inner], rows)
        result[...] = rows.T


def cross_entropy_columns(
    logits: Array,
    labels: Array,
    row_weight: Array | None,
    gradient_factor: float,
    options: LossOptions,
    loss: Array | None,
    gradient: Array | None,
) -> float:
    """``cross_entropy_rows`` of every column; labels, weights and losses are (outer * inner,)."""
    total, inner = 0.0, logits.shape[2]
    for i, z in enumerate(logits):
        part = slice(i * inner, (i + 1) * inner)
        rows = np.ascontiguousarray(z.T)
        weight = None if row_weight is None else row_weight[part]
        losses = None if loss is None else loss[part]
        slopes = None if gradient is None else np.empty_like(rows)
        total += cross_entropy_rows(
            rows, labels[part], weight, gradient_factor, options, losses, slopes
        )
        if gradient is not None and slopes is not None:
            gradient[i] = slopes.T
    return total
