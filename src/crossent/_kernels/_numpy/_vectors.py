"""Long vectors: their products with rows of numbers, and sums of such rows."""

from __future__ import annotations

import numpy as np

from ..._typing import Array, Floating
from ._blocks import quiet, row_blocks

__all__ = ["vector_products", "vector_sum"]


@quiet
def vector_products(rows: Floating, vector: Array, out: Array) -> None:
    """``out = rows vector``, float64 (m,), of rows (m, P) and a vector float64 (P,)."""
    out[:] = 0.0
    for piece in row_blocks(len(vector), 1):
        out += rows[:, piece].astype(np.float64, copy=False) @ vector[piece]


@quiet
def vector_sum(
    weights: Array, rows: Floating, vector: Array, factor: float, out: Floating
) -> float:
    """``out = factor vector + weights rows`` (P,); returns the sum of its squares."""
    total = 0.0
    for piece in row_blocks(len(vector), 1):
        found = factor * vector[piece]
        found += weights @ rows[:, piece].astype(np.float64, copy=False)
        total += float(found @ found)
        out[piece] = found
    return total
