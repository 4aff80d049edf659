"""The truth of softmax, log-softmax and logsumexp, and of their derivatives, row by row.

Every function takes rows (M, K) and returns a `Truth`. `entries` picks the classes to return, so
that a row of 100 003 classes costs one sum and a few quotients.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._numbers import Truth, dot, exact, exp, fate, mp, nans, settled, total, truth, zeros
from ._numbers import digits as digits_for

Entries = Any  # an index into the classes: slice or integer array
ALL = slice(None)


def _present(mask: np.ndarray | None, rows: np.ndarray) -> np.ndarray:
    return np.broadcast_to(True if mask is None else mask, rows.shape)


def _softmax_row(row: np.ndarray) -> np.ndarray:
    if fate(row) is not None:
        return nans(row.size)
    exponentials = exp(row)
    return exponentials / total(exponentials)


def softmax(rows: np.ndarray, mask: np.ndarray | None = None, entries: Entries = ALL) -> Truth:
    """exp(z_k) / sum_c exp(z_c) over the classes present; 0 at the others."""
    with mp.workdps(digits_for(rows)):
        out = zeros(*np.empty(rows.shape)[:, entries].shape)
        for i, (row, here) in enumerate(zip(exact(rows), _present(mask, rows), strict=True)):
            if not here.any():
                continue
            if fate(row[here]) is not None:
                out[i, here[entries]] = mp.nan
                continue
            exponentials = exp(row[entries])
            exponentials[~here[entries]] = mp.zero
            out[i] = exponentials / total(exp(row[here]))
        return truth(out)


def log_softmax(rows: np.ndarray, mask: np.ndarray | None = None, entries: Entries = ALL) -> Truth:
    """z_k - log sum_c exp(z_c) over the classes present; -inf at the others."""
    with mp.workdps(digits_for(rows)):
        out = np.full(np.empty(rows.shape)[:, entries].shape, -mp.inf, object)
        for i, (row, here) in enumerate(zip(exact(rows), _present(mask, rows), strict=True)):
            chosen = here[entries]
            if not here.any():
                continue
            if fate(row[here]) is not None:
                out[i, chosen] = mp.nan
            else:
                logits, lse = row[entries][chosen], mp.log(total(exp(row[here])))
                out[i, chosen] = settled(logits - lse, abs(lse))
        return truth(out)


def logsumexp(rows: np.ndarray, mask: np.ndarray | None = None) -> Truth:
    """log sum_c exp(z_c) over the classes present; -inf where none is."""
    with mp.workdps(digits_for(rows)):
        value, scale = zeros(rows.shape[0]), zeros(rows.shape[0])
        for i, (row, here) in enumerate(zip(exact(rows), _present(mask, rows), strict=True)):
            decided = fate(row[here])
            if decided is not None:
                value[i] = scale[i] = decided
                continue
            value[i] = mp.log(total(exp(row[here])))
            top = max(row[here])
            scale[i] = abs(top) + abs(value[i] - top)
        return truth(value, scale)


def softmax_vjp(probabilities: np.ndarray, cotangent: np.ndarray, entries: Entries = ALL) -> Truth:
    """p (g - <p, g>), which is also the JVP: the Jacobian is symmetric."""
    with mp.workdps(digits_for(cotangent)):
        p, g = exact(probabilities), exact(cotangent)
        value, scale = zeros(*p[:, entries].shape), zeros(*p[:, entries].shape)
        for i in range(p.shape[0]):
            chosen = p[i][entries]
            value[i] = chosen * (g[i][entries] - total(p[i] * g[i]))
            scale[i] = chosen * (abs(g[i][entries]) + total(p[i] * abs(g[i])))
        return truth(value, scale)


def log_softmax_vjp(log_probabilities: np.ndarray, cotangent: np.ndarray) -> Truth:
    """g - exp(q) sum(g)."""
    with mp.workdps(digits_for(log_probabilities)):
        p, g = exp(exact(log_probabilities)), exact(cotangent)
        value, scale = zeros(*p.shape), zeros(*p.shape)
        for i in range(p.shape[0]):
            value[i] = g[i] - p[i] * total(g[i])
            scale[i] = abs(g[i]) + p[i] * total(abs(g[i]))
        return truth(value, scale)


def log_softmax_jvp(log_probabilities: np.ndarray, tangent: np.ndarray) -> Truth:
    """v - <exp(q), v>."""
    with mp.workdps(digits_for(log_probabilities)):
        p, v = exp(exact(log_probabilities)), exact(tangent)
        value, scale = zeros(*p.shape), zeros(*p.shape)
        for i in range(p.shape[0]):
            value[i] = v[i] - total(p[i] * v[i])
            scale[i] = abs(v[i]) + total(p[i] * abs(v[i]))
        return truth(value, scale)


def logsumexp_vjp(rows: np.ndarray, cotangent: np.ndarray) -> Truth:
    """g_i softmax(z_i), for a cotangent (M,)."""
    with mp.workdps(digits_for(rows)):
        p = [_softmax_row(row) for row in exact(rows)]
        value = zeros(*rows.shape)
        for i, g in enumerate(exact(cotangent)):
            value[i] = g * p[i]
        return truth(value)


def logsumexp_jvp(rows: np.ndarray, tangent: np.ndarray) -> Truth:
    """<softmax(z_i), v_i>, of shape (M,)."""
    with mp.workdps(digits_for(rows)):
        value, scale = zeros(rows.shape[0]), zeros(rows.shape[0])
        for i, (row, v) in enumerate(zip(exact(rows), exact(tangent), strict=True)):
            p = _softmax_row(row)
            value[i], scale[i] = dot(p, v), dot(p, abs(v))
        return truth(value, scale)


def softmax_jacobian(probabilities: np.ndarray) -> Truth:
    """diag(p) - p p^T for each row: (M, K) to (M, K, K)."""
    with mp.workdps(digits_for(probabilities)):
        p = exact(probabilities)
        diagonal = np.eye(p.shape[1], dtype=int) * p[:, :, None]
        products = p[:, :, None] * p[:, None, :]
        return truth(diagonal - products, diagonal + products)


def log_softmax_jacobian(log_probabilities: np.ndarray) -> Truth:
    """I - 1 p^T for each row, whose entry (j, k) is [j = k] - p_k."""
    with mp.workdps(digits_for(log_probabilities)):
        p = exp(exact(log_probabilities))[:, None, :]
        identity = np.eye(p.shape[2], dtype=int)
        return truth(identity - p, identity + p)
