"""Both solvers on functions whose minima are known, and every way in which they stop."""

from __future__ import annotations

import numpy as np
import pytest

from crossent.solvers import (
    Progress,
    RelativeGap,
    SmallDecrease,
    SmallGradient,
    Stop,
    lbfgs,
)


class Bowl:
    """1 + sum_k a_k (x_k - k)^2 / 2, of the given curvatures; it counts its evaluations.

    Its parameters are x in a unit, which `refined` takes from the curvature.
    """

    def __init__(self, *curvatures: float) -> None:
        self.a = np.array(curvatures)
        self.n_evaluations, self.unit = 0, np.ones(len(self.a))

    def value_and_grad(self, parameters):
        self.n_evaluations += 1
        value, gradient = self.of(self.unit * parameters - np.arange(len(parameters)))
        return 1.0 + value, self.unit * gradient

    def of(self, d):
        return 0.5 * float(self.a @ d**2), self.a * d

    def curvature(self, d):
        return self.a

    def refined(self, parameters):
        x = self.unit * parameters
        curvature = self.curvature(x - np.arange(len(x)))
        self.unit = 1.0 / np.sqrt(np.where(curvature > 0.0, curvature, 1.0))
        return x / self.unit


class Cosh(Bowl):
    """sum_k cosh(x_k - k): Newton's full step overshoots from far away on log cosh."""

    def of(self, d):
        return float(np.logaddexp(d, -d).sum()), np.tanh(d)

    def curvature(self, d):
        return 1.0 / np.cosh(d) ** 2


def small_gradient(limit):
    def criterion(progress: Progress):
        return Stop(True, "small") if progress.gradient_norm <= limit else None

    return criterion


def newton(function, *args, **options):
    function.is_due = lambda n_iterations, n_since, *, unsure: True
    try:
        return lbfgs(function, *args, **options)
    finally:
        del function.is_due


SOLVERS = pytest.mark.parametrize("solver", [lbfgs, newton])


@SOLVERS
@pytest.mark.parametrize("function", [Bowl(1.0, 10.0, 100.0), Cosh(1.0, 1.0, 1.0)])
def test_minimum_is_found(solver, function):
    function.n_evaluations, function.unit = 0, np.ones(3)
    result = solver(function, np.array([3.0, -2.0, 5.0]), small_gradient(1e-9), max_iter=100)
    np.testing.assert_allclose(function.unit * result.parameters, [0.0, 1.0, 2.0], atol=1e-8)
    assert result.converged
    assert result.reason == "small"
    assert result.gradient_norm <= 1e-9
    if solver is lbfgs:
        assert result.n_evaluations == function.n_evaluations
    assert result.value == function.value_and_grad(result.parameters)[0]


@SOLVERS
def test_a_start_at_the_minimum_costs_one_evaluation(solver):
    result = solver(Bowl(1.0, 1.0), np.array([0.0, 1.0]), small_gradient(1e-9), max_iter=5)
    assert (result.n_iterations, result.n_evaluations, result.converged) == (0, 1, True)


@SOLVERS
def test_too_few_iterations(solver):
    result = solver(
        Cosh(1.0, 1.0), np.full(2, 2.5), small_gradient(0.0), max_iter=2, remedy="wait longer"
    )
    assert result.n_iterations == 2
    assert not result.converged
    assert "did not converge in 2 iterations" in result.reason
    assert result.reason.endswith("wait longer")


@SOLVERS
def test_the_limit_of_arithmetic_is_said(solver):
    result = solver(Cosh(1.0, 1.0), np.full(2, 2.5), lambda progress: None, max_iter=10_000)
    assert not result.converged
    assert result.n_iterations < 100
    assert "limit of the arithmetic" in result.reason or "no lower point" in result.reason


@SOLVERS
def test_a_callback_sees_every_iteration_and_can_stop(solver):
    seen = []

    def callback(progress):
        seen.append(progress.n_iteration)
        return progress.n_iteration == 3

    result = solver(
        Cosh(1.0, 1.0), np.full(2, 2.5), small_gradient(1e-12), max_iter=50, callback=callback
    )
    assert seen == [1, 2, 3]
    assert result.stopped_by_callback
    assert "callback after 3 iterations" in result.reason


@SOLVERS
def test_a_callback_that_returns_something_else_does_not_stop(solver):
    result = solver(
        Bowl(1.0, 9.0), np.full(2, 5.0), small_gradient(1e-9), max_iter=50, callback=lambda p: "go"
    )
    assert result.converged


