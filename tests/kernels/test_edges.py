"""Infinities, NaN, absent rows, empty arrays: the same on every floor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crossent import _kernels as kernels
from crossent._arguments import LossOptions
from tests.kernels import calls, tables
from tests.kernels.tables import name_of
from tests.kernels.truth import Array, wide

INF, NAN = np.inf, np.nan
SIZES = [2, 3, 16, 17, 40, 5000]


def _loss_and_gradient(z: Array, label: int, options: LossOptions = LossOptions()) -> Any:  # noqa: B008
    loss, gradient = np.empty(len(z)), np.empty_like(z)
    kernels.cross_entropy_rows(z, np.full(len(z), label), None, 1.0, options, loss, gradient)
    return loss, wide(gradient)


def _family(z: Array) -> tuple[Array, Array, Array]:
    p, q, lse = np.empty_like(z), np.empty_like(z), np.empty(len(z), z.dtype)
    kernels.softmax_rows(z, p)
    kernels.log_softmax_rows(z, q)
    kernels.logsumexp_rows(z, lse)
    return wide(p), wide(q), wide(lse)


def _rows(size: int, dtype: Any, **special: tuple[int, float]) -> Array:
    """Five rows of plain numbers, the middle one with something in it."""
    z = np.random.default_rng(size).normal(0, 2, (5, size))
    for position, value in special.values():
        z[2, position] = value
    return z.astype(dtype)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", tables.DTYPES, ids=name_of)
class TestOneRow:
    """What is special in a row stays in that row."""

    def check_others(self, z: Array, *found: Array) -> None:
        plain = np.array([0, 1, 3, 4])
        for array in found:
            assert np.isfinite(array[plain]).all()

    def test_all_minus_infinity(self, dtype: Any, size: int) -> None:
        z = _rows(size, dtype)
        z[2] = -INF
        p, q, lse = _family(z)
        assert lse[2] == -INF
        assert np.isnan(p[2]).all()
        assert np.isnan(q[2]).all()
        loss, gradient = _loss_and_gradient(z, 0)
        assert np.isnan(loss[2])
        assert np.isnan(gradient[2]).all()
        self.check_others(z, p, q, lse, loss, gradient)

    def test_plus_infinity(self, dtype: Any, size: int) -> None:
        z = _rows(size, dtype, it=(size - 1, INF), other=(0, -INF))
        p, q, lse = _family(z)
        assert lse[2] == INF
        assert np.isnan(p[2]).all()
        assert np.isnan(q[2]).all()
        loss, gradient = _loss_and_gradient(z, 0)
        assert np.isnan(loss[2])
        assert np.isnan(gradient[2]).all()
        self.check_others(z, p, q, lse, loss, gradient)

    @pytest.mark.parametrize("beside", [0.0, INF, -INF])
    def test_nan(self, dtype: Any, size: int, beside: float) -> None:
        z = _rows(size, dtype, it=(size - 1, NAN), other=(0, beside))
        p, q, lse = _family(z)
        loss, gradient = _loss_and_gradient(z, 0)
        for array in (p, q, lse, loss, gradient):
            assert np.isnan(array[2]).all()
        self.check_others(z, p, q, lse, loss, gradient)

    def test_one_minus_infinity(self, dtype: Any, size: int) -> None:
        """Probability 0; a loss of infinity with a finite gradient where it is the label."""
        z = _rows(size, dtype, it=(0, -INF))
        p, q, lse = _family(z)
        assert p[2, 0] == 0
        assert q[2, 0] == -INF
        assert np.isfinite(lse).all()
        for options in (LossOptions(), LossOptions(temperature=2.0)):
            loss, gradient = _loss_and_gradient(z, 0, options)
            assert loss[2] == INF
            assert gradient[2, 0] == pytest.approx(-1 / options.temperature, rel=1e-14)
            assert np.isfinite(gradient).all()
            loss, gradient = _loss_and_gradient(z, 1, options)
            assert np.isfinite(loss).all()
            assert gradient[2, 0] == 0


@pytest.mark.parametrize("size", SIZES)
def test_a_target_of_zero_on_minus_infinity_adds_nothing(size: int) -> None:
    z = np.zeros((1, size))
    z[0, 1:] = -INF
    targets = np.eye(1, size)
    loss, gradient = np.empty(1), np.empty_like(z)
    kernels.cross_entropy_rows(z, targets, None, 1.0, LossOptions(), loss, gradient)
    assert loss[0] == 0
    np.testing.assert_array_equal(gradient, np.zeros_like(z))


@pytest.mark.parametrize("dtype", tables.DTYPES, ids=name_of)
def test_confident_rows_keep_their_digits(dtype: Any) -> None:
    z = np.array([[20.0, 0.0]]).astype(dtype)
    loss, gradient = _loss_and_gradient(z, 0)
    probability = 1 / (1 + np.exp(20.0))
    rtol = {2: 1e-2, 4: 2e-7, 8: 1e-15}[np.dtype(dtype).itemsize]
    np.testing.assert_allclose(loss, np.log1p(np.exp(-20.0)), rtol=min(rtol, 2e-7))
    if dtype is not np.float16:  # 2e-9 is below its smallest number
        np.testing.assert_allclose(gradient, [[-probability, probability]], rtol=rtol)
    _, q, _ = _family(np.array([[40.0, 0.0]]).astype(dtype))
    if dtype is not np.float16:
        np.testing.assert_allclose(q[0, 0], -4.248354255291589e-18, rtol=rtol)


@pytest.mark.parametrize("dtype", tables.DTYPES, ids=name_of)
def test_no_rows(dtype: Any) -> None:
    for call in calls.all_calls(0, 4, dtype).values():
        calls.results(call)


def test_huge_numbers_do_not_overflow() -> None:
    for dtype in tables.WIDE_DTYPES:
        top = np.finfo(dtype).max
        z = np.array([[top, -top, top], [-top, -top, -top]], dtype)
        p, q, lse = _family(z)
        np.testing.assert_array_equal(p[0], [0.5, 0, 0.5])
        np.testing.assert_array_equal(p[1], np.full(3, dtype(1) / dtype(3)))
        assert q[0, 1] == -INF
        np.testing.assert_array_equal(lse, wide(np.array([top, -top])))


def test_wrong_arguments_are_refused() -> None:
    """The compiled kernels never run on memory they misread."""
    if kernels.KERNELS == "numpy":
        pytest.skip("NumPy's kernels take what NumPy takes")
    z = np.zeros((4, 3))
    out = np.zeros_like(z)
    read_only = out.copy()
    read_only.flags.writeable = False
    for first, second in [
        (z.astype(int), out),
        (z[:, ::2], out),
        (z, out.astype(np.float32)),
        (z, out[:2]),
        (z[0], out[0]),
        (z, read_only),
        (z.astype(">f8"), out),
        ([[0.0]], out),
        (z, None),
    ]:
        with pytest.raises(TypeError):
            kernels.softmax_rows(first, second)  # pyright: ignore[reportArgumentType]
    loss, labels = np.empty(4), np.zeros(4, np.int32)
    with pytest.raises(TypeError, match="labels int64"):
        kernels.cross_entropy_rows(z, labels, None, 1.0, LossOptions(), loss, out)
