"""``crossent evaluate``: numbers first, the same as text and as JSON."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from crossent.estimators import load_model
from crossent.metrics import brier_score, calibration_error_interval, reliability_table
from crossent.report import EvaluationReport

from .conftest import Run, rows


def test_json_and_text_say_the_same(run: Run, model: Path, flowers: Path) -> None:
    result = run("evaluate", model, flowers, "--json")
    assert result.exit_code == 0
    content = json.loads(result.stdout)
    assert (content["n_rows"], content["n_classes"], content["accuracy"]) == (60, 3, 1.0)
    assert 0.0 < content["log_loss"] < 0.2
    assert EvaluationReport.from_json(result.stdout).to_json() + "\n" == result.stdout
    text = run("evaluate", model, flowers).stdout
    assert f"accuracy 100.00 %   log loss {content['log_loss']:.4f}" in text
    assert [line.split()[:2] for line in text.splitlines()[-3:]] == [
        [kind, "20"] for kind in ("iris", "lily", "rose")
    ]


def test_it_agrees_with_the_fit(run: Run, model: Path, flowers: Path) -> None:
    fitted = json.loads(run("fit", flowers, "--target", "kind", "--holdout", 0, "--json").stdout)
    found = json.loads(run("evaluate", "flowers.safetensors", flowers, "--json").stdout)
    for name in ("accuracy", "log_loss", "n_rows"):
        assert found[name] == pytest.approx(fitted["train"][name], rel=1e-12)


def test_wrong_rows_are_counted(run: Run, model: Path) -> None:
    Path("t.csv").write_text(rows(30).replace("iris", "?").replace("rose", "iris"))
    result = run("evaluate", model, "t.csv", "--json", "--missing", "drop")
    content = json.loads(result.stdout)
    assert content["accuracy"] == 0.5
    assert content["confusions"] == [{"label": "iris", "predicted": "rose", "n_rows": 10}]
    assert content["classes"][2] == {"label": "rose", "n_rows": 0, "recall": None, "precision": 0}
    assert content["notes"] == ["10 rows with missing values left out"]
    text = run("evaluate", model, "t.csv", "--missing", "drop").stdout
    assert "  iris taken for rose: 10\n" in text
    assert "note: 10 rows with missing values left out\n" in text


def test_calibration_is_that_of_the_metrics(run: Run, model: Path) -> None:
    Path("t.csv").write_text(rows(60, seed=3).replace("lily", "rose"))
    found = json.loads(run("evaluate", model, "t.csv", "--json").stdout)["calibration"]
    estimator, _ = load_model(model)
    with Path("t.csv").open() as file:
        table = list(csv.DictReader(file))
    said = run("predict", model, "t.csv", "--proba").stdout.splitlines()
    p = np.array([[float(v) for v in line.split(",")[1:]] for line in said[1:]])
    labels = np.searchsorted(estimator.classes_, [row["kind"] for row in table])
    wanted = calibration_error_interval(labels, p, n_bins=10)
    assert [found[name] for name in ("error", "low", "high")] == pytest.approx(list(wanted))
    assert found["error"] > 0.1, "a class was renamed: its probabilities cannot be right"
    assert found["brier_score"] == pytest.approx(brier_score(labels, p))
    bins = [row._asdict() for row in reliability_table(labels, p, n_bins=10)]
    assert found["reliability"] == [pytest.approx(row) for row in bins]
    text = run("evaluate", model, "t.csv").stdout
    assert f"calibration error {wanted.error:.4f}, between {wanted.low:.4f} and" in text
    last = bins[-1]
    assert f"{last['confidence']:.3f}" in text
    assert f"{last['low']:.3f} to {last['high']:.3f}" in text
