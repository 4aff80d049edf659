"""The sigmoid and the cross-entropy of two classes by one logit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crossent import _kernels as kernels
from crossent._arguments import LossOptions
from tests.kernels import tables, truth
from tests.kernels.tables import name_of
from tests.kernels.truth import Array, ulps, wide

needs_extended = pytest.mark.skipif(
    not truth.HAS_EXTENDED, reason="np.longdouble is no wider than float64 on this machine"
)
PLAIN = LossOptions()
OPTIONS = [PLAIN, LossOptions(0.1, 2.0, class_weight=np.array([0.5, 2.0]))]


def _logits(dtype: Any) -> Array:
    rng = np.random.default_rng(0)
    deep = np.linspace(-740, 740, 401)
    return np.concatenate([rng.normal(0, 5, 1001), deep, [0.0, -0.0]]).astype(dtype)


def _sigmoid(x: Array) -> Array:
    decay = np.exp(-np.abs(x))
    return np.where(x < 0, decay, 1) / (1 + decay)


def _softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@needs_extended
@pytest.mark.parametrize("dtype", tables.DTYPES, ids=name_of)
def test_sigmoid(dtype: Any) -> None:
    x = _logits(dtype)
    out = np.empty_like(x)
    kernels.sigmoid_elements(x, out)
    assert ulps(out, _sigmoid(wide(x))) <= 2.5
    edges = np.array([np.inf, -np.inf, np.nan]).astype(dtype)
    kernels.sigmoid_elements(edges, edges)
    np.testing.assert_array_equal(wide(edges), [1, 0, np.nan])


@needs_extended
@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "options"])
@pytest.mark.parametrize("dtype", tables.DTYPES, ids=name_of)
def test_loss_and_gradient(dtype: Any, options: LossOptions) -> None:
    x = _logits(dtype)
    rng = np.random.default_rng(1)
    y = rng.uniform(0, 1, len(x)).astype(tables.computed(dtype))
    y[::3], y[1::3] = 0, 1
    weight = rng.uniform(0, 2, len(x))
    weight[5::7] = 0
    x[5] = np.nan  # absent: never looked at
    loss, gradient = np.empty(len(x)), np.empty_like(x)
    kernels.binary_cross_entropy_elements(x, y, weight, 1.0, options, loss, gradient)
    w0, w1 = (1, 1) if options.class_weight is None else options.class_weight
    u = np.where(weight == 0, 0, wide(x)) / truth.EXTENDED(options.temperature)
    e = truth.EXTENDED(options.label_smoothing)
    of_1, of_0 = w1 * ((1 - e) * wide(y) + e / 2), w0 * ((1 - e) * (1 - wide(y)) + e / 2)
    expected = weight * (of_1 * _softplus(-u) + of_0 * _softplus(u))
    scale = weight / truth.EXTENDED(options.temperature)
    terms = of_0 * _sigmoid(u), of_1 * _sigmoid(-u)
    limit = 4.0 if dtype is np.float64 else 1.0
    assert ulps(loss.astype(tables.computed(dtype)), expected) <= limit
    assert ulps(gradient, scale * (terms[0] - terms[1]), scale * (terms[0] + terms[1])) <= limit
    again = np.empty_like(loss)
    kernels.binary_cross_entropy_elements(x, y, weight, 1.0, options, again, None)
    np.testing.assert_array_equal(again, loss)


# Worst errors measured: loss 2.1; gradient 2.5 of labels, 2.8 of targets (ulp of the larger term).
@needs_extended
@pytest.mark.parametrize("target", ["labels", "targets"])
@pytest.mark.parametrize("dtype", tables.DTYPES, ids=name_of)
def test_without_options(dtype: Any, target: str) -> None:
    x = np.concatenate([_logits(dtype), np.linspace(-2, 2, 30_001).astype(dtype)])
    rng = np.random.default_rng(2)
    labels, computed = rng.integers(0, 2, len(x)), tables.computed(dtype)
    y = labels if target == "labels" else rng.uniform(0, 1, len(x)).astype(computed)
    loss, gradient = np.empty(len(x)), np.empty_like(x)
    total = kernels.binary_cross_entropy_elements(x, y, None, 1.0, PLAIN, loss, gradient)
    u, wide_y = wide(x), wide(y)
    expected = wide_y * _softplus(-u) + (1 - wide_y) * _softplus(u)
    terms = (1 - wide_y) * _sigmoid(u), wide_y * _sigmoid(-u)
    assert ulps(loss.astype(computed), expected) <= 2.5
    assert ulps(gradient, terms[0] - terms[1], np.maximum(*terms)) <= 3.0
    np.testing.assert_allclose(total, float(expected.sum()), rtol=4 * np.finfo(computed).eps)
    np.testing.assert_array_equal(
        kernels.binary_cross_entropy_elements(x, y, None, 1.0, PLAIN, None, None), total
    )


@pytest.mark.parametrize("dtype", tables.DTYPES, ids=name_of)
def test_infinite_logits(dtype: Any) -> None:
    """0 times infinity is 0: a class that has no weight adds nothing."""
    x = np.array([np.inf, np.inf, -np.inf, -np.inf, np.nan]).astype(dtype)
    labels = np.array([1, 0, 0, 1, 1])
    loss, gradient = np.empty(5), np.empty_like(x)
    for y in (labels, labels.astype(tables.computed(dtype))):
        kernels.binary_cross_entropy_elements(x, y, None, 1.0, PLAIN, loss, gradient)
    np.testing.assert_array_equal(loss, [0, np.inf, 0, np.inf, np.nan])
    np.testing.assert_array_equal(wide(gradient), [0, 1, 0, -1, np.nan])
