"""How often and how surely the scores are right."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._typing import Array, ArrayLike
from ._checks import checked_probabilities, checked_rows, ratio

__all__ = [
    "ClassScores",
    "accuracy",
    "brier_score",
    "class_scores",
    "confusion_matrix",
    "log_loss",
]


class ClassScores(NamedTuple):
    """Precision, recall, F1 and weight of the labels, each float64 (K,); NaN where undefined."""

    precision: Array
    recall: Array
    f1: Array
    support: Array


def accuracy(
    labels: ArrayLike, probabilities: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Share of rows whose largest score is the label's.

    Any scores that rise with the probability do: logits and log-probabilities as well.

    Parameters
    ----------
    labels : integers (N,)
        Class numbers 0 ... K-1.
    probabilities : array_like (N, K)
    sample_weight : array_like (N,), optional

    Returns
    -------
    float
        In [0, 1]; NaN without rows.

    Raises
    ------
    ValueError
        If shapes differ, a label is no class number, a row that counts holds NaN, or a weight is
        negative or not finite.

    Examples
    --------
    >>> accuracy([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    0.6666666666666666
    """
    label_rows, scores, weight = checked_rows(labels, probabilities, sample_weight)
    hits = _predicted(scores, weight) == label_rows
    return ratio(float(weight @ hits), float(weight.sum()))


def log_loss(
    labels: ArrayLike, log_probabilities: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Mean of minus the labels' log-probabilities, in nats.

    It takes log-probabilities, so that a very unlikely label costs what it should
    and nothing is clipped: E = -sum_i r_i log p_it / sum_i r_i.

    Parameters
    ----------
    labels : integers (N,)
    log_probabilities : array_like (N, K)
        As ``predict_log_proba`` gives them; probabilities are refused where they show themselves
        (a positive number).
    sample_weight : array_like (N,), optional

    Returns
    -------
    float
        NaN without rows.

    Raises
    ------
    ValueError
        As `accuracy`, or if an entry is positive. NaN is no error here: it is the result.

    Examples
    --------
    >>> log_loss([0, 1], [[-1000.0, 0.0], [-1000.0, 0.0]])
    500.0
    """
    label_rows, scores, weight = checked_rows(labels, log_probabilities, sample_weight)
    if scores.size and float(scores.max()) > 1e-3:
        raise ValueError(
            f"log_probabilities hold {float(scores.max())}, but a logarithm of a probability is "
            "never positive: pass predict_log_proba, or numpy.log of the probabilities"
        )
    own = scores[np.arange(len(label_rows)), label_rows].astype(np.float64)
    present = weight > 0.0
    return ratio(-float(weight[present] @ own[present]), float(weight.sum()))


def brier_score(
    labels: ArrayLike, probabilities: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Mean squared distance of the probabilities from the truth, in [0, 2] (Brier 1950).

    ``sum_i r_i |p_i - onehot(t_i)|^2 / sum_i r_i``. For two classes it is twice what
    scikit-learn's ``brier_score_loss`` gives by default.

    Parameters
    ----------
    labels : integers (N,)
        Class numbers 0 ... K-1.
    probabilities : array_like (N, K)
    sample_weight : array_like (N,), optional

    Returns
    -------
    float
        NaN without rows.

    Raises
    ------
    ValueError
        If shapes differ, a label is no class number, a row that counts is no distribution, or
        a weight is negative or not finite.

    Examples
    --------
    >>> brier_score([0, 1], [[1.0, 0.0], [0.5, 0.5]])
    0.25
    """
    rows, p, weight = checked_probabilities(labels, probabilities, sample_weight)
    own = p[np.arange(len(rows)), rows]
    others = np.square(p).sum(axis=1) - np.square(own)
    return ratio(float(weight @ (others + np.square(1.0 - own))), float(weight.sum()))


def confusion_matrix(
    labels: ArrayLike, probabilities: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> Array:
    """Weight of the rows of class i (row) predicted as class j (column), float64 (K, K).

    Parameters
    ----------
    labels : integers (N,)
    probabilities : array_like (N, K)
    sample_weight : array_like (N,), optional

    Raises
    ------
    ValueError
        As `accuracy`.

    Examples
    --------
    >>> confusion_matrix([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    array([[1., 0.],
           [1., 1.]])
    """
    label_rows, scores, weight = checked_rows(labels, probabilities, sample_weight)
    n_classes = scores.shape[1]
    cell = label_rows * n_classes + _predicted(scores, weight)
    counts = np.bincount(cell, weights=weight, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes)


def class_scores(confusion: ArrayLike) -> ClassScores:
    """Precision, recall and F1 of every class, from a confusion matrix.

    Parameters
    ----------
    confusion : array_like (K, K)
        Rows are the true classes, as `confusion_matrix` gives it.

    Raises
    ------
    ValueError
        If it is not square.

    Examples
    --------
    >>> class_scores([[3, 1], [0, 4]]).precision
    array([1. , 0.8])
    """
    counts = np.asarray(confusion, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"confusion must be a square matrix (K, K), its shape is {counts.shape}")
    right, support, predicted = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return ClassScores(
            precision=right / predicted,
            recall=right / support,
            f1=2.0 * right / (predicted + support),
            support=support,
        )


def _predicted(scores: Array, weight: Array) -> Array:
    """The class of each row's largest score; NaN, which is largest nowhere, is refused."""
    unknown = np.isnan(scores).any(axis=1) & (weight > 0.0)
    if unknown.any():
        row = int(unknown.argmax())
        raise ValueError(
            f"the scores of row {row} hold NaN ({int(unknown.sum())} of {len(scores)} rows do), "
            "so no class is its largest: give such rows the sample_weight 0 or leave them out"
        )
    return scores.argmax(axis=1)
