"""Records as plain text: on a terminal or not, the same words and numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ._console import print_parts, table
from ._record import EvaluationReport, FitReport, Scores
from ._spelling import counted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["print_evaluation", "print_fit"]

_MOST_CLASSES = 30


def print_fit(report: FitReport, console: Console | None = None) -> None:
    """Print what a fit did: rows, classes, iterations, why it stopped, scores, where the model is.

    Parameters
    ----------
    report : FitReport
    console : rich.console.Console, optional
        Standard output by default.
    """
    print_parts(
        console,
        f"{report.data}: {counted(report.n_rows, 'row')}, {counted(report.n_columns, 'column')},"
        f" {report.n_classes} classes in {report.target!r}",
        *(f"note: {note}" for note in report.notes),
        "",
        f"{report.model}, {counted(report.n_iterations, 'iteration')}: {report.reason}",
        _score_table(report),
        *([f"model: {report.model_file}"] if report.model_file else ["model: not written (no -o)"]),
    )


def print_evaluation(report: EvaluationReport, console: Console | None = None) -> None:
    """Print accuracy and log loss, calibration, each class, and the most frequent confusions.

    Parameters
    ----------
    report : EvaluationReport
    console : rich.console.Console, optional
        Standard output by default.
    """
    classes = table("class", "rows", "recall", "precision")
    for row in report.classes[:_MOST_CLASSES]:
        classes.add_row(str(row.label), str(row.n_rows), _share(row.recall), _share(row.precision))
    reliability = table("probability", "rows", "said", "came true", "95 % interval")
    for b in report.calibration.reliability:
        spans = [f"{low:.3f} to {high:.3f}" for low, high in ((b.lower, b.upper), (b.low, b.high))]
        said = f"{b.confidence:.3f}", f"{b.accuracy:.3f}"
        reliability.add_row(spans[0], str(b.n_rows), *said, spans[1])
    error = report.calibration
    hidden = len(report.classes) - _MOST_CLASSES
    print_parts(
        console,
        f"{report.data}: {counted(report.n_rows, 'row')}, {report.n_classes} classes in"
        f" {report.model_file}",
        *(f"note: {note}" for note in report.notes),
        "",
        f"accuracy {_share(report.accuracy)}   log loss {_loss(report.log_loss)}",
        f"calibration error {error.error:.4f}, between {error.low:.4f} and {error.high:.4f};"
        f" Brier score {error.brier_score:.4f}",
        "",
        reliability,
        "",
        classes,
        *([f"... and {hidden} classes more (--json shows all)"] if hidden > 0 else []),
        *(["", "most frequent confusions"] if report.confusions else []),
        *(f"  {c.label} taken for {c.predicted}: {c.n_rows}" for c in report.confusions),
    )


def _score_table(report: FitReport) -> Table:
    scored = table("", "rows", "accuracy", "log loss")

    def add(name: str, scores: Scores | None) -> None:
        if scores is not None:
            loss = _loss(scores.log_loss)
            scored.add_row(name, str(scores.n_rows), _share(scores.accuracy), loss)

    add("trained on", report.train)
    add("held out", report.held_out)
    add("trained again on all rows", report.all_rows)
    add("test", report.test)
    return scored


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{100.0 * value:.2f} %"


def _loss(value: float) -> str:
    return f"{value:.4f}" if value < 1e6 else f"{value:.4g}"
