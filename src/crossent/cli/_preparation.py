"""How a table becomes a model's inputs: which columns, what fills a gap, how each is scaled."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._typing import Array, Labels
from ..data._columns import class_values, column, column_labels, number_matrix
from ..data._table import ColumnError, Table, TableError
from ..report._spelling import counted
from ._options import Missing

__all__ = ["Examples", "Preparation", "Scaling", "examples", "listed"]

_NAMELESS = re.compile(r"(Unnamed: \d+|__index_level_\d+__)?")  # as pandas spells no name


@dataclass(frozen=True)
class Scaling:
    """What fills a gap in each column, and the shift and unit that bring it to order one."""

    mean: Array
    unit: Array

    @classmethod
    def of(cls, inputs: Array) -> Scaling:
        """Learn mean and unit, the standard deviation, from inputs (N, D) with NaN for missing."""
        count = np.maximum((~np.isnan(inputs)).sum(axis=0), 1)
        mean = np.nansum(inputs / count, axis=0)
        centered = np.nan_to_num(inputs - mean, nan=0.0)
        peak = np.abs(centered).max(axis=0, initial=0.0)
        peak[peak == 0.0] = 1.0  # a constant column keeps its unit
        unit = peak * np.sqrt(((centered / peak) ** 2).sum(axis=0) / count)
        unit[unit == 0.0] = 1.0
        return cls(mean, unit)

    def __call__(self, inputs: Array) -> Array:
        """(inputs - mean) / unit, a missing value being the mean."""
        scaled = (inputs - self.mean) / self.unit
        scaled[np.isnan(scaled)] = 0.0
        return scaled


@dataclass(frozen=True)
class Examples:
    """What a table has to learn from: inputs (N, D) with NaN for missing, names (N,) of classes."""

    columns: tuple[str, ...]
    inputs: Array
    names: Array
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Preparation:
    """The way from a table to a model's inputs, kept in the model file.

    ``missing`` is what happens to a row with a gap: ``"error"``, ``"drop"`` or ``"mean"``.
    """

    target: str
    columns: tuple[str, ...]
    missing: str
    scaling: Scaling

    def inputs(self, table: Table) -> tuple[Array, Array, tuple[str, ...]]:
        """Take the model's columns out of a table, matched by name.

        Returns
        -------
        inputs : ndarray, shape (N, D)
            Scaled; a gap is filled with the mean.
        usable : ndarray of bool, shape (N,)
            False where a row has a gap and gaps are dropped.
        notes : tuple of str
            What is worth saying.

        Raises
        ------
        ColumnError
            If a column is missing.
        TableError
            If one is no column of numbers, or has gaps that are errors.
        """
        lacking = [repr(name) for name in self.columns if name not in table.column_names]
        if lacking:
            raise ColumnError(
                f"{table.name} lacks columns the model was trained on: {listed(lacking)};"
                f" its columns are {listed([repr(name) for name in table.column_names])}"
            )
        raw = number_matrix(table, self.columns)
        gaps: Array = np.isnan(raw)
        if self.missing == "error":
            _refuse_gaps(table, self.columns, gaps)
        usable = (
            ~np.logical_or.reduce(gaps, axis=1)
            if self.missing == "drop"
            else np.ones(len(raw), dtype=bool)
        )
        known = {*self.columns, self.target}
        extra = [repr(name) for name in table.column_names if name and name not in known]
        notes = list(table.notes)
        if extra:
            notes.append(f"columns the model does not know are ignored: {listed(extra)}")
        if self.missing == "mean" and gaps.any():
            notes.append(_filled(self.columns, gaps))
        return self.scaling(raw), usable, tuple(notes)

    def to_dict(self) -> dict[str, Any]:
        """Give the preparation as JSON's types, each number exactly."""
        return {
            "target": self.target,
            "columns": list(self.columns),
            "missing": self.missing,
            "mean": self.scaling.mean.tolist(),
            "unit": self.scaling.unit.tolist(),
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Preparation:
        """Take back what `to_dict` gave.

        Raises
        ------
        ValueError
            If it is anything else; the text says what is wrong.
        """
        try:
            target, columns, missing = content["target"], content["columns"], content["missing"]
            mean = np.array(content["mean"], dtype=np.float64)
            unit = np.array(content["unit"], dtype=np.float64)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the description of the table is incomplete: {error}") from error
        if not (isinstance(columns, list) and all(isinstance(name, str) for name in columns)):
            raise ValueError("the columns of the table are not a list of names")
        if not isinstance(target, str) or missing not in list(Missing):
            raise ValueError("the target or the policy for missing values is not one of ours")
        if mean.shape != (len(columns),) or unit.shape != mean.shape:
            raise ValueError(f"the scaling is not that of {len(columns)} columns")
        if not (np.isfinite(mean).all() and np.isfinite(unit).all() and (unit > 0.0).all()):
            raise ValueError("the scaling holds numbers that are not finite or not positive")
        return cls(target, tuple(columns), missing, Scaling(mean, unit))


def examples(table: Table, target: str, missing: str, ignore: Sequence[str] = ()) -> Examples:
    """Take out of a table what can be learned from, and say what was left out.

    Left out are columns without a name, empty and constant ones, those in ``ignore``, and rows
    with gaps if ``missing`` is ``"drop"`` (rows without a label also if it is ``"mean"``).

    Raises
    ------
    ColumnError
        If the target or an ignored column does not exist, or the target is no class.
    TableError
        If there are gaps and ``missing`` is ``"error"``, a column is not of numbers, nothing is
        left, or there is one class only.
    """
    labels, spellings = column_labels(column(table, target), target)
    values = class_values(spellings, target)
    columns, notes = _columns(table, target, ignore)
    inputs = number_matrix(table, columns)
    empty = np.logical_and.reduce(np.isnan(inputs), axis=0)
    columns, inputs = _without(
        columns, inputs, empty, "columns without a value are left out", notes
    )
    rows = _usable_rows(table, columns, inputs, labels, target, missing, notes)
    if not rows.all():
        inputs, labels = inputs[rows], labels[rows]
    if not len(labels):
        raise TableError(f"{table.name}: no row is left, all of them have missing values")
    names = values[labels]
    classes = np.unique(names).tolist()
    if len(classes) < 2:
        raise TableError(
            f"{table.name}: column {target!r} holds one class only, {classes[0]!r}: "
            "nothing to tell apart"
        )
    constant = np.fmax.reduce(inputs, axis=0) == np.fmin.reduce(inputs, axis=0)
    columns, inputs = _without(columns, inputs, constant, "constant columns are left out", notes)
    if not columns:
        raise TableError(f"{table.name}: no column is left to learn from")
    if len(classes) > max(20, len(names) // 2):
        notes.append(f"{target!r} has {len(classes)} classes in {len(names)} rows: is it a class?")
    return Examples(tuple(columns), inputs, names, (*table.notes, *notes))


def listed(names: Sequence[str], most: int = 12) -> str:
    """Join names for a sentence, the first dozen of them."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _columns(table: Table, target: str, ignore: Sequence[str]) -> tuple[list[str], list[str]]:
    names = table.column_names
    for name in ignore:
        if name == target:
            raise ColumnError(f"column {name!r} cannot be both the target and ignored")
        if name not in names:
            column(table, name)  # raises, and suggests the nearest
    nameless = [str(i + 1) for i, name in enumerate(names) if _NAMELESS.fullmatch(name)]
    notes = []
    if len(nameless) == 1:
        notes.append(f"column {nameless[0]} has no name and is left out")
    elif nameless:
        notes.append(f"columns {listed(nameless)} have no name and are left out")
    apart = {target, *ignore}
    return [name for name in names if name not in apart and not _NAMELESS.fullmatch(name)], notes


def _without(
    columns: list[str], inputs: Array, out: Array, why: str, notes: list[str]
) -> tuple[list[str], Array]:
    if not out.any():
        return columns, inputs
    gone = [repr(name) for name, leave in zip(columns, out, strict=True) if leave]
    notes.append(f"{why}: {listed(gone)}")
    kept = [name for name, leave in zip(columns, out, strict=True) if not leave]
    return kept, np.ascontiguousarray(inputs[:, ~out])


def _usable_rows(
    table: Table,
    columns: Sequence[str],
    inputs: Array,
    labels: Labels,
    target: str,
    missing: str,
    notes: list[str],
) -> Array:
    gaps: Array = np.isnan(inputs)
    labelled = labels >= 0
    if missing == "error":
        _refuse_gaps(table, (*columns, target), np.column_stack([gaps, ~labelled]))
        return labelled
    if missing == "mean":
        if gaps.any():
            notes.append(_filled(columns, gaps[labelled]))
        if not labelled.all():
            count = counted(int((~labelled).sum()), "row")
            notes.append(f"{count} without a value in the target {target!r} left out")
        return labelled
    complete = labelled & ~gaps.any(axis=1)
    if not complete.all():
        notes.append(f"{counted(int((~complete).sum()), 'row')} with missing values left out")
    return complete


def _refuse_gaps(table: Table, columns: Sequence[str], gaps: Array) -> None:
    counts = gaps.sum(axis=0)
    if not counts.any():
        return
    found = [
        f"{columns[i]!r} ({counted(int(counts[i]), 'row')})"
        for i in np.flatnonzero(counts).tolist()
    ]
    raise TableError(
        f"{table.name} has missing values in {listed(found)};"
        " choose --missing drop to leave those rows out or --missing mean to fill them"
    )


def _filled(columns: Sequence[str], gaps: Array) -> str:
    counts = gaps.sum(axis=0)
    found = [f"{columns[i]!r} ({int(counts[i])})" for i in np.flatnonzero(counts).tolist()]
    return f"missing values filled with the column's mean: {listed(found)}"
