"""Two classes by one logit: its limits, and the case K = 2 it must equal."""

import numpy as np
import pytest

import crossent as ce

INF = np.inf


def test_infinite_logits_are_certain():
    z, y = [INF, INF, -INF, -INF], [1, 0, 1, 0]
    loss, gradient = ce.binary_cross_entropy_value_and_grad(z, y, reduction="none")
    np.testing.assert_array_equal(loss, [0, INF, INF, 0])
    np.testing.assert_array_equal(gradient, [0, 1, -1, 0])
    np.testing.assert_array_equal(ce.sigmoid([INF, -INF]), [1, 0])


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("normalizer", ["weight", "count", 7.0])
def test_equals_two_classes(soft, normalizer):
    rng = np.random.default_rng(3)
    u, r = 10 * rng.normal(size=50), rng.random(50) * (rng.random(50) > 0.2)
    y = rng.random(50) if soft else rng.integers(0, 2, 50)
    two = np.stack([1 - y, y], axis=1) if soft else y
    options = {
        "class_weight": [0.5, 2.0],
        "sample_weight": r,
        "label_smoothing": 0.1,
        "temperature": 1.5,
        "normalizer": normalizer,
    }
    loss, gradient = ce.binary_cross_entropy_value_and_grad(u, y, **options)
    logits = np.stack([0 * u, u], axis=1)
    expected, by = ce.cross_entropy_value_and_grad(logits, two, **options)
    np.testing.assert_allclose(loss, expected, rtol=1e-14)
    np.testing.assert_allclose(gradient, by[:, 1], rtol=0, atol=1e-15)


def test_ignored_rows_may_hold_anything():
    loss = ce.binary_cross_entropy([0.0, np.nan], [1, -1], ignore_index=-1)
    assert loss == pytest.approx(ce.binary_cross_entropy([0.0], [1]), rel=1e-15)
