"""``crossent evaluate``: how well a model does on a labelled table."""

from __future__ import annotations

from typing import Annotated

import typer

from ._options import Missing
from ._progress import progress

__all__ = ["evaluate"]


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model file of crossent fit.")],
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="A table with the target; - is CSV on stdin.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    missing: Annotated[
        Missing | None, typer.Option(help="Rows with missing values; default: as in the fit.")
    ] = None,
) -> None:
    """Report accuracy, log loss and calibration of MODEL on the labelled table DATA."""
    from ..data._tables import read_table
    from ..report import EvaluationReport
    from ..report._text import print_evaluation
    from ._scoring import labelled_rows, open_model

    with progress(f"evaluating on {data}"):
        estimator, preparation = open_model(model, missing)
        table = read_table(data, text={preparation.target})
        inputs, labels, notes = labelled_rows(table, preparation, estimator.classes_)
        report = EvaluationReport.of(
            labels,
            estimator.predict_log_proba(inputs),
            estimator.classes_,
            model_file=model,
            data=table.name,
            notes=notes,
        )
    if as_json:
        typer.echo(report.to_json())
    else:
        print_evaluation(report)
