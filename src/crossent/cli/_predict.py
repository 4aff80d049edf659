"""``crossent predict``: a prediction for every row of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from .._typing import Array
from ._options import Missing
from ._progress import progress

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["predict"]


def predict(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model file of crossent fit.")],
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="A table; - is CSV on standard input.")
    ],
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="FILE", help="Where to; - is CSV on stdout."),
    ] = "-",
    proba: Annotated[bool, typer.Option(help="Add a column per class: its probability.")] = False,
    missing: Annotated[
        Missing | None, typer.Option(help="Rows with missing values; default: as in the fit.")
    ] = None,
) -> None:
    """Predict the class of every row of DATA, in order."""
    from ..data._table_writing import write_table
    from ..data._tables import read_table
    from ._scoring import open_model
    from ._targets import output_file

    path = output_file(output, inputs=(model, data), is_table=True) if output != "-" else None
    with progress(f"predicting {data}"):
        estimator, preparation = open_model(model, missing)
        table = read_table(data, text={preparation.target}, least_rows=0)
        inputs, usable, notes = preparation.inputs(table)
        predictions = _predictions(estimator, inputs, usable, proba)
    if not usable.all():
        empty = int((~usable).sum())
        notes = (*notes, f"rows with missing values have no prediction: {empty} of {len(usable)}")
    for note in notes:
        typer.echo(f"crossent: note: {note}", err=True)
    write_table(predictions, path)


def _predictions(estimator: Any, inputs: Array, usable: Array, proba: bool) -> pa.Table:
    """Columns of the prediction and, if asked for, of each class's probability; null without."""
    import pyarrow as pa

    classes = estimator.classes_.tolist()
    unusable = None if usable.all() else ~usable
    columns: dict[str, Any] = {}
    if not len(inputs):  # the classifiers refuse to be asked about nothing
        labels = np.empty(0, dtype=np.int64)
        if proba:
            columns = {f"probability_{name}": pa.array([], pa.float64()) for name in classes}
    elif proba:
        probabilities = estimator.predict_proba(inputs)
        labels = probabilities.argmax(axis=1)
        for label, name in enumerate(classes):
            values = probabilities[:, label].astype(np.float64)
            columns[f"probability_{name}"] = pa.array(values, mask=unusable)
    else:
        labels = np.searchsorted(estimator.classes_, estimator.predict(inputs))
    prediction = pa.array(classes).take(pa.array(labels, mask=unusable))
    return pa.table({"prediction": prediction, **columns})
