"""Adam's steps against its formula, and what they lead to."""

from __future__ import annotations

import itertools
import pickle
import tracemalloc

import numpy as np
import pytest

from crossent.solvers import Adam, Cosine


def formula(start, gradients, step_size, decay=(0.9, 0.999), epsilon=1e-8):
    """Sums of the whole past instead of running means."""
    x, g = start.copy(), np.array(gradients)
    for t in range(1, len(g) + 1):
        ages = np.arange(t - 1, -1, -1)[:, None]
        first, second = (decay[i] ** ages / (decay[i] ** ages).sum() for i in (0, 1))
        mean, square = (first * g[:t]).sum(axis=0), (second * g[:t] ** 2).sum(axis=0)
        x = x - step_size(t - 1) * mean / (np.sqrt(square) + epsilon)
    return x


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("step_size", [0.01, Cosine(0.1, 30, 5)], ids=["constant", "cosine"])
def test_steps_are_the_formula(dtype, step_size):
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=7), rng.normal(size=(30, 7))
    adam = Adam(start.astype(dtype), step_size)
    for gradient in gradients:
        found = adam.step(gradient.astype(dtype))
    assert found.dtype == dtype
    wanted = formula(start, gradients, step_size if callable(step_size) else lambda t: step_size)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=30 * np.finfo(dtype).eps)


def test_parameters_are_moved_in_place_without_new_memory():
    start = np.ones(100_000)
    adam = Adam(start, 0.1)
    gradient, first = np.full(100_000, 2.0), adam.parameters
    tracemalloc.start()
    try:
        moved = adam.step(gradient)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert moved is first
    assert adam.n_steps == 1
    assert (start == 1.0).all()
    assert (gradient == 2.0).all()
    np.testing.assert_allclose(moved, 0.9)
    assert peak < 300_000  # isfinite's booleans; one array of floats would be 800 000


def test_a_scaled_gradient_gives_the_same_steps():
    rng = np.random.default_rng(1)
    small, large = Adam(np.zeros(5), 0.1), Adam(np.zeros(5), 0.1)
    for gradient in rng.normal(size=(20, 5)) + 1.0:
        small.step(gradient)
        large.step(1e6 * gradient)
    np.testing.assert_allclose(small.parameters, large.parameters, rtol=1e-6)


def test_falling_steps_come_to_rest_where_constant_ones_scatter():
    """The mean of noisy bowls, of curvatures 1 to 100, is found to within the noise."""
    rng = np.random.default_rng(2)
    curvature, minimum = np.array([1.0, 10.0, 100.0]), np.array([1.0, -1.0, 2.0])
    places = minimum + 0.5 * rng.normal(size=(3000, 3))
    adams = Adam(np.zeros(3), Cosine(0.05, 3000)), Adam(np.zeros(3), 0.05)
    for place in places:
        for adam in adams:
            adam.step(curvature * (adam.parameters - place))
    falling, constant = (np.abs(adam.parameters - minimum).max() for adam in adams)
    assert falling < 0.05
    assert constant > 2.0 * falling


def test_a_gradient_that_is_no_number_moves_nothing():
    adam = Adam(np.zeros(2), 0.1)
    adam.step(np.ones(2))
    before = adam.parameters.copy()
    with pytest.raises(ValueError, match=r"gradient of step 2 is not finite.*scale the data"):
        adam.step(np.array([1.0, np.nan]))
    np.testing.assert_array_equal(adam.parameters, before)
    assert adam.n_steps == 1


def test_a_pickled_adam_goes_on():
    adam = Adam(np.zeros(3), Cosine(0.1, 10))
    adam.step(np.arange(3.0))
    other = pickle.loads(pickle.dumps(adam))
    np.testing.assert_array_equal(adam.step(np.ones(3)), other.step(np.ones(3)))


def test_cosine_rises_and_falls_to_zero():
    sizes = [Cosine(2.0, 10, 4)(t) for t in range(12)]
    assert sizes[:5] == [0.5, 1.0, 1.5, 2.0, 2.0]
    assert all(a > b for a, b in itertools.pairwise(sizes[4:11]))
    assert sizes[10:] == [0.0, 0.0]