@SOLVERS
def test_a_start_that_is_no_number_is_an_error(solver):
    with pytest.raises(ValueError, match="not a finite number"):
        solver(Bowl(1.0), np.array([np.nan]), small_gradient(1.0), max_iter=5)


def test_a_step_too_far_is_taken_back():
    class Wall(Bowl):
        def value_and_grad(self, x):
            value, gradient = super().value_and_grad(x)
            return (np.inf, gradient) if np.abs(x).max() > 2.5 else (value, gradient)

    result = lbfgs(Wall(1.0, 50.0), np.array([2.0, -2.0]), small_gradient(1e-6), max_iter=100)
    np.testing.assert_allclose(result.parameters, [0.0, 1.0], atol=1e-5)


def test_very_many_parameters_are_remembered_in_float32_and_found_in_float64():
    size = 1 << 18
    many = Bowl(*np.linspace(1.0, 50.0, size))
    start = np.arange(size) + np.random.default_rng(0).normal(size=size)
    result = lbfgs(many, start, small_gradient(1e-6), max_iter=100)
    assert result.converged
    np.testing.assert_allclose(result.parameters, np.arange(size), rtol=0.0, atol=1e-6)


def test_no_step_is_tried_that_a_parabola_would_end_below_nothing():
    steep = Bowl(100.0)
    lbfgs(steep, np.array([3.0]), small_gradient(1e-9), max_iter=1)
    assert steep.n_evaluations == 2


def test_an_objective_knows_when_better_coordinates_are_due():
    """It is told the iterations, those since the last time, and whether the criterion is unsure."""
    asked, function, criterion = [], Cosh(1.0, 1.0), small_gradient(0.0)

    def is_due(n_iterations, n_since, *, unsure):
        asked.append((n_iterations, n_since, unsure))
        criterion.unsure = n_iterations == 2
        return n_iterations == 1 or unsure

    function.is_due, criterion.unsure = is_due, False
    lbfgs(function, np.full(2, 2.5), criterion, max_iter=5)
    assert asked == [(0, 0, False), (1, 1, False), (2, 1, False), (3, 2, True), (4, 1, False)]
    assert (function.unit > 1.0).all()


def test_directions_without_curvature_are_left_alone():
    result = newton(Bowl(1.0, 0.0), np.array([3.0, 7.0]), small_gradient(1e-9), max_iter=20)
    np.testing.assert_allclose(result.parameters, [0.0, 7.0], atol=1e-9)


def progress(value, gradient_norm=1.0, n=1):
    return Progress(n, value, gradient_norm, np.empty(0))


def test_relative_gap_counts_from_the_best_lower_bound():
    gaps = iter([1.0, 0.7, 0.9])
    criterion = RelativeGap(lambda parameters: next(gaps), tol=0.3)
    assert criterion(progress(1.0)) is None
    assert criterion.last == np.inf  # f* may be 0: no relative bound
    assert criterion(progress(0.9)) is None  # f* is at least 0.2
    assert criterion.last == pytest.approx(0.7 / 0.2)
    assert criterion(progress(0.8)) is None  # the bound here, -0.1, is worse
    assert criterion.last == pytest.approx(0.6 / 0.2)
    stop = criterion(progress(0.25))  # fell by more than tol: no certificate is asked for
    assert stop is not None
    assert stop.converged
    assert criterion.last == pytest.approx(0.05 / 0.2)


def test_small_decrease_looks_back_ten_iterations():
    criterion = SmallDecrease(1e-3)
    values = [100.0 * 0.99**n for n in range(30)]
    assert all(criterion(progress(value)) is None for value in values)
    slow = [values[-1] * 0.9999**n for n in range(1, 11)]
    stops = [criterion(progress(value)) for value in slow]
    assert stops[0] is None
    assert stops[-1] is not None
    assert stops[-1].converged


@pytest.mark.parametrize(("norm", "nothing"), [(0.0, True), (1e-8, True), (1e-5, False)])
def test_small_decrease_ends_where_the_gradient_promises_nothing(norm, nothing):
    stop = SmallDecrease(1e-4)(progress(1.0, gradient_norm=norm, n=0))
    assert (stop is not None and stop.converged) == nothing


def test_small_gradient_tells_separable_classes():
    criterion = SmallGradient(1e-4, start_value=1.0)
    assert criterion(progress(0.5)) is None
    converged = criterion(progress(0.5, gradient_norm=1e-5))
    assert converged is not None
    assert converged.converged
    separable = criterion(progress(1e-7, gradient_norm=1e-9))
    assert separable is not None
    assert not separable.converged
    assert "finite C" in separable.reason
