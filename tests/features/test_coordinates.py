"""Whitened coordinates: an exact change of variables, in which curvature is the identity."""

from __future__ import annotations

import numpy as np
import pytest

from crossent.data import ArrayBatches
from crossent.features import LinearFeatures, whitened
from crossent.features import _coordinates as module


def table(n_inputs=4):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, n_inputs)) * 10.0 ** rng.uniform(-4, 4, n_inputs)
    X[:, 1] += 0.5 * X[:, 0]
    return X + 3.0 * X.std(axis=0), rng.uniform(0.5, 2.0, 200)


def coordinates(X, weight, ridge=0.01, centred=True, batch_rows=None):
    batches = ArrayBatches(X, np.zeros(len(X), dtype=np.int64), weight, batch_rows=batch_rows)
    return whitened(
        batches,
        LinearFeatures(X.shape[1]),
        np.empty(0),
        lambda batch: batch.sample_weight,
        curvature=0.25,
        ridge=ridge,
        centred=centred,
    )


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("ridge", [0.0, 0.01])
def test_coordinates_and_back(diagonal, ridge, monkeypatch):
    if diagonal:
        monkeypatch.setattr(module, "_FULL_UP_TO", 1)
    found = coordinates(*table(), ridge=ridge)
    rng = np.random.default_rng(1)
    u, v = rng.normal(size=(3, 4)), rng.normal(size=3)
    again = found.inverse(*found.weight_and_bias(u, v))
    np.testing.assert_allclose(again[0], u, rtol=1e-9)
    np.testing.assert_allclose(again[1], v, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("batch_rows", [None, 7])
@pytest.mark.parametrize("ridge", [0.0, 0.01])
def test_curvature_becomes_the_identity(ridge, batch_rows):
    X, weight = table()
    found = coordinates(X, weight, ridge=ridge, batch_rows=batch_rows)
    share = weight / weight.sum()
    centred = X - share @ X
    curvature = 0.25 * (centred * share[:, None]).T @ centred + ridge * np.eye(4)
    np.testing.assert_allclose(found.mean, share @ X, rtol=1e-12)
    np.testing.assert_allclose(found.factor.T @ curvature @ found.factor, np.eye(4), atol=1e-8)


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("ridge", [0.0, 0.01])
@pytest.mark.parametrize("joint", [False, True])
def test_curvature_among_classes_becomes_the_identity(ridge, diagonal, joint, monkeypatch):
    if diagonal:
        monkeypatch.setattr(module, "_FULL_UP_TO", 1)
    X, weight = table()
    rng = np.random.default_rng(4)
    root = rng.normal(size=(3, 3))
    classes = root @ root.T if joint else np.diag([0.1, 0.2, 0.05])
    first = coordinates(X, weight, ridge=ridge)
    found = first.for_classes(classes if joint else classes.diagonal(), ridge)
    share = weight / weight.sum()
    centred = X - share @ X
    moments = (centred * share[:, None]).T @ centred
    moments = np.diag(moments.diagonal()) if diagonal else moments

    def curvature(step):
        return classes @ step @ moments + ridge * step

    basis = np.eye(12).reshape(12, 3, 4)
    steps = [found.weight_and_bias(u, np.zeros(3))[0] for u in basis]
    gram = [[np.vdot(one, curvature(other)) for one in steps] for other in steps]
    np.testing.assert_allclose(gram, np.eye(12), atol=1e-7)
    u, v = rng.normal(size=(3, 4)), rng.normal(size=3)
    again = found.inverse(*found.weight_and_bias(u, v))
    np.testing.assert_allclose(again[0], u, rtol=1e-7)
    np.testing.assert_allclose(again[1], v, rtol=1e-7, atol=1e-7)


def test_gradients_follow_the_chain_rule():
    """<gradient in (u, v), step> equals <gradient in (W, b), step of (W, b)>: the map is linear."""
    found = coordinates(*table())
    rng = np.random.default_rng(2)
    u, v, g_w, g_b = (rng.normal(size=shape) for shape in [(3, 4), 3, (3, 4), 3])
    weight, bias = found.weight_and_bias(u, v)
    g_u, g_v = found.vjp(g_w.copy(), g_b)
    pulled = np.vdot(g_u, u) + np.vdot(g_v, v)
    np.testing.assert_allclose(pulled, np.vdot(g_w, weight) + np.vdot(g_b, bias), rtol=1e-10)


def test_logits_are_linear_in_the_coordinates():
    X, weight = table()
    found = coordinates(X, weight)
    rng = np.random.default_rng(3)
    u, v = rng.normal(size=(3, 4)), rng.normal(size=3)
    w, b = found.weight_and_bias(u, v)
    np.testing.assert_allclose(
        found.features(X) @ u.T + found.bias_scale * v, X @ w.T + b, rtol=1e-8, atol=1e-8
    )


@pytest.mark.parametrize("diagonal", [False, True])
def test_directions_without_data_are_left_out_only_without_a_penalty(diagonal, monkeypatch):
    if diagonal:
        monkeypatch.setattr(module, "_FULL_UP_TO", 1)
    X, weight = table()
    X[:, 2] = 5.0
    free = coordinates(X, weight, ridge=0.0)
    held = coordinates(X, weight, ridge=0.01)
    u = np.ones((1, 4))
    assert free.weight_and_bias(u, np.zeros(1))[0][0, 2] == pytest.approx(0.0, abs=1e-9)
    assert abs(held.weight_and_bias(u, np.zeros(1))[0][0, 2]) > 1.0


def test_without_an_intercept_nothing_is_taken_away():
    assert not coordinates(*table(), centred=False).mean.any()


def test_rows_without_any_weight_are_an_error():
    X, weight = table()
    with pytest.raises(ValueError, match="every row has weight 0"):
        coordinates(X, 0.0 * weight)
