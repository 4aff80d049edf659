"""Passes over drawn rows: where they lead, what they say, and who may end them."""

from __future__ import annotations

import numpy as np
import pytest

from crossent.solvers import Passes, Stop, minibatch


class Places:
    """The mean of |x - place|^2 over 200 places: its minimum is their mean."""

    n_samples = 200

    def __init__(self) -> None:
        self.places = np.random.default_rng(0).normal([1.0, -2.0, 3.0], size=(200, 3))
        self.seen = []

    def value_and_grad(self, x):
        d = x - self.places
        return float(np.square(d).sum() / 200), 2.0 * d.mean(axis=0)

    def rows_value_and_grad(self, x, rows):
        self.seen.append(rows.copy())
        d = x - self.places[rows]
        return float(np.square(d).sum() / len(rows)), 2.0 * d.mean(axis=0)


def passes(n_passes=40, batch_rows=30):
    return Passes(n_passes, batch_rows, 0.2, np.random.RandomState(0))


def run(objective, criterion=lambda at: None, plan=None, **options):
    options = {"max_iter": 1000} | options
    return minibatch(objective, np.zeros(3), criterion, passes=plan or passes(), **options)


def test_the_minimum_is_found_and_reported_whole():
    objective = Places()
    found = run(objective)
    minimum = objective.places.mean(axis=0)
    np.testing.assert_allclose(found.parameters, minimum, atol=0.02)  # one step is 0.2
    value, gradient = objective.value_and_grad(found.parameters)
    assert found.value == value
    assert found.gradient_norm == np.linalg.norm(gradient)
    assert found.converged
    assert (found.n_iterations, found.n_evaluations) == (40, 41)
    assert "finished 40 passes" in found.reason


def test_a_pass_sees_every_row_once_in_another_order():
    objective = Places()
    run(objective, plan=passes(2))
    first, second = objective.seen[:7], objective.seen[7:]
    assert [len(rows) for rows in first] == [29, 29, 29, 29, 28, 28, 28]
    for part in (first, second):
        np.testing.assert_array_equal(np.sort(np.concatenate(part)), np.arange(200))
    assert not np.array_equal(np.concatenate(first), np.concatenate(second))


def test_fewer_passes_than_planned_did_not_converge():
    found = run(Places(), max_iter=4, remedy="wait longer")
    assert (found.n_iterations, found.converged) == (4, False)
    assert "did not converge in 4 passes" in found.reason
    assert "40 were planned" in found.reason
    assert found.reason.endswith("wait longer")


def test_a_criterion_and_a_callback_end_it_after_a_pass():
    seen = []
    stopped = run(Places(), lambda at: Stop(True, "enough") if at.n_iteration == 2 else None)
    assert (stopped.n_iterations, stopped.converged, stopped.reason) == (2, True, "enough")
    called = run(Places(), callback=lambda at: seen.append(at) or len(seen) == 3)
    assert (called.n_iterations, called.stopped_by_callback) == (3, True)
    assert "callback after 3 passes" in called.reason
    assert seen[2].value < seen[0].value
    assert not np.array_equal(seen[0].parameters, seen[1].parameters)


def test_a_gradient_that_is_no_number_is_an_error():
    objective = Places()
    objective.places[3] = np.nan
    with pytest.raises(ValueError, match="not finite: scale the data"):
        run(objective)
