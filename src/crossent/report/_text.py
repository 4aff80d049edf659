"""Records as plain text: on a terminal or not, the same words and numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ._record import EvaluationReport, FitReport, Scores

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

__all__ = ["print_evaluation", "print_fit"]

_WIDTH = 100  # where there is no terminal to ask
_MOST_CLASSES = 30


def print_fit(report: FitReport, console: Console | None = None) -> None:
    """Print what a fit did: rows, classes, iterations, why it stopped, scores, where the model is.

    Parameters
    ----------
    report : FitReport
    console : rich.console.Console, optional
        Standard output by default.
    """
    _print(
        console,
        f"{report.data}: {report.n_rows} rows, {report.n_columns} columns,"
        f" {report.n_classes} classes in {report.target!r}",
        *(f"note: {note}" for note in report.notes),
        "",
        f"{report.model}, {report.n_iterations} iterations: {report.reason}",
        _score_table(report),
        *([f"model: {report.model_file}"] if report.model_file else ["model: not written (no -o)"]),
    )


def print_evaluation(report: EvaluationReport, console: Console | None = None) -> None:
    """Print accuracy and log loss, each class, and the most frequent confusions.

    Parameters
    ----------
    report : EvaluationReport
    console : rich.console.Console, optional
        Standard output by default.
    """
    table = _table("class", "rows", "recall", "precision")
    for row in report.classes[:_MOST_CLASSES]:
        table.add_row(str(row.label), str(row.n_rows), _share(row.recall), _share(row.precision))
    hidden = len(report.classes) - _MOST_CLASSES
    _print(
        console,
        f"{report.data}: {report.n_rows} rows, {report.n_classes} classes in {report.model_file}",
        *(f"note: {note}" for note in report.notes),
        "",
        f"accuracy {_share(report.accuracy)}   log loss {_loss(report.log_loss)}",
        "",
        table,
        *([f"... and {hidden} classes more (--json shows all)"] if hidden > 0 else []),
        *(["", "most frequent confusions"] if report.confusions else []),
        *(f"  {c.label} taken for {c.predicted}: {c.n_rows}" for c in report.confusions),
    )


def _score_table(report: FitReport) -> Table:
    table = _table("", "rows", "accuracy", "log loss")

    def add(name: str, scores: Scores | None) -> None:
        if scores is not None:
            loss = _loss(scores.log_loss)
            table.add_row(name, str(scores.n_rows), _share(scores.accuracy), loss)

    add("trained on", report.train)
    add("held out", report.held_out)
    add("trained again on all rows", report.all_rows)
    add("test", report.test)
    return table


def _table(first: str, *others: str) -> Table:
    from rich.table import Table

    table = Table(first, box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{100.0 * value:.2f} %"


def _loss(value: float) -> str:
    return f"{value:.4f}" if value < 1e6 else f"{value:.4g}"


def _print(console: Console | None, *parts: RenderableType) -> None:
    from rich.console import Console

    class Piped(Console):
        def on_broken_pipe(self) -> None:
            """Leave it to the caller what a reader that has left means."""
            raise  # rich calls this from its handler of BrokenPipeError

    console = console or Piped(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDTH
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, str), markup=False)
