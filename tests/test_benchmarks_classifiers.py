"""The benchmark of softmax regression: one judge for all, whole curves, and the page."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from benchmarks import classifiers, classifiers_judge, pages, render_classifiers
from benchmarks.classifiers_problems import Table, mixture, words

SOLVERS = ["crossent", "lbfgs", "newton-cholesky"]


def small():
    return mixture(300, 4, 3, 0.6)


@pytest.fixture
def results(monkeypatch, tmp_path):
    monkeypatch.setattr(classifiers, "RESULTS", tmp_path)
    monkeypatch.setattr(classifiers, "ITERATIONS", (1, 2, 5, 10, 20, 40, 80))
    return tmp_path / "classifiers.csv"


def test_the_judge_is_the_formula():
    X, y = small()
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(3, 4)), rng.normal(size=3)
    p = np.exp(X @ weight.T + bias)
    wanted = -np.log(p[np.arange(300), y] / p.sum(axis=1)).sum() + 0.5 * np.square(weight).sum()
    assert classifiers_judge.objective(X, y, weight, bias) == pytest.approx(wanted, rel=1e-13)


def test_every_solver_comes_to_one_optimum(results):
    table = Table("mixture", "300 x 4 x 3", small)
    classifiers.measure_times([table], SOLVERS, classifiers.Plan())
    rows = pages.read(results)
    assert {row["solver"] for row in rows} == set(SOLVERS)
    for solver in SOLVERS:
        own = [row for row in rows if row["solver"] == solver]
        gaps = [float(row["gap"]) for row in own]
        assert gaps[0] > 1e-3
        assert 0.0 <= gaps[-1] <= 1e-8, solver
        assert [int(row["max_iter"]) for row in own] == list(classifiers.ITERATIONS[: len(own)])
        assert all(float(row["seconds"]) > 0.0 for row in own)
    assert len({row["best"] for row in rows}) == 1


def test_a_fit_beyond_the_cap_is_the_last_and_measured_rows_are_replaced(results):
    table = Table("mixture", "300 x 4 x 3", small)
    classifiers.measure_times([table], ["crossent", "lbfgs"], classifiers.Plan())
    n_before = len(pages.read(results))
    classifiers.measure_times([table], ["lbfgs"], classifiers.Plan((2, 3), cap=0.0))
    rows = pages.read(results)
    of_lbfgs = [row for row in rows if row["solver"] == "lbfgs"]
    assert [row["max_iter"] for row in of_lbfgs] == ["2"]
    assert "more than 0 s" in of_lbfgs[0]["note"]
    assert 1 < len(rows) < n_before


def test_only_solvers_that_can_be_asked_are():
    X, _ = small()
    assert classifiers_judge.sensible("newton-cholesky", X, 3)
    assert not classifiers_judge.sensible("newton-cholesky", X, 1000)
    assert classifiers_judge.sensible("sag", X, 3)
    assert not classifiers_judge.sensible("sag", 100.0 * X, 3)
    sparse, y = words(50, 30, 3, 5)
    assert not classifiers_judge.sensible("newton-cholesky", sparse, 3)
    np.testing.assert_allclose(np.asarray(sparse.multiply(sparse).sum(axis=1)), 1.0)
    assert set(y) == {0, 1, 2}


def test_the_time_to_a_gap_is_that_of_a_fit_that_has_it():
    curve = [(0.2, 1e-3), (0.3, 1e-5), (0.5, 1e-9)]
    assert render_classifiers.seconds_to(curve, 1e-4) == 0.3
    assert render_classifiers.seconds_to(curve, 1e-8) == 0.5
    assert render_classifiers.seconds_to(curve, 1e-10) == np.inf


def test_a_solver_that_was_left_may_be_the_fastest():
    """What it would have taken is not known: a ratio counts it with the time it was given."""
    curves = {"t, 1": {"crossent": [(1.0, 1e-9)], "a": [(20.0, 1e-9)], "b": [(5.0, 1e-3)]}}
    cells = render_classifiers.times_table(curves, [])[2].split(" | ")
    assert cells[1:5] == ["1 s", "not in 5 s", "b", "> 5"]
    curves["t, 1"]["b"] = [(40.0, 1e-3)]
    cells = render_classifiers.times_table(curves, [])[2].split(" | ")
    assert cells[1:5] == ["1 s", "20 s", "a", "20"]
