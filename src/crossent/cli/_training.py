"""Train on a table's examples: on a part, to see how well it goes, then on all of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._typing import Array, Labels
from ..data._table import Table
from ..data._tables import read_table
from ..estimators import RBFClassifier, SoftmaxClassifier, save_model
from ..report import FitReport, Scores
from ..report._spelling import counted
from ._holdout import held_out_rows
from ._options import Kind, Model
from ._preparation import Examples, Preparation, Scaling, examples, listed
from ._progress import progress
from ._scoring import labelled_rows

__all__ = ["Network", "Task", "fit_table"]


@dataclass(frozen=True)
class Network:
    """The classifier asked for; None leaves the choice to it."""

    model: Model
    kind: Kind | None = None
    n_centers: int | None = None
    C: float | None = None
    max_iter: int | None = None
    seed: int = 0

    def estimator(self, callback: Callable[[Any], None] | None) -> Any:
        """Make the estimator, unfitted."""
        chosen: dict[str, Any] = {"C": self.C, "max_iter": self.max_iter, "callback": callback}
        if self.model is Model.rbf:
            chosen |= {"n_centers": self.n_centers, "random_state": self.seed}
            chosen["kind"] = None if self.kind is None else str(self.kind)
        given = {name: value for name, value in chosen.items() if value is not None}
        return (RBFClassifier if self.model is Model.rbf else SoftmaxClassifier)(**given)

    def describe(self, estimator: Any) -> str:
        """Name what was trained, in words."""
        if self.model is Model.softmax:
            return "softmax regression"
        return f"{estimator.kind} RBF network with {counted(len(estimator.centers_), 'center')}"


@dataclass(frozen=True)
class Task:
    """What is to be learned from which table, and where the model goes; None keeps none."""

    network: Network
    table: Table
    target: str
    missing: str
    ignore: tuple[str, ...]
    holdout: float
    test: str | None
    path: Path | None


@dataclass(frozen=True)
class Outcome:
    """A trained estimator, the scaling of its inputs, and its scores on the rows it saw."""

    estimator: Any
    scaling: Scaling
    scores: Scores
    warnings: tuple[str, ...]

    def score(self, inputs: Array, names: Array) -> Scores:
        """Score rows the estimator may not have seen; inputs as they stand in the table."""
        labels = np.searchsorted(self.estimator.classes_, names)
        return _scores(self.estimator, self.scaling(inputs), labels)


def fit_table(task: Task) -> FitReport:
    """Train without the rows held out, score those, train again on all rows, keep that model."""
    found = examples(task.table, task.target, task.missing, task.ignore)
    scaling = Scaling.of(found.inputs)
    preparation = Preparation(task.target, found.columns, task.missing, scaling)
    classes, labels = np.unique(found.names, return_inverse=True)
    notes = list(found.notes)
    test = None
    if task.test is not None:  # read before the work, so that its faults show at once
        table = read_table(task.test, text={task.target})
        *test, test_notes = labelled_rows(table, preparation, classes)
        notes.extend(f"{task.test}: {note}" for note in test_notes)
    held = np.zeros(len(labels), dtype=bool)
    if task.holdout:
        held = held_out_rows(labels.astype(np.int64), task.holdout, task.network.seed)
        notes.extend(_holdout_notes(classes, labels, held, task.holdout))
    first = last = _train(task.network, found, ~held)
    if held.any() and task.path is not None:
        last = _train(task.network, found, np.ones_like(held))
    if task.path is not None:
        save_model(task.path, last.estimator, table=preparation.to_dict())
    return FitReport(
        data=task.table.name,
        target=task.target,
        model=task.network.describe(last.estimator),
        n_rows=len(found.names),
        n_columns=len(found.columns),
        n_classes=len(classes),
        n_iterations=int(np.max(last.estimator.n_iter_)),
        converged=bool(last.estimator.result_.converged),
        reason=str(last.estimator.result_.reason),
        train=first.scores,
        held_out=first.score(found.inputs[held], found.names[held]) if held.any() else None,
        all_rows=last.scores if last is not first else None,
        test=None if test is None else _scores(last.estimator, *test),
        model_file=None if task.path is None else str(task.path),
        notes=tuple(dict.fromkeys([*notes, *first.warnings, *last.warnings])),
    )


def _train(network: Network, found: Examples, rows: Array) -> Outcome:
    inputs, names = found.inputs[rows], found.names[rows]
    scaling = Scaling.of(inputs)
    scaled = scaling(inputs)
    what = f"training on {counted(len(names), 'row')}"
    with warnings.catch_warnings(record=True) as caught, progress(what) as callback:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", "The number of unique classes")  # `examples` asks that
        estimator = network.estimator(callback).fit(scaled, names)
    texts = {" ".join(str(warning.message).split()): None for warning in caught}
    texts.pop(estimator.result_.reason, None)  # the report has it
    scores = _scores(estimator, scaled, np.searchsorted(estimator.classes_, names))
    return Outcome(estimator, scaling, scores, tuple(texts))


def _holdout_notes(classes: Array, labels: Labels, held: Array, share: float) -> list[str]:
    notes = []
    single = [repr(name) for name in classes[np.bincount(labels) == 1].tolist()]
    if single:
        have, stay = ("has", "stays") if len(single) == 1 else ("have", "stay")
        notes.append(f"{listed(single)} {have} one row only, which {stay} in the training rows")
    if not held.any():
        notes.append(f"nothing is held out: {len(held)} rows are too few for a share of {share}")
    return notes


def _scores(estimator: Any, scaled: Array, labels: Labels) -> Scores:
    return Scores.of(labels, estimator.predict_log_proba(scaled))
