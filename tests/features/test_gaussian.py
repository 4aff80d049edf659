"""Gaussian features as a function of flat parameters: values, and gradients by differences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from crossent.features import GaussianFeatures, LinearFeatures

TRAINED = list(itertools.product([True, False], repeat=3))


def features(kind, train_centers=True, train_beta=True, train_scale=True, dtype=np.float64):
    rng = np.random.default_rng(0)
    return GaussianFeatures(
        rng.normal(size=(4, 3)).astype(dtype),
        rng.uniform(0.2, 1.0, 4).astype(dtype),
        kind,
        train_centers=train_centers,
        train_beta=train_beta,
        train_scale=train_scale,
        center_scale=1.7,
    )


@pytest.mark.parametrize("kind", ["radial", "additive"])
@pytest.mark.parametrize("trained", TRAINED)
def test_parameters_come_back_as_they_went_in(kind, trained):
    chosen = features(kind, *trained)
    centers, beta, scale = chosen.named(chosen.start())
    assert (
        len(chosen.start())
        == chosen.n_parameters
        == 12 * trained[0] + 4 * trained[1] + 3 * trained[2]
    )
    assert (scale is not None) == trained[2]
    whole = features(kind)
    np.testing.assert_allclose(centers, whole.named(whole.start()).centers, rtol=1e-15)
    np.testing.assert_allclose(beta, whole.named(whole.start()).beta, rtol=1e-15)


@pytest.mark.parametrize("kind", ["radial", "additive"])
@pytest.mark.parametrize("trained", TRAINED)
def test_gradients_equal_central_differences(kind, trained):
    rng = np.random.default_rng(1)
    chosen, inputs = features(kind, *trained), rng.normal(size=(6, 3))
    h, start = rng.normal(size=(6, 4)), chosen.start()
    start += 0.1 * rng.normal(size=start.shape)

    def back(parameters, rows):
        return float((chosen.values(parameters, rows) * h).sum())

    def differences(f, x, step=1e-6):
        result = np.zeros_like(x)
        for index in np.ndindex(x.shape):
            shift = np.zeros_like(x)
            shift[index] = step
            result[index] = (f(x + shift) - f(x - shift)) / (2.0 * step)
        return result

    # central differences at step 1e-6 are good to about 1e-10 here
    np.testing.assert_allclose(
        chosen.forward(start, inputs)[1](h),
        differences(lambda p: back(p, inputs), start),
        atol=1e-8,
    )
    np.testing.assert_allclose(
        chosen.inputs_vjp(start, inputs, h),
        differences(lambda rows: back(start, rows), inputs),
        atol=1e-8,
    )


def test_float32_stays_float32():
    chosen = features("radial", dtype=np.float32)
    inputs = np.zeros((2, 3), dtype=np.float32)
    assert chosen.values(chosen.start(), inputs).dtype == np.float32
    phi, pull = chosen.forward(chosen.start(), inputs)
    assert phi.dtype == np.float32
    assert pull(np.ones((2, 4), np.float32)).dtype == np.float64


def test_linear_features_are_the_inputs():
    inputs = np.arange(6.0).reshape(2, 3)
    linear = LinearFeatures(3)
    assert linear.n_features == 3
    assert linear.values(np.empty(0), inputs) is inputs
    assert linear.inputs_vjp(np.empty(0), inputs, inputs) is inputs
    assert linear.forward(np.empty(0), inputs)[1](inputs).shape == (0,)


@pytest.mark.parametrize("kind", ["radial", "additive"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_forward_gives_the_values(kind, dtype):
    """Radial ones by a product: float32 exponents were 2e-6 off at most here."""
    chosen = features(kind, dtype=dtype)
    inputs = np.random.default_rng(2).normal(size=(50, 3)).astype(dtype)
    phi, pull = chosen.forward(chosen.start(), inputs)
    assert phi.dtype == dtype
    assert pull(phi).dtype == np.float64
    np.testing.assert_allclose(
        phi, chosen.values(chosen.start(), inputs), atol=40 * np.finfo(dtype).eps
    )


def test_features_far_from_all_centers_are_no_denormal_numbers():
    chosen = features("radial", dtype=np.float32)
    phi, _ = chosen.forward(chosen.start(), np.full((1, 3), 1e3, np.float32))
    assert (phi > np.finfo(np.float32).tiny).all()
    assert (phi < 1e-25).all()
