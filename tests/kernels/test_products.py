"""Matrix products: every shape of an edge, any steps, one order of the terms."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from crossent import _kernels as kernels
from tests.kernels import tables
from tests.kernels.tables import name_of
from tests.kernels.truth import Array

native_only = pytest.mark.skipif(
    kernels.KERNELS == "numpy", reason="a BLAS has an order of its own"
)

# m, c, p: whole panels and their edges, one panel of rows or of columns, no terms, nothing at all.
SHAPES = [
    (1, 1, 1), (28, 256, 64), (30, 40, 50), (17, 513, 100), (5, 300, 33), (40, 7, 10),
    (10, 700, 20), (2, 50, 300), (1, 600, 40), (1, 40, 300), (130, 30, 1200), (1100, 3, 70),
    (3, 0, 4), (0, 3, 4), (3, 4, 0),
]  # fmt: skip
TURNS = [(False, False), (False, True), (True, False), (True, True)]


def operands(
    shape: tuple[int, int, int], turns: tuple[bool, bool], dtype: Any
) -> tuple[Array, Array]:
    m, c, p = shape
    rng = np.random.default_rng([m, c, p])
    a, b = rng.normal(size=(m, c)).astype(dtype), rng.normal(size=(c, p)).astype(dtype)
    return tuple(
        np.asfortranarray(x) if turned else x for x, turned in zip((a, b), turns, strict=True)
    )


def made(a: Array, b: Array, start: Array | None = None, *, in_order: bool = False) -> Array:
    out = np.full((a.shape[0], b.shape[1]), np.nan, a.dtype)
    kernels.matrix_product(a, b, out, start, in_order)
    return out


def assert_close(found: Array, a: Array, b: Array, start: Any = 0.0) -> None:
    """At most the bound of a sum in any order, of which 0.12 was the most that was measured."""
    wide = [x.astype(np.float64) for x in (a, b)]
    exact = wide[0].astype(np.longdouble) @ wide[1].astype(np.longdouble) + start
    size = np.abs(wide[0]) @ np.abs(wide[1]) + np.abs(start)
    assert (np.abs(found - exact) <= 0.5 * (a.shape[1] + 1) * np.finfo(a.dtype).eps * size).all()


@pytest.mark.parametrize("dtype", tables.WIDE_DTYPES, ids=name_of)
def test_every_shape_and_layout(dtype: Any) -> None:
    for shape, turns in product(SHAPES, TURNS):
        a, b = operands(shape, turns, dtype)
        assert_close(made(a, b), a, b)
        start = np.random.default_rng(0).normal(size=(shape[0], shape[2])).astype(dtype)
        for in_order in (False, True):
            assert_close(made(a, b, start, in_order=in_order), a, b, start)
            row = np.broadcast_to(start[:1], start.shape) if len(start) else start
            assert_close(made(a, b, row, in_order=in_order), a, b, row)
            sums = start.copy()
            kernels.matrix_product(a, b, sums, sums, in_order)
            assert_close(sums, a, b, start)


@pytest.mark.parametrize("dtype", tables.WIDE_DTYPES, ids=name_of)
def test_parts_of_larger_arrays_and_steps_back(dtype: Any) -> None:
    rng = np.random.default_rng(1)
    a, b, out = (rng.normal(size=(90, 120)).astype(dtype) for _ in range(3))
    before = out.copy()
    left, right = a[1:80:2, ::-3], b[5:45, 40:3:-1]
    kernels.matrix_product(left, right, out[3:43, 7:44], None, False)
    assert_close(out[3:43, 7:44], left, right)
    out[3:43, 7:44] = before[3:43, 7:44]
    assert np.array_equal(out, before)


@native_only
@pytest.mark.parametrize("dtype", tables.WIDE_DTYPES, ids=name_of)
def test_bits_depend_neither_on_threads_nor_on_how_the_terms_come(dtype: Any) -> None:
    before = kernels.get_num_threads()
    try:
        for shape, turns in product(SHAPES, TURNS):
            a, b = operands(shape, turns, dtype)
            found, in_order = set(), set()
            for threads in (1, 2, 5):
                kernels.set_num_threads(threads)
                found.add(made(a, b).tobytes())
                for cut in (shape[1] // 3, shape[1]):
                    out = made(a[:, :cut], b[:cut], in_order=True)
                    kernels.matrix_product(a[:, cut:], b[cut:], out, out, True)
                    in_order.add(out.tobytes())
            assert len(found) == len(in_order) == 1, (shape, turns)
    finally:
        kernels.set_num_threads(before)


@native_only
def test_a_number_depends_on_its_row_and_its_column_alone() -> None:
    a, b = operands((300, 500, 200), (False, True), np.float32)
    for rows, columns in ((slice(7, 290), slice(0, 200)), (slice(0, 40), slice(33, 190))):
        assert np.array_equal(made(a[rows], b[:, columns]), made(a, b)[rows, columns])


@pytest.mark.parametrize("dtype", tables.WIDE_DTYPES, ids=name_of)
def test_odd_numbers_stay_in_their_rows(dtype: Any) -> None:
    a, b = operands((40, 300, 70), (False, False), dtype)
    a[3, 5], a[20, 7] = np.nan, np.inf
    found = made(a, b)
    assert np.isnan(found[3]).all()
    assert np.isinf(found[20]).all()
    assert np.isfinite(np.delete(found, [3, 20], axis=0)).all()


@native_only
def test_other_arguments_are_refused() -> None:
    a = np.ones((3, 4), np.float32)
    good = np.ones((3, 3), np.float32)
    for b, out, start in [
        (a.T.astype(np.float64), good, None),
        (a, good, None),
        (a.T, good[:2], None),
        (a.T, np.asfortranarray(np.ones((3, 3), np.float32)).T[::-1].T, None),
        (a.T, good, np.ones((3, 2), np.float32)),
        (a.T, good, [1.0]),
    ]:
        with pytest.raises(TypeError, match="must be a"):
            kernels.matrix_product(a, b, out, start, False)  # pyright: ignore[reportArgumentType]
