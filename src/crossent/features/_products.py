"""Sums over rows of features, dense (B, n) or sparse."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._sparse import is_sparse
from .._typing import Array

__all__ = ["centred_moments", "weighted_mean"]


def weighted_mean(phi: Any, mass: Array) -> Array:
    """sum_i m_i phi_i, float64 (n,)."""
    return np.asarray(phi.T @ mass if is_sparse(phi) else mass @ phi)


def centred_moments(phi: Any, mean: Array, mass: Array, *, full: bool) -> Array:
    """sum_i m_i (phi_i - mean)(phi_i - mean)^T, float64 (n, n), or its diagonal (n,)."""
    with np.errstate(over="ignore", invalid="ignore"):  # the caller refuses what is not finite
        if is_sparse(phi):
            parts = np.square(phi.data), phi.indices, phi.indptr
            squares = type(phi)(parts, shape=phi.shape, copy=False)
            sums = np.asarray(squares.T @ mass) + float(mass.sum()) * np.square(mean)
            return np.maximum(sums - 2.0 * mean * np.asarray(phi.T @ mass), 0.0)
        rows = phi - mean.astype(phi.dtype)
        if not full:
            return mass @ np.square(rows)
        rows *= np.sqrt(mass).astype(phi.dtype)[:, None]
        return rows.T @ rows  # which BLAS sees to be symmetric: half the work
