"""Records as text: nothing cut off, nothing taken for markup, no colour outside a terminal."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from crossent.report import ClassReport, EvaluationReport
from crossent.report._text import print_evaluation, print_fit

from .test_record import evaluation, fit


def printed(report: object, width: int = 40) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, markup=True)
    (print_evaluation if isinstance(report, EvaluationReport) else print_fit)(report, console)
    return file.getvalue()


def test_a_fit() -> None:
    assert printed(fit()).splitlines() == [
        "t.csv: 10 rows, 2 columns, 3 classes in 'kind'",
        "note: one",
        "note: two",
        "",
        "softmax regression, 12 iterations: it converged",
        "                           rows  accuracy  log loss",
        "trained on                    8  100.00 %    0.1250",
        "held out                      2   50.00 %       inf",
        "trained again on all rows    10   90.00 %    0.1000",
        "model: not written (no -o)",
    ]


def test_one_is_one() -> None:
    report = replace(fit(), n_rows=1, n_columns=1, n_iterations=1)
    assert printed(report).startswith("t.csv: 1 row, 1 column, 3 classes in 'kind'\n")
    assert "\nsoftmax regression, 1 iteration: it" in printed(report)
    assert printed(replace(evaluation(), n_rows=1)).startswith("t.csv: 1 row, 4 classes in m")


def test_long_names_are_not_cut() -> None:
    name = "deep/" * 40 + "t.csv"
    assert name in printed(replace(fit(), data=name, model_file=name)).splitlines()[-1]
    assert printed(replace(fit(), data=name)).startswith(name)


def test_an_evaluation() -> None:
    lines = [line.rstrip() for line in printed(evaluation()).splitlines()]
    assert lines == [
        "t.csv: 6 rows, 4 classes in m.safetensors",
        "note: é said",
        "",
        "accuracy 50.00 %   log loss 0.7358",
        "calibration error 0.2833, between 0.0000 and 0.6726; Brier score 0.4500",
        "",
        "probability     rows   said  came true   95 % interval",
        "0.000 to 0.500     2  0.500      0.000  0.000 to 0.658",
        "0.500 to 0.600     2  0.600      0.500  0.095 to 0.905",
        "0.600 to 0.700     1  0.700      1.000  0.207 to 1.000",
        "0.700 to 0.800     1  0.800      1.000  0.207 to 1.000",
        "",
        "class  rows    recall  precision",
        "a         2   50.00 %    33.33 %",
        "b         3   33.33 %    50.00 %",
        "c         1  100.00 %   100.00 %",
        "never     0         -          -",
        "",
        "most frequent confusions",
        "  b taken for a: 2",
        "  a taken for b: 1",
    ]


def test_many_classes_and_names_like_markup() -> None:
    rows = tuple(ClassReport(f"[red]{i}[/]", 1, 1.0, 1.0) for i in range(40))
    text = printed(replace(evaluation(), classes=rows))
    assert "[red]29[/]" in text
    assert "[red]30[/]" not in text
    assert "... and 10 classes more (--json shows all)" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("value", [float("nan")])
def test_an_undefined_share(value: float) -> None:
    assert "accuracy -   log loss" in printed(replace(evaluation(), accuracy=value))
