"""Long vectors, such as a solver's parameters: products and sums, in the library's own threads.

A BLAS's threads go on looking for work for a while after each call, which was found to halve the
speed of the kernels that follow. Float32 vectors, which stochastic steps have, are left to NumPy.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from . import _kernels
from ._typing import Array

__all__ = ["are_equal", "combined", "dot", "pieces", "products"]

_PIECE = 1 << 15
"""Numbers that are gone through at a time, so that what is made of them stays in a cache."""


def pieces(size: int, n_rows: int = 1) -> Iterator[slice]:
    """Pieces of a vector, or of the columns of so many rows, that a cache holds."""
    step = max(1, _PIECE // n_rows)
    return (slice(start, start + step) for start in range(0, size, step))


def products(rows: Array, vector: Array) -> Array:
    """Products (m,) of rows (m, P), float32 or float64, with a vector (P,)."""
    if vector.dtype == np.float32:
        return rows @ vector
    out = np.empty(len(rows))
    _kernels.vector_products(rows, vector, out)
    return out


def dot(a: Array, b: Array) -> float:
    """The product of two arrays of one size."""
    return float(products(a.reshape(1, -1), b.ravel())[0])


def combined(
    factor: float, vector: Array, weights: Array, rows: Array, out: Array | None = None
) -> tuple[Array, float]:
    """``factor vector + weights rows`` (P,), rounded once to what ``out`` is, and |of it|^2."""
    out = np.empty_like(vector) if out is None else out
    if vector.dtype == np.float32:
        np.add(factor * vector, weights @ rows, out=out, casting="same_kind")
        return out, float(out @ out)
    return out, _kernels.vector_sum(weights, rows, vector, factor, out)


def are_equal(a: Array, b: Array) -> bool:
    """Whether two points are one; that they are not most often shows at their beginning."""
    return np.array_equal(a[:_PIECE], b[:_PIECE]) and np.array_equal(a, b)
