"""The formulas that everybody writes first, in the dtype of the logits: the yardstick of duty.

The maximum is subtracted and nothing more is done: log-softmax subtracts the logarithm of the whole
sum, the gradient is p - y, and 16-bit logits are added up in 16 bits. What goes wrong here is asked
of nobody; it is noted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..._typing import Array


def _shifted(rows: Array, mask: Array | None) -> tuple[Array, Array]:
    """(z - a, exp(z - a)) with what is masked at -inf."""
    z = rows if mask is None else np.where(mask, rows, -np.inf).astype(rows.dtype)
    shifted = z - z.max(axis=1, keepdims=True)
    return shifted, np.exp(shifted)


def _total(exponentials: Array) -> Array:
    return exponentials.sum(axis=1, dtype=exponentials.dtype, keepdims=True)


def softmax(rows: Array, mask: Array | None = None) -> Array:
    """exp(z - a) / sum."""
    _, e = _shifted(rows, mask)
    return e / _total(e)


def log_softmax(rows: Array, mask: Array | None = None) -> Array:
    """(z - a) - log(sum)."""
    shifted, e = _shifted(rows, mask)
    return shifted - np.log(_total(e))


def logsumexp(rows: Array, mask: Array | None = None) -> Array:
    """a + log(sum)."""
    z = rows if mask is None else np.where(mask, rows, -np.inf).astype(rows.dtype)
    _, e = _shifted(rows, mask)
    return z.max(axis=1) + np.log(_total(e))[:, 0]


def cross_entropy(
    rows: Array, target: Array, options: Mapping[str, Any]
) -> dict[str, Array] | None:
    """-<y, log-softmax> and s p - y, reduced; None with an option beyond the reduction."""
    if set(options) - {"reduction"}:
        return None
    y = target.astype(rows.dtype) if target.ndim == 2 else np.zeros_like(rows)
    if target.ndim == 1:
        y[np.arange(len(rows)), target] = 1
    q = log_softmax(rows)
    loss = -np.where(y > 0, y * q, 0).sum(axis=1)
    gradient = y.sum(axis=1, keepdims=True) * softmax(rows) - y
    reduction = options.get("reduction", "mean")
    if reduction != "none":
        n = len(rows) if reduction == "mean" else 1
        loss, gradient = np.atleast_1d(loss.sum() / n), gradient / n
    return {"loss": loss.astype(rows.dtype), "gradient": gradient.astype(rows.dtype)}


def linear_cross_entropy(
    inputs: Array,
    weight: Array,
    target: Array,
    bias: Array | None,
    options: Mapping[str, Any],
) -> dict[str, Array] | None:
    """Logits made whole, their loss, and two matrix products for the gradients."""
    logits = inputs @ weight.T + (0 if bias is None else bias)
    head = cross_entropy(logits.astype(inputs.dtype), target, options)
    if head is None:
        return None
    g = head["gradient"]
    return {"loss": head["loss"], "inputs": g @ weight, "weight": g.T @ inputs}
