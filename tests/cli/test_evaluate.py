"""``crossent evaluate``: numbers first, the same as text and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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
