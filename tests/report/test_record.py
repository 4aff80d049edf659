"""Records: the numbers of the metrics, and JSON both ways."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from crossent.report import ClassReport, Confusion, EvaluationReport, FitReport, Scores

LABELS = np.array([0, 0, 1, 1, 1, 2])
PROBABILITIES = np.array(
    [
        [0.7, 0.2, 0.1],
        [0.3, 0.5, 0.2],
        [0.1, 0.8, 0.1],
        [0.6, 0.3, 0.1],
        [0.5, 0.4, 0.1],
        [0.2, 0.2, 0.6],
    ]
)
NAMES = np.array(["a", "b", "c", "never"])


def evaluation() -> EvaluationReport:
    padded = np.log(np.column_stack([PROBABILITIES, np.full(6, 1e-300)]))
    return EvaluationReport.of(
        LABELS, padded, NAMES, model_file="m.safetensors", data="t.csv", notes=("é said",)
    )


def fit() -> FitReport:
    return FitReport(
        data="t.csv",
        target="kind",
        model="softmax regression",
        n_rows=10,
        n_columns=2,
        n_classes=3,
        n_iterations=12,
        converged=True,
        reason="it converged",
        train=Scores(8, 1.0, 0.125),
        held_out=Scores(2, 0.5, math.inf),
        test=None,
        all_rows=Scores(10, 0.9, 0.1),
        model_file=None,
        notes=("one", "two"),
    )


def test_an_evaluation_counts_right() -> None:
    found = evaluation()
    assert (found.n_rows, found.n_classes) == (6, 4)
    assert found.accuracy == 0.5
    own = PROBABILITIES[np.arange(6), LABELS]
    assert found.log_loss == pytest.approx(-np.log(own).mean(), rel=1e-14)
    assert found.classes[0] == ClassReport("a", 2, recall=0.5, precision=1 / 3)
    assert found.classes[1] == ClassReport("b", 3, recall=1 / 3, precision=0.5)
    assert math.isnan(found.classes[3].recall)
    assert found.confusions == (Confusion("b", "a", 2), Confusion("a", "b", 1))


def test_an_evaluation_as_json_and_back() -> None:
    text = evaluation().to_json()
    content = json.loads(text)
    assert list(content)[:4] == ["accuracy", "log_loss", "n_rows", "n_classes"]
    assert content["classes"][3] == {
        "label": "never",
        "n_rows": 0,
        "recall": None,
        "precision": None,
    }
    again = EvaluationReport.from_json(text)
    assert again.to_json() == text
    assert replace(again, classes=again.classes[:3]) == replace(
        evaluation(), classes=evaluation().classes[:3]
    )


def test_a_fit_as_json_and_back() -> None:
    text = fit().to_json()
    assert json.loads(text)["held_out"] == {"n_rows": 2, "accuracy": 0.5, "log_loss": None}
    again = FitReport.from_json(text)
    assert again.held_out is not None
    assert math.isnan(again.held_out.log_loss)
    assert replace(again, held_out=None) == replace(fit(), held_out=None)


@pytest.mark.parametrize("text", ["{}", "[]", '{"accuracy": 1}', "3"])
def test_json_of_something_else(text: str) -> None:
    with pytest.raises(ValueError, match="not the JSON of a FitReport"):
        FitReport.from_json(text)
    with pytest.raises(ValueError, match="not the JSON of a EvaluationReport"):
        EvaluationReport.from_json(text)
