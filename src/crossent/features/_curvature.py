"""Second derivatives of the loss in a linear layer's W and b, summed over rows.

A row of mass m contributes ``m (diag(p) - p p^T) (x) [u, c] [u, c]^T`` with p the probabilities of
the classes that have a row of W, u its features, and c what b is multiplied by.
"""

from __future__ import annotations

import numpy as np

from .._typing import Array

__all__ = ["add_class_curvature", "add_curvature"]


def add_curvature(total: Array, u: Array, p: Array, mass: Array, bias_scale: float | None) -> None:
    """Add rows to ``total`` (P, P): all of W row by row, and then b if it has a scale.

    The products p_k u give -p p^T, and diag(p) stands apart.
    """
    n, n_linear = u.shape[1], p.shape[1] * u.shape[1]
    root = np.sqrt(mass)[:, None]
    outer = (p[:, :, None] * u[:, None, :]).reshape(len(p), n_linear)
    if bias_scale is not None:
        outer = np.hstack([outer, p * bias_scale])
    outer *= root
    total -= outer.T @ outer
    for row in range(p.shape[1]):
        weighted = u * (mass * p[:, row])[:, None]
        own = slice(row * n, (row + 1) * n)
        total[own, own] += weighted.T @ u
        if bias_scale is not None:
            last = n_linear + row
            cross = bias_scale * weighted.sum(axis=0)
            total[own, last] += cross
            total[last, own] += cross
            total[last, last] += bias_scale**2 * float(mass @ p[:, row])


def add_class_curvature(total: Array, p: Array, mass: Array) -> None:
    """Add rows' ``m (diag(p) - p p^T)`` to ``total`` (R, R), or their diagonal to (R,)."""
    if total.ndim == 1:
        total += mass @ (p * (1.0 - p))
        return
    total[np.diag_indices(len(total))] += mass @ p
    rooted = p * np.sqrt(mass)[:, None]
    total -= rooted.T @ rooted
