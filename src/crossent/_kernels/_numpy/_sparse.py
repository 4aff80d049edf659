"""Products with sparse rows, which are SciPy's; whoever has such rows has it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._typing import Array, Floating
from ._blocks import quiet

__all__ = ["sparse_logits_rows", "sparse_sums_rows", "turned_matrix"]


@quiet
def sparse_logits_rows(
    numbers: Floating,
    columns: Array,
    starts: Array,
    weight_t: Floating,
    bias: Floating,
    out: Floating,
) -> None:
    """``out = phi W^T + b`` (B, K) of rows in the CSR form, from W^T (n, K)."""
    np.add(_rows(numbers, columns, starts, len(weight_t)) @ weight_t, bias, out=out)


@quiet
def sparse_sums_rows(
    numbers: Floating, columns: Array, starts: Array, gradient: Floating, sums: Floating
) -> None:
    """``sums += phi^T G``, float64 (n, K)."""
    sums += _rows(numbers, columns, starts, len(sums)).T @ gradient


def turned_matrix(matrix: Floating, out: Floating) -> None:
    """``out`` (c, r), the matrix (r, c) turned."""
    np.copyto(out, matrix.T)


def _rows(numbers: Floating, columns: Array, starts: Array, n_columns: int) -> Any:
    from scipy.sparse import csr_array

    if starts[0] < 0 or starts[-1] > len(numbers) or (np.diff(starts) < 0).any():
        raise ValueError(
            "the starts of sparse rows must begin at 0 or above, never fall, and end within the "
            "numbers"
        )
    used = slice(int(starts[0]), int(starts[-1]))
    numbers, columns = numbers[used], columns[used]
    if len(columns) and not (columns.min() >= 0 and columns.max() < n_columns):
        raise ValueError("sparse rows have columns below 0, or beyond those of the weight")
    return csr_array((numbers, columns, starts - starts[0]), (len(starts) - 1, n_columns))
