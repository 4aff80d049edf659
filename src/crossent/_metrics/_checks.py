"""Checks of what every metric is given."""

from __future__ import annotations

import numpy as np

from .._typing import Array, ArrayLike

__all__ = ["checked_probabilities", "checked_rows", "ratio"]


def checked_rows(
    labels: ArrayLike, scores: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[Array, Array, Array]:
    """Labels int64 (N,), scores (N, K), and weights float64 (N,), ones where none are given.

    Raises
    ------
    ValueError
        If shapes differ, a label is no class number, or a weight is negative or not finite.
    """
    rows = np.asarray(labels)
    table = np.asarray(scores)
    if table.ndim != 2 or rows.shape != table.shape[:1]:
        raise ValueError(
            f"labels have shape {rows.shape} and scores {table.shape}: expected (N,) and (N, K)"
        )
    if rows.dtype.kind not in "iu" and rows.size:
        raise ValueError(
            f"labels must be class numbers 0 ... K-1, but their dtype is {rows.dtype}: "
            "numpy.searchsorted(classes_, y) makes them"
        )
    outside = (rows < 0) | (rows >= table.shape[1])
    if outside.any():
        first = int(outside.argmax())
        raise ValueError(
            f"labels[{first}] is {rows[first]}, but there are {table.shape[1]} classes "
            f"(0 ... {table.shape[1] - 1})"
        )
    if sample_weight is None:
        return rows.astype(np.int64), table, np.ones(len(rows))
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != rows.shape:
        raise ValueError(f"sample_weight has shape {weight.shape}, but there are {len(rows)} rows")
    if not (np.isfinite(weight).all() and (weight >= 0.0).all()):
        raise ValueError("sample_weight must be finite and not negative")
    return rows.astype(np.int64), table, weight


def checked_probabilities(
    labels: ArrayLike, probabilities: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[Array, Array, Array]:
    """As `checked_rows`, without the rows of weight 0; probabilities are float64.

    Raises
    ------
    ValueError
        As `checked_rows`, or if a row is no distribution: NaN, a number outside of [0, 1], or
        a sum that is not 1.
    """
    rows, table, weight = checked_rows(labels, probabilities, sample_weight)
    present = np.flatnonzero(weight > 0.0)
    tolerance = 1e-2 if table.dtype.itemsize < 4 else 1e-3
    p = table[present].astype(np.float64)
    with np.errstate(invalid="ignore"):
        inside = ((p >= 0.0) & (p <= 1.0 + tolerance)).all(axis=1)
        usable = inside & (np.abs(p.sum(axis=1) - 1.0) <= tolerance)
    if not usable.all():
        row = int((~usable).argmax())
        raise ValueError(
            f"row {present[row]} of probabilities is {_shown(p[row])}, and expected are numbers in "
            "[0, 1] whose sum is 1: pass predict_proba, softmax of logits, or exp of "
            "log-probabilities"
        )
    return rows[present], p, weight[present]


def _shown(row: Array) -> str:
    more = ", ..." if len(row) > 4 else ""
    return "[" + ", ".join(f"{value:.4g}" for value in row[:4]) + more + "]"


def ratio(part: float, whole: float) -> float:
    """Their quotient; NaN where there is nothing to divide by."""
    return part / whole if whole > 0.0 else float("nan")
