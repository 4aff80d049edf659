"""A model file opened, and a labelled table made ready to be scored by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .._typing import Array, Labels
from ..data._columns import column, column_labels, match_labels
from ..data._table import Table, TableError
from ..estimators import load_model
from ..report._spelling import counted
from ._options import Missing
from ._preparation import Preparation

__all__ = ["labelled_rows", "open_model"]


def open_model(path: str, missing: Missing | None = None) -> tuple[Any, Preparation]:
    """Load an estimator and the way a table becomes its inputs.

    Parameters
    ----------
    path : str
        A model file.
    missing : Missing, optional
        Another policy for missing values than the model was trained with.

    Raises
    ------
    ModelFileError, ValueError
        If it is no model file, or does not say which columns it was trained on.
    """
    estimator: Any
    estimator, description = load_model(Path(path))
    if description is None:
        raise ValueError(
            f"{path} does not say which columns it was trained on: it was saved without a table;"
            " use it from Python, with crossent.estimators.load_model"
        )
    try:
        preparation = Preparation.from_dict(description)
        if estimator.n_features_in_ != len(preparation.columns):
            raise ValueError(f"the estimator does not have {len(preparation.columns)} inputs")
    except ValueError as error:
        raise ValueError(f"{path} is no model of a table: {error}") from error
    return estimator, replace(preparation, missing=str(missing)) if missing else preparation


def labelled_rows(
    table: Table, preparation: Preparation, classes: Array
) -> tuple[Array, Labels, tuple[str, ...]]:
    """Take inputs and class numbers out of a labelled table; rows that cannot be used stay out.

    Raises
    ------
    ColumnError
        If the table does not have the target.
    TableError
        If the model cannot take the table, a label is missing (unless the policy allows that) or
        unknown to the model, or nothing is left.
    """
    target = preparation.target
    places, spellings = column_labels(column(table, target), target)
    inputs, usable, notes = preparation.inputs(table)
    unlabelled = places < 0
    if unlabelled.any() and preparation.missing == "error":
        raise TableError(
            f"{table.name} has missing values in {target!r}"
            f" ({counted(int(unlabelled.sum()), 'row')}); choose --missing drop to leave them out"
        )
    usable &= ~unlabelled
    if not usable.any():
        raise TableError(f"{table.name}: no row is left, all of them have missing values")
    labels = match_labels(places, spellings, classes, target, table.name)
    if not usable.all():
        left_out = counted(int((~usable).sum()), "row")
        notes = (*notes, f"{left_out} with missing values left out")
        inputs, labels = np.ascontiguousarray(inputs[usable]), labels[usable]
    return inputs, labels, notes
