"""Classes along a middle axis: the results of the same rows, bit by bit on the compiled floor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crossent import _kernels as kernels
from crossent._arguments import LossOptions
from tests.kernels import calls, tables
from tests.kernels.tables import name_of
from tests.kernels.truth import Array

SHAPES = [(0, 3, 4), (2, 3, 0), (1, 1, 1), (2, 3, 5), (3, 10, 70), (2, 33, 17), (1, 1000, 40)]
SHAPES += [(2, 4100, 3), (1, 32768, 2), (3, 33, 7), (2, 30, 20), (2, 47, 8), (2, 100, 34)]
SHAPES += [(1, 2113, 9), (1, 2040, 9), (2, 1100, 70), (2, 130, 133)]


def _case(shape: tuple[int, int, int], dtype: Any) -> tuple[Array, Array]:
    """The logits, and their columns as rows (outer * inner, K)."""
    z = np.random.default_rng(shape).normal(0, 5, shape).astype(dtype)
    return z, np.ascontiguousarray(np.moveaxis(z, 1, 2)).reshape(-1, shape[1])


def _with_extremes(z: Array) -> Array:
    """The same with a few infinities and NaN, and columns of nothing else."""
    rng = np.random.default_rng(5)
    z = z.copy()
    for value in (np.inf, -np.inf, np.nan):
        z.reshape(-1)[rng.integers(0, z.size, 5)] = value
    z[-1, :, ::7] = -np.inf
    z[0, :, 3] = 0.0
    return z


def _as_columns(rows: Array, shape: tuple[int, int, int]) -> Array:
    return np.moveaxis(rows.reshape(shape[0], shape[2], shape[1]), 2, 1)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", tables.DTYPES, ids=name_of)
def test_the_softmax_family(dtype: Any, shape: tuple[int, int, int]) -> None:
    z, rows = _case(shape, dtype)
    for by_column, by_row in [
        (kernels.softmax_columns, kernels.softmax_rows),
        (kernels.log_softmax_columns, kernels.log_softmax_rows),
    ]:
        expected, out = np.empty_like(rows), np.empty_like(z)
        by_row(rows, expected)
        by_column(z, out)
        assert out.tobytes() == _as_columns(expected, shape).tobytes()
        in_place = z.copy()
        by_column(in_place, in_place)
        assert in_place.tobytes() == out.tobytes()
    expected, out = np.empty((2, len(rows)), dtype)
    kernels.logsumexp_rows(rows, expected)
    kernels.logsumexp_columns(z, out)
    assert out.tobytes() == expected.tobytes()


@pytest.mark.parametrize("shape", [s for s in SHAPES if s[1] <= 2048] + [(2, 70, 75)], ids=str)
@pytest.mark.parametrize("dtype", tables.DTYPES, ids=name_of)
def test_backward_passes(dtype: Any, shape: tuple[int, int, int]) -> None:
    z, rows = _case(shape, dtype)
    rng = np.random.default_rng(2)
    g, of_columns = (rng.normal(size=size).astype(dtype) for size in (z.shape, len(rows)))
    g_rows = np.ascontiguousarray(np.moveaxis(g, 1, 2)).reshape(rows.shape)
    for name in ("softmax", "log_softmax", "logsumexp"):
        first, first_rows, second, second_rows = z, rows, g, g_rows
        if name == "logsumexp":
            second = second_rows = of_columns
        else:
            first_rows = np.empty_like(rows)
            getattr(kernels, f"{name}_rows")(rows, first_rows)
            first = np.ascontiguousarray(_as_columns(first_rows, shape))
        expected, out = np.empty_like(rows), np.empty_like(z)
        getattr(kernels, f"{name}_vjp_rows")(first_rows, second_rows, expected)
        getattr(kernels, f"{name}_vjp_columns")(first, second, out)
        assert out.tobytes() == _as_columns(expected, shape).tobytes(), name
        in_place = first.copy()
        getattr(kernels, f"{name}_vjp_columns")(in_place, second, in_place)
        assert in_place.tobytes() == out.tobytes(), name


@pytest.mark.parametrize("shape", [(3, 10, 70), (2, 100, 34), (2, 47, 8), (2, 33, 6)], ids=str)
@pytest.mark.parametrize("dtype", tables.DTYPES, ids=name_of)
def test_infinities_and_nan(dtype: Any, shape: tuple[int, int, int]) -> None:
    z = _with_extremes(_case(shape, dtype)[0])
    rows = np.ascontiguousarray(np.moveaxis(z, 1, 2)).reshape(-1, shape[1])
    for name in ("softmax", "log_softmax"):
        expected, out = np.empty_like(rows), np.empty_like(z)
        getattr(kernels, f"{name}_rows")(rows, expected)
        getattr(kernels, f"{name}_columns")(z, out)
        wide, of_rows = out.astype(np.float64), _as_columns(expected, shape).astype(np.float64)
        np.testing.assert_array_equal(wide, of_rows, err_msg=name)
    expected, out = np.empty((2, len(rows)), dtype)
    kernels.logsumexp_rows(rows, expected)
    kernels.logsumexp_columns(z, out)
    np.testing.assert_array_equal(out.astype(np.float64), expected.astype(np.float64))


@pytest.mark.parametrize("options", [calls.PLAIN, calls.FULL], ids=["plain", "options"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", tables.DTYPES, ids=name_of)
def test_cross_entropy(dtype: Any, shape: tuple[int, int, int], options: LossOptions) -> None:
    z, rows = _case(shape, dtype)
    rng = np.random.default_rng(1)
    labels, weight = rng.integers(0, shape[1], len(rows)), rng.uniform(0, 2, len(rows))
    weight[2::5] = 0
    losses, slopes, gradient = np.empty((2, len(rows))), np.empty_like(rows), np.empty_like(z)
    kernels.cross_entropy_rows(rows, labels, weight, 0.3, options, losses[0], slopes)
    total = kernels.cross_entropy_columns(z, labels, weight, 0.3, options, losses[1], gradient)
    assert losses[0].tobytes() == losses[1].tobytes()
    assert gradient.tobytes() == _as_columns(slopes, shape).tobytes()
    assert total == pytest.approx(losses[0].sum(), rel=1e-14)
    assert total == kernels.cross_entropy_columns(z, labels, weight, 0.3, options, None, None)


def test_wrong_arguments_are_refused() -> None:
    if kernels.KERNELS == "numpy":
        pytest.skip("NumPy's kernels take what NumPy takes")
    z = np.zeros((2, 3, 4))
    for first, second in [(z, z[0]), (z[0], z[0]), (z, z.astype(np.float32)), (z, z[:, :2].copy())]:
        with pytest.raises(TypeError):
            kernels.softmax_columns(first, second)
    with pytest.raises(TypeError, match="32768"):
        kernels.softmax_columns(np.zeros((1, 32769, 1)), np.zeros((1, 32769, 1)))
    with pytest.raises(TypeError, match="2048"):
        kernels.softmax_vjp_columns(*[np.zeros((1, 2049, 1))] * 3)
