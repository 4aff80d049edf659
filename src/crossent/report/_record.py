"""What a fit and an evaluation found, as plain records: numbers first, JSON both ways."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from .._typing import Array, Labels
from ..metrics import (
    ReliabilityBin,
    accuracy,
    brier_score,
    calibration_error_interval,
    class_scores,
    confusion_matrix,
    log_loss,
    reliability_table,
)

__all__ = ["Calibration", "ClassReport", "Confusion", "EvaluationReport", "FitReport", "Scores"]

_BINS = 10


@dataclass(frozen=True)
class Scores:
    """How well a model does on some rows; ``log_loss`` is the mean, in nats."""

    n_rows: int
    accuracy: float
    log_loss: float

    @classmethod
    def of(cls, labels: Labels, log_probabilities: Array) -> Self:
        """Score log-probabilities (N, K) against class numbers (N,).

        Examples
        --------
        >>> Scores.of(np.array([0, 1]), np.log([[0.5, 0.5], [0.5, 0.5]]))
        Scores(n_rows=2, accuracy=0.5, log_loss=0.6931471805599453)
        """
        return cls(
            len(labels), accuracy(labels, log_probabilities), log_loss(labels, log_probabilities)
        )


@dataclass(frozen=True)
class FitReport:
    """What a fit did: on what, how it ended, how well it does, and where the model is."""

    data: str
    target: str
    model: str
    n_rows: int
    n_columns: int
    n_classes: int
    n_iterations: int
    converged: bool
    reason: str
    train: Scores
    held_out: Scores | None
    test: Scores | None
    all_rows: Scores | None
    model_file: str | None
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Spell the record as JSON; a number that is not finite becomes null."""
        return _to_json(self)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read back what `to_json` gave; null among the scores becomes NaN.

        Raises
        ------
        ValueError
            If the text is not JSON or not such a record.
        """
        content = _from_json(text, cls)
        for name in ("train", "held_out", "test", "all_rows"):
            if content[name] is not None:
                content[name] = _scores(Scores, content[name])
        return cls(**content)


@dataclass(frozen=True)
class ClassReport:
    """How one class fares: its rows, the share of them found, the share of its calls that hold."""

    label: int | str
    n_rows: int
    recall: float
    precision: float


@dataclass(frozen=True)
class Confusion:
    """How many rows of one class were called another."""

    label: int | str
    predicted: int | str
    n_rows: int


@dataclass(frozen=True)
class Calibration:
    """How far the probabilities can be trusted: that of each row's most probable class.

    ``error`` is the expected calibration error, in its 95 % interval from ``low`` to ``high``;
    ``reliability`` are its bins, of about as many rows each.
    """

    error: float
    low: float
    high: float
    brier_score: float
    reliability: tuple[ReliabilityBin, ...]

    @classmethod
    def of(cls, labels: Labels, probabilities: Array) -> Self:
        """Hold probabilities (N, K) against class numbers (N,); all NaN where one is no number."""
        if not np.isfinite(probabilities).all():
            return cls(math.nan, math.nan, math.nan, math.nan, ())
        return cls(
            *calibration_error_interval(labels, probabilities, n_bins=_BINS),
            brier_score(labels, probabilities),
            reliability_table(labels, probabilities, n_bins=_BINS),
        )


@dataclass(frozen=True)
class EvaluationReport:
    """How a model does on a table."""

    accuracy: float
    log_loss: float
    n_rows: int
    n_classes: int
    model_file: str
    data: str
    classes: tuple[ClassReport, ...]
    confusions: tuple[Confusion, ...]
    calibration: Calibration
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        labels: Labels,
        log_probabilities: Array,
        classes: Array,
        *,
        model_file: str,
        data: str,
        notes: tuple[str, ...] = (),
        n_confusions: int = 5,
    ) -> Self:
        """Score log-probabilities (N, K) of the named classes (K,) against class numbers (N,)."""
        scores = Scores.of(labels, log_probabilities)
        confusion = confusion_matrix(labels, log_probabilities)
        each = class_scores(confusion)
        names = classes.tolist()
        rows = zip(names, each.support, each.recall, each.precision, strict=True)
        return cls(
            scores.accuracy,
            scores.log_loss,
            scores.n_rows,
            len(names),
            model_file,
            data,
            tuple(ClassReport(name, int(n), float(r), float(p)) for name, n, r, p in rows),
            _largest_confusions(confusion, names, n_confusions),
            Calibration.of(labels, np.exp(log_probabilities.astype(np.float64))),
            notes,
        )

    def to_json(self) -> str:
        """Spell the record as JSON; a number that is not finite becomes null."""
        return _to_json(self)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read back what `to_json` gave; null among the scores becomes NaN.

        Raises
        ------
        ValueError
            If the text is not JSON or not such a record.
        """
        content = _from_json(text, cls)
        for name in ("accuracy", "log_loss"):
            content[name] = math.nan if content[name] is None else content[name]
        content["classes"] = tuple(_scores(ClassReport, row) for row in content["classes"])
        content["confusions"] = tuple(Confusion(**row) for row in content["confusions"])
        found = content["calibration"]
        bins = tuple(_scores(ReliabilityBin, row) for row in found.pop("reliability"))
        content["calibration"] = _scores(Calibration, found | {"reliability": bins})
        return cls(**content)


def _largest_confusions(confusion: Array, names: list[Any], most: int) -> tuple[Confusion, ...]:
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0.0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
    return tuple(Confusion(names[i], names[j], int(wrong[i, j])) for i, j in pairs if wrong[i, j])


def _to_json(record: FitReport | EvaluationReport) -> str:
    return json.dumps(_finite(asdict(record)), indent=2, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, ReliabilityBin):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _from_json(text: str, kind: type) -> dict[str, Any]:
    content = json.loads(text)
    expected = set(kind.__dataclass_fields__)
    found = set(content) if isinstance(content, dict) else set()
    if found != expected:
        differing = ", ".join(sorted(found ^ expected))
        raise ValueError(f"not the JSON of a {kind.__name__}: see {differing}")
    content["notes"] = tuple(content["notes"])
    return content


def _scores(kind: type, content: dict[str, Any]) -> Any:
    return kind(**{key: math.nan if entry is None else entry for key, entry in content.items()})
