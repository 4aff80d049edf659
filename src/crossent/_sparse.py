"""Products with sparse rows: a linear layer's logits, and what comes back from them.

A sparse product walks its matrix once; SciPy's walks let other threads run, so that two of them
share one. Rows are split on the way forth, classes on the way back: no two threads write to one
place, and nothing is copied but the sums.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeGuard

import numpy as np

from . import _kernels
from ._typing import Array

__all__ = [
    "back_product",
    "is_sparse",
    "logits_of",
    "row_slice",
]

_WORTH_A_THREAD = 1 << 20
"""Multiplications from which a product is shared."""


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


def logits_of(rows: Any, weight: Array, bias: Array) -> Array:
    """z = phi W^T + b (B, K) of sparse rows."""
    n_rows, weight_t = rows.shape[0], np.ascontiguousarray(weight.T)
    z = np.empty((n_rows, len(weight)), dtype=weight.dtype)

    def of(part: slice) -> None:
        z[part] = row_slice(rows, part) @ weight_t

    _shared(of, n_rows, rows.nnz * len(weight))
    z += bias
    return z


def back_product(rows: Any, g: Array, out: Array) -> None:
    """``out += G^T phi`` (K, n) of sparse rows."""
    turned = rows.T

    def of(part: slice) -> None:
        out[part] += (turned @ np.ascontiguousarray(g[:, part])).T

    _shared(of, g.shape[1], rows.nnz * g.shape[1])


def _shared(work: Callable[[slice], None], count: int, size: int) -> None:
    """Do the work on a slice a thread."""
    threads = min(_kernels.get_num_threads(), count) if size >= _WORTH_A_THREAD else 1
    if threads <= 1:
        work(slice(0, count))
        return
    parts = _parts(count, threads)
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, part) for part in parts]:
            done.result()


def _parts(count: int, number: int) -> Sequence[slice]:
    ends = [count * part // number for part in range(number + 1)]
    return [slice(*ends[part : part + 2]) for part in range(number)]
