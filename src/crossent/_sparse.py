"""Products with sparse rows: a linear layer's logits, and what comes back from them.

A row goes from column to column, and meets all classes there: these lie side by side. The weight is
turned once for that, and so is its gradient, however many blocks of rows there are.
"""

from __future__ import annotations

import sys
from typing import Any, TypeGuard

import numpy as np

from . import _kernels
from ._typing import Array

__all__ = [
    "add_back_product",
    "is_sparse",
    "logits_of",
    "row_slice",
    "turned",
]


def is_sparse(rows: Any) -> TypeGuard[Any]:
    """Whether these are rows of SciPy's; if nobody has loaded it, they are not."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and sparse.issparse(rows)


def row_slice(matrix: Any, rows: slice) -> Any:
    """Some rows of a CSR matrix, as views of its arrays where they are neighbours."""
    start, stop, step = rows.indices(matrix.shape[0])
    if step != 1:
        return matrix[rows]
    first, last = matrix.indptr[start], matrix.indptr[max(start, stop)]
    parts = (
        matrix.data[first:last],
        matrix.indices[first:last],
        matrix.indptr[start : max(start, stop) + 1] - first,
    )
    return type(matrix)(parts, shape=(max(0, stop - start), matrix.shape[1]), copy=False)


def turned(matrix: Array) -> Array:
    """The matrix (c, r) of a matrix (r, c), C-contiguous."""
    out = np.empty(matrix.shape[::-1], matrix.dtype)
    _kernels.turned_matrix(np.ascontiguousarray(matrix), out)
    return out


def logits_of(rows: Any, weight_t: Array, bias: Array) -> Array:
    """z = phi W^T + b (B, K) of sparse rows, from W^T (n, K).

    Raises
    ------
    ValueError
        If the rows have columns that the weight has not.
    """
    z = np.empty((rows.shape[0], weight_t.shape[1]), dtype=weight_t.dtype)
    _kernels.sparse_logits_rows(*_parts(rows), weight_t, bias, z)
    return z


def add_back_product(rows: Any, g: Array, sums: Array) -> None:
    """``sums += phi^T G``, float64 (n, K), of sparse rows."""
    _kernels.sparse_sums_rows(*_parts(rows), np.ascontiguousarray(g), sums)


def _parts(rows: Any) -> tuple[Array, Array, Array]:
    """The numbers of a CSR matrix, their columns, and the starts of its rows, of one dtype."""
    is_narrow = rows.indices.dtype == rows.indptr.dtype == np.int32
    places = (rows.indices, rows.indptr)
    columns, starts = (
        np.ascontiguousarray(part, np.int32 if is_narrow else np.int64) for part in places
    )
    return np.ascontiguousarray(rows.data), columns, starts
