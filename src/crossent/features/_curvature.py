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

    The products p_k u give -p p^T, and diag(p) stands apart. The matrix products are of the dtype
    of u, which a BLAS sees to be symmetric: half the work.
    """
    (n_rows, n), n_classes = u.shape, p.shape[1]
    n_linear, dtype = n_classes * n, u.dtype
    outer = np.empty((n_rows, len(total)), dtype)
    rooted = (p * np.sqrt(mass)[:, None]).astype(dtype)
    by_class = outer[:, :n_linear].reshape(n_rows, n_classes, n)
    np.einsum("ik,is->iks", rooted, u, out=by_class)
    if bias_scale is not None:
        np.multiply(rooted, dtype.type(bias_scale), out=outer[:, n_linear:])
    total -= outer.T @ outer
    roots = np.sqrt(mass[:, None] * p).astype(dtype)
    for row in range(n_classes):
        weighted = u * roots[:, row, None]
        own = slice(row * n, (row + 1) * n)
        total[own, own] += weighted.T @ weighted
        if bias_scale is not None:
            last = n_linear + row
            cross = bias_scale * (roots[:, row] @ weighted)
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
