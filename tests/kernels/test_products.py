"""Matrix products: every shape of an edge, any steps, one order of the terms."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest

from crossent import _kernels as kernels
from crossent._arguments import LossOptions
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
    (32, 32, 32), (96, 300, 64), (45, 33, 47), (33, 1000, 601), (40, 300, 48), (31, 270, 24),
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


@pytest.mark.parametrize("turns", TURNS)
def test_no_number_is_too_small_or_too_large(turns: tuple[bool, bool]) -> None:
    a, b = operands((140, 600, 90), turns, np.float32)
    a[3, 5], a[40], a[70], a[100, 7] = np.inf, a[40] * 1e-36, a[70] * 1e36, -np.inf
    b[:, 7], b[9, 80] = b[:, 7] * 1e-34, np.nan
    wide = [x.astype(np.float64) for x in (a, b)]
    with np.errstate(invalid="ignore"):
        found, exact = made(a, b), wide[0] @ wide[1]
        size = np.abs(wide[0]) @ np.abs(wide[1])
    finite = np.isfinite(exact)
    assert np.array_equal(found[~finite], exact[~finite].astype(np.float32), equal_nan=True)
    error = np.abs(found[finite] - exact[finite])
    assert (error <= 64 * np.finfo(np.float32).eps * size[finite] + 600 * 2.0**-149).all()


LAYERS = [(5000, 20, 5), (700, 784, 10), (3, 4, 64), (40, 300, 40), (1, 1, 1)]


@pytest.mark.parametrize("options", [LossOptions(), LossOptions(0.1, 1.7, 4.0, 0.01)])
@pytest.mark.parametrize("shape", LAYERS)
@pytest.mark.parametrize("dtype", tables.WIDE_DTYPES, ids=name_of)
def test_a_layer_of_few_classes_is_its_products(
    shape: tuple[int, int, int], options: LossOptions, dtype: Any
) -> None:
    n_rows, n, n_classes = shape
    rng = np.random.default_rng(shape)
    x, w = rng.normal(size=(n_rows, n)).astype(dtype), rng.normal(size=(n_classes, n)).astype(dtype)
    b, labels = rng.normal(size=n_classes).astype(dtype), rng.integers(0, n_classes, n_rows)
    found = layer(x, w, b, labels, options)
    wide = [a.astype(np.float64) for a in (x, w, b)]
    z = wide[0] @ wide[1].T + wide[2]
    losses, g = np.empty(n_rows), np.empty_like(z)
    total = kernels.cross_entropy_rows(z, labels, None, 0.3, options, losses, g)
    eps = 40 * np.sqrt(n) * np.finfo(dtype).eps
    assert_near = partial(np.testing.assert_allclose, rtol=eps)
    assert_near(found[0], total, atol=eps)
    for ours, theirs in zip(
        found[1:], (losses, g @ wide[1], g.T @ wide[0], g.sum(axis=0)), strict=True
    ):
        assert_near(ours, theirs, atol=eps * (1 + np.abs(theirs).max()))
    only_loss = layer(x, w, b, labels, options, gradients=False)
    assert only_loss[0] == found[0]


def layer(
    x: Array, w: Array, b: Array, labels: Array, options: LossOptions, gradients: bool = True
) -> tuple[Any, ...]:
    losses, memory = np.empty(len(x)), np.empty(32 * len(w) * (x.shape[1] + 1024), x.dtype)
    out = [np.full(a.shape, np.nan, x.dtype) if gradients else None for a in (x, w, b)]
    total = kernels.linear_cross_entropy_rows(x, w, b, labels, 0.3, options, losses, *out, memory)
    return total, losses, *out


@native_only
def test_a_layer_of_few_classes_has_the_same_bits_on_any_threads() -> None:
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=(9000, 40)).astype(np.float32), rng.normal(size=(9, 40))
    given = x, w.astype(np.float32), w[:, 0].astype(np.float32), rng.integers(0, 9, 9000)
    before, found = kernels.get_num_threads(), set()
    try:
        for threads in (1, 2, 5):
            kernels.set_num_threads(threads)
            total, *arrays = layer(*given, LossOptions())
            found.add((total, *(a.tobytes() for a in arrays)))
    finally:
        kernels.set_num_threads(before)
    assert len(found) == 1


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
