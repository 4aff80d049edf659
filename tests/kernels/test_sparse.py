"""Products with sparse rows: against dense ones in float64, whatever the order of the columns."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from crossent import _kernels as kernels
from tests.kernels import tables
from tests.kernels.tables import name_of
from tests.kernels.truth import Array

# rows, columns, classes: no rows, no numbers, one class, panels of classes and their edges.
SHAPES = [
    (0, 5, 3), (3, 0, 2), (4, 7, 1), (50, 30, 2), (200, 90, 8), (300, 1000, 20), (70, 40, 33),
    (40, 60, 64), (30, 20, 65), (25, 30, 200), (3000, 400, 5),
]  # fmt: skip
INDICES = [np.int32, np.int64]


def rows_of(shape: tuple[int, int, int], dtype: Any, index: Any) -> tuple[Array, Array, Array]:
    """Rows of up to 40 numbers, a third of them empty; columns of any order, some of them twice."""
    n_rows, n_columns, _ = shape
    rng = np.random.default_rng(shape)
    lengths = rng.integers(0, 40, n_rows) * (rng.random(n_rows) < 0.7) * (n_columns > 0)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(index)
    columns = (n_columns * rng.random(starts[-1]) ** 3).astype(index)
    return rng.normal(size=len(columns)).astype(dtype), columns, starts


def dense(rows: tuple[Array, Array, Array], n_columns: int) -> tuple[Array, Array]:
    """phi and |phi|, float64, numbers of one place added up."""
    numbers, columns, starts = rows
    phi = np.zeros((2, len(starts) - 1, n_columns))
    at = np.repeat(np.arange(len(starts) - 1), np.diff(starts)), columns
    np.add.at(phi[0], at, numbers.astype(np.float64))
    np.add.at(phi[1], at, np.abs(numbers.astype(np.float64)))
    return phi[0], phi[1]


def operands(shape: tuple[int, int, int], dtype: Any) -> tuple[Array, Array, Array]:
    """W^T, b and G."""
    n_rows, n_columns, n_classes = shape
    rng = np.random.default_rng([1, *shape])
    sizes = (n_columns, n_classes), (n_classes,), (n_rows, n_classes)
    return tuple(rng.normal(size=size).astype(dtype) for size in sizes)


def logits(rows: tuple[Array, Array, Array], weight_t: Array, bias: Array) -> Array:
    out = np.full((len(rows[2]) - 1, weight_t.shape[1]), np.nan, weight_t.dtype)
    kernels.sparse_logits_rows(*rows, weight_t, bias, out)
    return out


def sums(rows: tuple[Array, Array, Array], g: Array, n_columns: int, start: float = 0.0) -> Array:
    out = np.full((n_columns, g.shape[1]), start)
    kernels.sparse_sums_rows(*rows, g, out)
    return out


@pytest.mark.parametrize("index", INDICES, ids=name_of)
@pytest.mark.parametrize("dtype", tables.WIDE_DTYPES, ids=name_of)
def test_products_are_those_of_dense_rows(dtype: Any, index: Any) -> None:
    for shape in SHAPES:
        rows = rows_of(shape, dtype, index)
        (phi, size), (weight_t, bias, g) = dense(rows, shape[1]), operands(shape, dtype)
        wide = [x.astype(np.float64) for x in (weight_t, bias, g)]
        eps = 45 * np.finfo(dtype).eps
        error = np.abs(logits(rows, weight_t, bias) - (phi @ wide[0] + wide[1]))
        assert (error <= eps * (size @ np.abs(wide[0]) + np.abs(wide[1]))).all(), shape
        error = np.abs(sums(rows, g, shape[1], 3.0) - (phi.T @ wide[2] + 3.0))
        bound = (size > 0).sum(axis=0)[:, None] * 2.0 + 8.0
        eps = np.finfo(np.float64 if kernels.KERNELS == "native" else dtype).eps
        assert (error <= eps * bound * (size.T @ np.abs(wide[2]) + 3.0)).all(), shape


@pytest.mark.parametrize("dtype", tables.WIDE_DTYPES, ids=name_of)
def test_some_rows_of_many_and_read_only_ones(dtype: Any) -> None:
    shape = (300, 1000, 20)
    numbers, columns, starts = rows_of(shape, dtype, np.int32)
    weight_t, bias, g = operands(shape, dtype)
    for part in (numbers, columns, starts, weight_t, bias, g):
        part.flags.writeable = False
    whole = logits((numbers, columns, starts), weight_t, bias)
    some = numbers, columns, starts[40:131]
    assert np.array_equal(logits(some, weight_t, bias), whole[40:130])
    phi = dense((numbers, columns, starts), 1000)[0][40:130]
    found = sums(some, np.ascontiguousarray(g[40:130]), 1000)
    np.testing.assert_allclose(found, phi.T @ g[40:130].astype(np.float64), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("index", INDICES, ids=name_of)
@pytest.mark.parametrize("dtype", tables.WIDE_DTYPES, ids=name_of)
def test_bits_depend_neither_on_threads_nor_on_blocks_of_rows(dtype: Any, index: Any) -> None:
    if kernels.KERNELS == "numpy":
        pytest.skip("SciPy's products have orders of their own")
    shape = (3000, 400, 20)
    numbers, columns, starts = rows_of(shape, dtype, index)
    weight_t, bias, g = operands(shape, dtype)
    before, found = kernels.get_num_threads(), set()
    try:
        for threads, block in product((1, 2, 5), (3000, 700)):
            kernels.set_num_threads(threads)
            z, back = [], np.zeros((400, 20))
            for start in range(0, 3000, block):
                rows = numbers, columns, starts[start : start + block + 1]
                z.append(logits(rows, weight_t, bias))
                kernels.sparse_sums_rows(*rows, g[start : start + block], back)
            found.add((np.concatenate(z).tobytes(), back.tobytes()))
    finally:
        kernels.set_num_threads(before)
    assert len(found) == 1


@pytest.mark.parametrize("dtype", tables.WIDE_DTYPES, ids=name_of)
def test_odd_numbers_stay_in_their_rows_and_columns(dtype: Any) -> None:
    shape = (300, 1000, 20)
    rows = rows_of(shape, dtype, np.int32)
    weight_t, bias, g = operands(shape, dtype)
    rows[0][7] = np.nan
    here = int(np.searchsorted(rows[2], 7, side="right")) - 1
    z, back = logits(rows, weight_t, bias), sums(rows, g, 1000)
    assert np.isnan(z[here]).all()
    assert np.isnan(back[rows[1][7]]).all()
    assert np.isfinite(np.delete(z, here, axis=0)).all()
    assert np.isfinite(np.delete(back, rows[1][7], axis=0)).all()
    rows[0][7], weight_t[rows[1][7], 3], g[here, 4] = 1.0, np.inf, -np.inf
    has = (rows[1] == rows[1][7]).nonzero()[0]
    with_it = np.unique(np.searchsorted(rows[2], has, side="right") - 1)
    z, back = logits(rows, weight_t, bias), sums(rows, g, 1000)
    assert not np.isfinite(z[with_it, 3]).any()
    assert np.isfinite(np.delete(z, 3, axis=1)).all()
    assert not np.isfinite(back[np.unique(rows[1][rows[2][here] : rows[2][here + 1]]), 4]).any()
    assert np.isfinite(np.delete(back, 4, axis=1)).all()


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (20, 1000), (1000, 20), (300, 700), (37, 5)])
@pytest.mark.parametrize("dtype", tables.WIDE_DTYPES, ids=name_of)
def test_a_matrix_turned(dtype: Any, shape: tuple[int, int]) -> None:
    matrix = np.random.default_rng(0).normal(size=shape).astype(dtype)
    out = np.full(shape[::-1], np.nan, dtype)
    kernels.turned_matrix(matrix, out)
    assert np.array_equal(out, matrix.T)


@pytest.mark.parametrize("index", INDICES, ids=name_of)
def test_rows_that_are_none_are_refused(index: Any) -> None:
    numbers, weight_t, bias, g = np.ones(3), np.ones((4, 2)), np.ones(2), np.ones((2, 2))
    good = np.array([0, 1, 3], index), np.array([0, 1, 3], index)
    for columns in ([0, 4, 1], [0, -1, 1], [9, 0, 0]):
        with pytest.raises(ValueError, match="columns below 0, or beyond"):
            logits((numbers, np.array(columns, index), good[1]), weight_t, bias)
    for starts in ([-1, 1, 3], [0, 2, 1], [0, 1, 4]):
        rows = numbers, good[0], np.array(starts, index)
        for call in (lambda r: logits(r, weight_t, bias), lambda r: sums(r, g, 4)):
            with pytest.raises(ValueError, match="never fall"):
                call(rows)


def test_other_arguments_are_refused() -> None:
    if kernels.KERNELS == "numpy":
        pytest.skip("NumPy's kernels take what NumPy takes")
    numbers, places = np.ones(3), np.array([0, 1, 3], np.int32)
    weight_t, bias, g = np.ones((4, 2)), np.ones(2), np.ones((2, 2))
    good: dict[str, Any] = {"columns": places, "starts": places, "weight_t": weight_t, "g": g}

    def both(columns: Array, starts: Array, weight_t: Array, g: Array) -> None:
        rows = numbers, columns, starts
        kernels.sparse_logits_rows(*rows, weight_t, bias, np.empty((2, 2)))
        kernels.sparse_sums_rows(*rows, g, np.zeros((4, 2)))

    both(**good)
    for name, bad in [
        ("columns", places.astype(np.int64)),
        ("columns", places[:2]),
        ("columns", places.astype(np.float64)),
        ("starts", places[:0]),
        ("weight_t", weight_t.astype(np.float32)),
        ("weight_t", weight_t[:, :1]),
        ("g", g[:1]),
        ("g", g.astype(np.float32)),
    ]:
        with pytest.raises(TypeError, match="must be"):
            both(**(good | {name: bad}))
