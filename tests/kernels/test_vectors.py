"""Long vectors: their products with rows, and sums of rows, against those of exact arithmetic."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from crossent import _kernels as kernels
from tests.kernels import tables
from tests.kernels.tables import name_of
from tests.kernels.truth import Array

# rows and numbers: none, less than a vector's lanes, edges of a piece, many blocks.
SHAPES = [
    (0, 5), (3, 0), (1, 1), (2, 7), (5, 33), (3, 2047), (2, 2048), (3, 2049), (20, 10_000),
    (1, 300_001),
]  # fmt: skip


def operands(shape: tuple[int, int], dtype: Any) -> tuple[Array, Array, Array]:
    """Rows, a vector, and a weight for each row."""
    rng = np.random.default_rng(shape)
    return (
        rng.normal(size=shape).astype(dtype),
        rng.normal(size=shape[1]),
        rng.normal(size=shape[0]),
    )


def products(rows: Array, vector: Array) -> Array:
    out = np.full(len(rows), np.nan)
    kernels.vector_products(rows, vector, out)
    return out


def total(weights: Array, rows: Array, vector: Array, dtype: Any) -> tuple[Array, float]:
    out = np.full(len(vector), np.nan, dtype)
    return out, kernels.vector_sum(weights, rows, vector, 0.7, out)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", tables.WIDE_DTYPES, ids=name_of)
def test_products_with_rows(dtype: Any, shape: tuple[int, int]) -> None:
    rows, vector, _ = operands(shape, dtype)
    for found, row in zip(products(rows, vector), rows.astype(np.float64), strict=True):
        terms = row * vector
        assert abs(found - math.fsum(terms)) <= 2e-15 * math.fsum(np.abs(terms))


@pytest.mark.parametrize("out", tables.WIDE_DTYPES, ids=name_of)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", tables.WIDE_DTYPES, ids=name_of)
def test_sums_of_rows_and_their_squares(dtype: Any, shape: tuple[int, int], out: Any) -> None:
    rows, vector, weights = operands(shape, dtype)
    found, square = total(weights, rows, vector, out)
    terms = np.vstack([0.7 * vector, weights[:, None] * rows.astype(np.float64)])
    error = np.abs(found - terms.sum(axis=0))
    bound = np.finfo(np.float64).eps * (len(terms) + 1) * np.abs(terms).sum(axis=0)
    assert (error <= bound + np.finfo(out).eps * np.abs(found)).all()
    eps = 4.0 * float(np.finfo(out).eps)  # the squares are those before rounding
    assert square == pytest.approx(math.fsum(np.square(found, dtype=np.float64)), rel=eps)


@pytest.mark.parametrize("dtype", tables.WIDE_DTYPES, ids=name_of)
def test_bits_do_not_depend_on_threads(dtype: Any) -> None:
    rows, vector, weights = operands((7, 300_001), dtype)
    before, found = kernels.get_num_threads(), set()
    try:
        for threads in (1, 2, 5):
            kernels.set_num_threads(threads)
            out, square = total(weights, rows, vector, np.float64)
            found.add((products(rows, vector).tobytes(), out.tobytes(), square))
    finally:
        kernels.set_num_threads(before)
    assert len(found) == 1


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", tables.WIDE_DTYPES, ids=name_of)
def test_odd_numbers_stay_where_they_are(dtype: Any, odd: float) -> None:
    rows, vector, weights = operands((4, 5000), dtype)
    rows[2, 4321] = odd
    found = products(rows, vector)
    assert not np.isfinite(found[2])
    assert np.isfinite(np.delete(found, 2)).all()
    out, square = total(weights, rows, vector, np.float64)
    assert not np.isfinite([out[4321], square]).any()
    assert np.isfinite(np.delete(out, 4321)).all()


def test_other_arguments_are_refused() -> None:
    if kernels.KERNELS == "numpy":
        pytest.skip("NumPy's kernels take what NumPy takes")
    rows, vector, weights = operands((3, 20), np.float64)
    for bad in (rows.astype(np.float16), rows[:, :19], rows[:, ::2], rows[0]):
        with pytest.raises(TypeError, match="must be"):
            products(bad, vector)
    for given in ((weights[:2], vector), (weights, vector.astype(np.float32))):
        with pytest.raises(TypeError, match="must be"):
            total(given[0], rows, given[1], np.float64)
    for out in (np.empty(19), np.empty(20, np.int64)):
        with pytest.raises(TypeError, match="must be"):
            kernels.vector_sum(weights, rows, vector, 1.0, out)
