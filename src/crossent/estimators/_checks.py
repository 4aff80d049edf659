"""Checks of what a classifier is given: its parameters, the rows' truth, their weights."""

from __future__ import annotations

import numbers
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, column_or_1d

from .._arguments import as_sample_weight, check_choice
from .._typing import Array, ArrayLike
from ..data import encode_labels, sorted_classes

__all__ = [
    "Options",
    "Truth",
    "checked_flag",
    "checked_options",
    "checked_truth",
    "checked_weight",
]


class Options(NamedTuple):
    """Parameters both classifiers have, checked."""

    C: float
    label_smoothing: float
    dtypes: Any


class Truth(NamedTuple):
    """Sorted class names, and labels int64 (N,) or targets (N, K) in their order."""

    classes: Array
    target: Array


def checked_options(estimator: Any) -> Options:
    """Check the parameters both classifiers have; errors name the parameter and what it may be."""
    C = _number(estimator.C, "C")
    if not C > 0.0:
        raise ValueError(f"C must be positive (infinite for no penalty), got {estimator.C!r}")
    smoothing = _number(estimator.label_smoothing, "label_smoothing")
    if not 0.0 <= smoothing < 1.0:
        raise ValueError(f"label_smoothing must be in [0, 1), got {estimator.label_smoothing!r}")
    if not 0.0 < _number(estimator.tol, "tol") < np.inf:
        raise ValueError(f"tol must be positive and finite, got {estimator.tol!r}")
    _check_count(estimator.max_iter, "max_iter")
    if estimator.workspace_bytes is not None:
        _check_count(estimator.workspace_bytes, "workspace_bytes")
    if not isinstance(estimator.verbose, numbers.Real):
        raise ValueError(f"verbose must be a number, got {estimator.verbose!r}")
    check_random_state(estimator.random_state)
    check_choice(estimator.solver, estimator._solvers, "solver")
    checked_flag(estimator.fit_intercept, "fit_intercept")
    checked_flag(estimator.warm_start, "warm_start")
    checked_flag(estimator.early_stopping, "early_stopping")
    _check_count(estimator.n_iter_no_change, "n_iter_no_change")
    if not 0.0 < _number(estimator.validation_fraction, "validation_fraction") < 1.0:
        raise ValueError(
            f"validation_fraction must lie between 0 and 1, got {estimator.validation_fraction!r}"
        )
    if estimator.callback is not None and not callable(estimator.callback):
        raise ValueError(
            f"callback must be None or a function of one argument, got {estimator.callback!r}"
        )
    dtype = estimator.dtype
    check_choice(dtype, ("auto", "float32", "float64"), "dtype")
    dtypes = [np.float64, np.float32] if dtype == "auto" else np.dtype(dtype)
    return Options(C, smoothing, dtypes)


def checked_flag(value: object, name: str) -> None:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} must be True or False, got {value!r}")


def _check_count(value: Any, name: str) -> None:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}")


def _number(value: Any, name: str) -> float:
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise ValueError(f"{name} must be a number, got {value!r}")
    return float(value)


def checked_truth(y: ArrayLike, classes: ArrayLike | None) -> Truth:
    """Class names and labels, or targets with the names given for their columns.

    Raises
    ------
    ValueError
        For a regression's targets, unknown names, or targets without names for their columns.
    """
    rows = np.asarray(y)
    if rows.ndim == 2 and rows.shape[1] > 1:
        return _targets(rows, classes)
    rows = column_or_1d(rows, warn=True)
    check_classification_targets(rows)
    names = sorted_classes(rows, classes)
    return Truth(names, encode_labels(rows, names))


def _targets(rows: Array, classes: ArrayLike | None) -> Truth:
    if classes is None:
        raise ValueError(
            f"y has shape {rows.shape}: pass one class name a row, or, if its columns are "
            "target probabilities, their names as fit(X, y, classes=[...])"
        )
    names = np.asarray(classes)
    if names.shape != rows.shape[1:]:
        raise ValueError(
            f"classes has shape {names.shape}, but y has {rows.shape[1]} columns: "
            "every column needs one name"
        )
    if rows.dtype.kind not in "biuf":
        raise ValueError(f"target probabilities must be numbers, but y has dtype {rows.dtype}")
    targets = rows.astype(np.float64)
    bad = ~(np.isfinite(targets) & (targets >= 0.0)).all(axis=1)
    if bad.any():
        raise ValueError(
            f"row {int(bad.argmax())} of y holds a negative or non-finite target probability"
        )
    in_order = sorted_classes(names, names)
    return Truth(in_order, np.ascontiguousarray(targets[:, np.argsort(names, kind="stable")]))


def checked_weight(sample_weight: ArrayLike | None, n_samples: int) -> Array | None:
    """One non-negative weight a row, float64 (N,), or None.

    Raises
    ------
    ValueError
        For a wrong shape, or a weight that is negative or not finite.
    """
    if sample_weight is None:
        return None
    rows = np.empty((n_samples, 0))
    weight = _check_sample_weight(sample_weight, rows, dtype=np.float64)
    return as_sample_weight(weight, (n_samples,))
