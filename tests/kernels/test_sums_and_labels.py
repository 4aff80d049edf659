"""The sum that a loss kernel returns, and the checks of labels and targets."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from crossent import _kernels as kernels
from crossent._arguments import LossOptions
from tests.kernels import calls, tables
from tests.kernels.tables import DTYPES, name_of
from tests.kernels.truth import Array

SHAPES = [(0, 3), (1, 1), (17, 3), (5000, 3), (300, 17), (40, 300), (70_001, 2)]


def _losses(n_rows: int, n_classes: int, dtype: Any) -> dict[str, Callable[[Array | None], float]]:
    """Every loss kernel with labels, targets or options, as a function of the losses' memory."""
    rng = np.random.default_rng([n_rows, n_classes])
    z = rng.normal(0, 5, (n_rows, n_classes)).astype(dtype)
    labels, weight = rng.integers(0, n_classes, n_rows), rng.uniform(0, 2, n_rows)
    weight[2::5] = 0
    y = rng.uniform(0, 1, n_rows).astype(tables.computed(dtype))
    first = np.ascontiguousarray(z[:, 0])
    return {
        "plain": lambda loss: kernels.cross_entropy_rows(
            z, labels, weight, 1.0, calls.PLAIN, loss, None
        ),
        "unweighted": lambda loss: kernels.cross_entropy_rows(
            z, labels, None, 1.0, calls.PLAIN, loss, None
        ),
        "options": lambda loss: kernels.cross_entropy_rows(
            z, labels, weight, 1.0, calls.FULL, loss, None
        ),
        "binary": lambda loss: kernels.binary_cross_entropy_elements(
            first, y, weight, 1.0, LossOptions(), loss, None
        ),
    }


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", tables.DTYPES, ids=name_of)
def test_the_sum_of_the_losses(dtype: Any, shape: tuple[int, int]) -> None:
    """Right, the same without memory for the losses, and the same for any number of threads."""
    before = kernels.get_num_threads()
    try:
        for name, call in _losses(*shape, dtype).items():
            losses = np.full(shape[0], np.nan)
            total = call(losses)
            assert total == pytest.approx(math.fsum(losses), rel=1e-14), name
            for count in (1, 2, 4):
                kernels.set_num_threads(count)
                assert call(None) == total, name
    finally:
        kernels.set_num_threads(before)


def test_an_infinite_loss_makes_an_infinite_sum() -> None:
    z = np.zeros((3, 2))
    z[1, 0] = -np.inf
    assert kernels.cross_entropy_rows(
        z, np.zeros(3, np.int64), None, 1.0, LossOptions(), None, None
    ) == float("inf")


@pytest.mark.parametrize("n_rows", [0, 1, 7, 16, 63, 64, 65, 1000, 300_000])
def test_the_first_bad_label(n_rows: int) -> None:
    labels = np.random.default_rng(n_rows).integers(0, 10, n_rows)
    assert kernels.first_bad_label(labels, 10) == -1
    for at in {0, n_rows // 2, n_rows - 1} - {-1}:
        for wrong in (10, -1, np.iinfo(np.int64).max, np.iinfo(np.int64).min):
            if at < n_rows:
                labels[at], kept = wrong, labels[at]
                assert kernels.first_bad_label(labels, 10) == at
                labels[-1], last = -5, labels[-1]
                assert kernels.first_bad_label(labels, 10) == at
                labels[-1], labels[at] = last, kept


@pytest.mark.skipif(kernels.KERNELS == "numpy", reason="NumPy checks its indices itself")
@pytest.mark.parametrize("n_classes", [3, 20, 100])
def test_a_label_written_after_the_check_leads_nowhere(n_classes: int) -> None:
    """Another thread may change labels while a kernel reads them: no memory outside is touched."""
    rng = np.random.default_rng(0)
    z, labels = rng.normal(size=(40, n_classes)), rng.integers(0, n_classes, 40)
    weight = rng.uniform(0.5, 2, n_classes)
    options = LossOptions(class_weight=weight)
    changed = labels.copy()
    changed[::7] = [10**15, -(10**15), n_classes, -1, 2**62, -(2**62)]
    found = []
    for given in (labels, changed):
        losses, gradient = np.empty(40), np.empty_like(z)
        kernels.cross_entropy_rows(z, given, None, 1.0, options, losses, gradient)
        found.append((np.delete(losses, np.s_[::7]), np.delete(gradient, np.s_[::7], 0)))
    for expected, result in zip(*found, strict=True):
        np.testing.assert_array_equal(expected, result)


@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
@pytest.mark.parametrize("n_values", [0, 1, 7, 16, 127, 128, 129, 300_000])
def test_the_first_value_outside(n_values: int, dtype: Any) -> None:
    """NaN is outside; both ends are inside."""
    values = np.random.default_rng(n_values).uniform(0, 1, n_values).astype(dtype)
    values[:2] = (0.0, 1.0)[:n_values]
    assert kernels.first_outside(values, 1.0) == -1
    for at in {0, n_values // 2, n_values - 1} - {-1}:
        for wrong in (-0.25, 1.25, np.nan, np.inf, -np.inf):
            if at < n_values:
                values[at], kept = wrong, values[at]
                assert kernels.first_outside(values, 1.0) == at
                values[-1], last = np.nan, values[-1]
                assert kernels.first_outside(values, 1.0) == at
                values[-1], values[at] = last, kept
