"""Softmax, log-softmax, logsumexp and their derivatives."""

from __future__ import annotations

import numpy as np

from ..._typing import Array
from ._blocks import quiet, row_blocks, row_sum, shift, wide


@quiet
def softmax_rows(logits: Array, out: Array) -> None:
    """p_k = exp(z_k - a) / sum_c exp(z_c - a)."""
    for rows in row_blocks(*logits.shape):
        out[rows] = shift(wide(logits[rows])).probabilities


@quiet
def log_softmax_rows(logits: Array, out: Array) -> None:
    """q_k = (z_k - a) - log sum_c exp(z_c - a)."""
    for rows in row_blocks(*logits.shape):
        shifted = shift(wide(logits[rows]))
        out[rows] = shifted.differences - (shifted.log_sum - shifted.residuals)


@quiet
def logsumexp_rows(logits: Array, out: Array) -> None:
    """l = a + log sum_c exp(z_c - a)."""
    for rows in row_blocks(*logits.shape):
        out[rows] = shift(wide(logits[rows])).lse[:, 0]


@quiet
def softmax_vjp_rows(probabilities: Array, cotangent: Array, out: Array) -> None:
    """J^T g = p (g - <p, g>); J is symmetric, so this is the JVP too."""
    for rows in row_blocks(*probabilities.shape):
        p, g = wide(probabilities[rows]), wide(cotangent[rows])
        out[rows] = p * (g - row_sum(p * g))


@quiet
def log_softmax_vjp_rows(log_probabilities: Array, cotangent: Array, out: Array) -> None:
    """g - p sum(g), p = exp(q)."""
    for rows in row_blocks(*log_probabilities.shape):
        p, g = np.exp(wide(log_probabilities[rows])), wide(cotangent[rows])
        out[rows] = g - p * row_sum(g)


@quiet
def log_softmax_jvp_rows(log_probabilities: Array, tangent: Array, out: Array) -> None:
    """v - <p, v>, p = exp(q)."""
    for rows in row_blocks(*log_probabilities.shape):
        p, v = np.exp(wide(log_probabilities[rows])), wide(tangent[rows])
        out[rows] = v - row_sum(p * v)


@quiet
def logsumexp_vjp_rows(logits: Array, cotangent: Array, out: Array) -> None:
    """g p: the gradient of l is the softmax."""
    for rows in row_blocks(*logits.shape):
        p = shift(wide(logits[rows])).probabilities
        out[rows] = p * wide(cotangent[rows])[:, None]


@quiet
def logsumexp_jvp_rows(logits: Array, tangent: Array, out: Array) -> None:
    """<p, v>."""
    for rows in row_blocks(*logits.shape):
        p = shift(wide(logits[rows])).probabilities
        out[rows] = (p * wide(tangent[rows])).sum(axis=1)
