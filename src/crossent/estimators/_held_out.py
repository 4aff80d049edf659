"""Logits of any classifier, and of rows that it was not trained on."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import _safe_indexing
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_method_params, column_or_1d

from .._typing import Array, ArrayLike
from ..data import encode_labels
from ._scaling import HeldOut

__all__ = [
    "check_possible",
    "checked_folds",
    "checked_names",
    "logits_of",
    "out_of_fold_logits",
]


def logits_of(estimator: Any, X: ArrayLike) -> Array:
    """Logits (N, K): the decision function, or where there is none the log-probabilities.

    One logit u of two classes becomes (0, u). A log-probability of -inf, which votes and
    neighbours know, becomes that of one rounding unit.

    Raises
    ------
    TypeError
        If the estimator has neither, or no classes.
    ValueError
        If it gives something else than one number a class, or NaN.
    """
    _check_scores_classes(estimator)
    n_classes = len(estimator.classes_)
    if hasattr(estimator, "decision_function"):
        logits = _floating(estimator.decision_function(X))
        if n_classes == 2 and logits.ndim == 1:
            logits = _two_logits(logits)
    else:
        logits = _log_probabilities(estimator, X)
    name = type(estimator).__name__
    if logits.ndim != 2 or logits.shape[1] != n_classes:
        raise ValueError(
            f"{name} gives scores of shape {logits.shape} for {n_classes} classes, and expected "
            "is one a class: choose another estimator, or decision_function_shape='ovr'"
        )
    wrong = np.isnan(logits).any(axis=1) | np.isposinf(logits).any(axis=1)
    wrong |= np.isneginf(logits).all(axis=1)
    if wrong.any():
        raise ValueError(
            f"{name} gives NaN or infinite scores for row {int(wrong.argmax())} of X "
            f"({int(wrong.sum())} such rows), which have no probabilities: look at that row"
        )
    return logits


def _check_scores_classes(estimator: Any) -> None:
    scores = hasattr(estimator, "decision_function") or hasattr(estimator, "predict_proba")
    if not scores or not hasattr(estimator, "classes_"):
        raise TypeError(
            f"{type(estimator).__name__} has neither decision_function nor predict_proba, or no "
            "classes_: only a classifier that scores its classes has probabilities to scale"
        )


def _floating(scores: ArrayLike) -> Array:
    found = np.asarray(scores)
    return found if found.dtype in (np.float32, np.float64) else found.astype(np.float64)


def _two_logits(u: Array) -> Array:
    """(0, u); (-inf, 0) where u is +inf."""
    certain = np.isposinf(u)
    return np.stack([np.where(certain, -np.inf, 0.0), np.where(certain, 0.0, u)], axis=1).astype(
        u.dtype
    )


def _log_probabilities(estimator: Any, X: ArrayLike) -> Array:
    with np.errstate(divide="ignore"):
        if hasattr(estimator, "predict_log_proba"):
            found = _floating(estimator.predict_log_proba(X))
        else:
            found = np.log(_floating(estimator.predict_proba(X)))
    return np.where(np.isneginf(found), np.log(np.finfo(found.dtype).eps), found)


def out_of_fold_logits(
    estimator: Any,
    X: ArrayLike,
    y: Array,
    classes: Array,
    folds: Iterable[tuple[Array, Array]],
    *,
    params: dict[str, Any],
    n_jobs: int | None,
) -> tuple[Array, Array]:
    """Logits (M, K) of every fold's rows, from a clone trained on the others; and the rows (M,).

    Parameters
    ----------
    estimator : estimator
    X : array_like (N, D)
    y : array (N,)
        Class names.
    classes : array (K,)
        All of them, sorted.
    folds : iterable of (train, test)
        Row numbers.
    params : dict
        For the clones' ``fit``; what has one entry a row is cut to the rows trained on.
    n_jobs : int, optional

    Raises
    ------
    ValueError
        If a class has no row to be trained on in a fold.
    """
    splits = list(folds)
    found = Parallel(n_jobs=n_jobs)(
        delayed(_fold_logits)(clone(estimator), X, y, classes, train, test, params)
        for train, test in splits
    )
    return np.concatenate(found), np.concatenate([np.arange(len(y))[test] for _, test in splits])


def _fold_logits(
    estimator: Any,
    X: ArrayLike,
    y: Array,
    classes: Array,
    train: Array,
    test: Array,
    params: dict[str, Any],
) -> Array:
    """Train on some rows, score the others."""
    cut = _check_method_params(X, params=params, indices=train)
    estimator.fit(_safe_indexing(X, train), _safe_indexing(y, train), **cut)
    _check_scores_classes(estimator)
    missing = classes[~np.isin(classes, estimator.classes_)].tolist()
    if missing:
        raise ValueError(
            f"a fold of cv trains on no row of the class {missing[0]!r}: give fewer folds, "
            "stratified ones, or a fitted estimator with cv='prefit'"
        )
    return logits_of(estimator, _safe_indexing(X, test))


def checked_names(y: ArrayLike) -> Array:
    """One class name a row, (N,).

    Raises
    ------
    ValueError
        For target probabilities, or a regression's targets.
    """
    rows = np.asarray(y)
    if rows.ndim == 2 and rows.shape[1] > 1:
        raise ValueError(
            f"y has shape {rows.shape}: a scaling is fitted to class names, one a row (N,)"
        )
    rows = column_or_1d(rows, warn=True)
    check_classification_targets(rows)
    return rows


def checked_folds(cv: Any, names: Array, classes: Array) -> Any:
    """``cv`` as scikit-learn takes it; None is 5 folds, or as many as the rarest class has rows.

    Raises
    ------
    ValueError
        If there is one class only, or a class has fewer rows than there are folds.
    """
    if len(classes) < 2:
        raise ValueError(
            f"y has rows of one class only ({', '.join(map(repr, classes.tolist()))}): "
            "a classifier needs samples of at least 2 classes in the data"
        )
    if not (cv is None or isinstance(cv, numbers.Integral)):
        return cv
    counts = np.bincount(encode_labels(names, classes))
    fewest, rarest = int(counts.min()), classes.tolist()[counts.argmin()]
    n_folds = min(5, max(2, fewest)) if cv is None else int(cv)
    if fewest < n_folds:
        raise ValueError(
            f"the class {rarest!r} has n_samples={fewest}, fewer than the {n_folds} folds of cv: "
            "give it more rows, leave it out, or pass a fitted estimator with cv='prefit'"
        )
    return n_folds


def check_possible(held: HeldOut, classes: Array) -> None:
    """Refuse a row whose class has the logit -inf: it costs infinitely much at any temperature.

    Raises
    ------
    ValueError
        Naming the first such class.
    """
    impossible = np.isneginf(held.logits[np.arange(len(held.labels)), held.labels])
    if impossible.any():
        name = classes.tolist()[held.labels[int(impossible.argmax())]]
        raise ValueError(
            f"{int(impossible.sum())} held-out rows are of the class {name!r}, "
            "which the estimator holds impossible: train it on rows of every class"
        )
