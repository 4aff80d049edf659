"""The benchmark of RBF networks: its tables come in and go out right."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from benchmarks import rbf


def test_a_table_has_numbers_classes_and_no_index(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('"",a,class,b\n1,0.5,x,2\n2,1.5,y,3\n')
    X, y = rbf.table(path)
    np.testing.assert_array_equal(X, np.array([[0.5, 2.0], [1.5, 3.0]], dtype=np.float32))
    assert y.tolist() == ["x", "y"]


@pytest.mark.parametrize("names", ["a,b", "class,classes"])
def test_a_table_needs_one_class(names, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(f"{names}\n1,2\n")
    with pytest.raises(ValueError, match="must have one column named class, lettr, classes"):
        rbf.table(path)


def test_usual_splits_and_folds():
    X, y = np.zeros((6435, 1)), np.arange(6435) % 6
    fixed = list(rbf.splits("satellite", X, y))
    assert [seed for seed, _ in fixed] == [0, 1, 2]
    assert [len(rows) for rows in fixed[0][1]] == [4435, 2000]
    folds = [test for _, (_, test) in rbf.splits("pendigits", X, y)]
    np.testing.assert_array_equal(np.sort(np.concatenate(folds)), np.arange(6435))


def test_what_is_measured_and_rendered(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 2)).astype(np.float32)
    y = np.where(X[:, 0] * X[:, 1] > 0.0, "same", "other")
    fast = {name: rbf.models({"svc__C": 1.0})[name] for name in ("RBF radial", "SVC, tuned")}
    monkeypatch.setattr(rbf, "models", lambda vectors: fast)
    rows = rbf.measured("digits", X, y)
    assert [row["model"].split(" (")[0] for row in rows] == ["RBF radial", "SVC, tuned"]
    assert all(0.8 < float(row["accuracy"]) <= 1.0 for row in rows)
    assert all(row["repetitions"] == "5" for row in rows)
    head, _, radial, vectors = rbf.rendered(rows)
    assert head == "|  | digits |"
    assert radial.startswith("| RBF radial | ")
    assert " % in " in vectors


def test_all_rows_are_timed_and_rendered(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 2)).astype(np.float32)
    y = np.where(X[:, 0] * X[:, 1] > 0.0, "same", "other")
    monkeypatch.setattr(rbf, "WHOLE_ROUNDS", 2)
    rows = rbf.timed_whole("letters", X, y)
    assert [row["model"] for row in rows] == list(rbf.WHOLE_MODELS)
    assert all(float(row["fit_seconds"]) > 0.0 for row in rows)
    rows[0] |= {"fit_seconds": "0.5", "predict_seconds": "0.25"}
    rows[1] |= {"fit_seconds": "1.0", "predict_seconds": "0.5"}
    assert rbf.rendered_whole([]) == []
    *_, head, _, row = rbf.rendered_whole(rows)
    assert head == "|  | rows | RBF radial: fit + predict | SVC, tuned: fit + predict | ratio |"
    assert row == "| letters | 150 | 0.50 + 0.25 s | 1.00 + 0.50 s | 2.00 |"
    assert rbf.rendered(rows)[0] == "|  |"
