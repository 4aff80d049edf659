"""The softmax objective for gradient boosting, with a choice of what stands for the curvature.

XGBoost and LightGBM fit each tree to a gradient and, in the place of the Hessian with its blocks
``diag(p) - p p^T``, to one positive number an entry.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ._arguments import as_floating, check_choice, check_same_shape
from ._typing import Array, ArrayLike, Labels
from .ops import cross_entropy_value_and_grad, softmax

__all__ = ["lightgbm_softmax", "xgboost_softmax"]

Objective: TypeAlias = Callable[..., tuple[Array, Array]]

_CURVATURES = ("p(1-p)", "2p(1-p)", "K/(K-1) p(1-p)", "|p-y|")
_LEAST = 1e-16  # of a curvature before the weight: a leaf's value is divided by their sum


def xgboost_softmax(curvature: str = "2p(1-p)") -> Objective:
    """Softmax cross-entropy as an objective of XGBoost.

    ``gradient = r (p - y)``; the curvature stands in the place of the Hessian's diagonal.

    Parameters
    ----------
    curvature : {"p(1-p)", "2p(1-p)", "K/(K-1) p(1-p)", "|p-y|"}
        "p(1-p)" is the diagonal of the Hessian; the next two are XGBoost's and LightGBM's own
        multiples of it, and give smaller steps; "|p-y|" is the gradient's size, and is
        never small where the gradient is not.

    Returns
    -------
    callable
        For ``xgboost.train(..., obj=...)``, called with the margins (N, K) and the DMatrix, and
        for ``XGBClassifier(objective=...)``, called with labels, margins and sample weights. It
        returns gradient and curvature, float32 (N, K). Set ``num_class`` to K.

    Raises
    ------
    ValueError
        For another curvature; by the callable, where margins are not (N, K), or labels are not
        integers 0 ... K-1: the message names the row.

    Notes
    -----
    XGBoost 2.1 or newer. With the default curvature this is its own ``multi:softprob``. The sum
    of K p (1 - p) / (K - 1) over the classes, and so its use, is Friedman's (2001).

    Examples
    --------
    >>> from crossent.boosting import xgboost_softmax
    >>> objective = xgboost_softmax("p(1-p)")
    >>> gradient, curvature = objective([1], [[0.0, 0.0]])
    >>> gradient, curvature
    (array([[ 0.5, -0.5]], dtype=float32), array([[0.25, 0.25]], dtype=float32))
    """
    check_choice(curvature, _CURVATURES, "curvature")
    return functools.partial(_objective, curvature)


def lightgbm_softmax(curvature: str = "K/(K-1) p(1-p)") -> Objective:
    """Softmax cross-entropy as an objective of LightGBM.

    ``gradient = r (p - y)``; the curvature stands in the place of the Hessian's diagonal.

    Parameters
    ----------
    curvature : {"p(1-p)", "2p(1-p)", "K/(K-1) p(1-p)", "|p-y|"}
        As in :func:`xgboost_softmax`.

    Returns
    -------
    callable
        For ``lightgbm.train({"objective": ...})``, called with the scores (N, K) and the Dataset,
        and for ``LGBMClassifier(objective=...)``, called with labels, scores and sample weights.
        It returns gradient and curvature, float32 (N, K). Set ``num_class`` to K.

    Raises
    ------
    ValueError
        As :func:`xgboost_softmax`.

    Notes
    -----
    LightGBM 4 or newer. With the default curvature this is its own ``multiclass`` with
    ``boost_from_average=False``: no library adds the classes' average for an objective it is given.

    Examples
    --------
    >>> from crossent.boosting import lightgbm_softmax
    >>> objective = lightgbm_softmax()
    >>> gradient, curvature = objective([1], [[0.0, 0.0]])
    >>> curvature
    array([[0.5, 0.5]], dtype=float32)
    """
    check_choice(curvature, _CURVATURES, "curvature")
    return functools.partial(_objective, curvature)


def _objective(
    curvature: str, first: Any, second: Any, sample_weight: Any = None
) -> tuple[Array, Array]:
    """What both libraries call: with (scores, data set), or (labels, scores, sample weights)."""
    if not hasattr(second, "get_label"):
        return _gradient_and_curvature(curvature, second, first, sample_weight)
    weight = second.get_weight()
    weight = None if weight is None or len(weight) == 0 else weight
    return _gradient_and_curvature(curvature, first, second.get_label(), weight)


def _gradient_and_curvature(
    curvature: str, scores: ArrayLike, labels: ArrayLike, weight: ArrayLike | None
) -> tuple[Array, Array]:
    """``r (p - y)`` and the curvature of each entry, float32 (N, K)."""
    z = as_floating(scores, "scores").astype(np.float64)
    if z.ndim != 2:
        raise ValueError(
            f"scores has shape {z.shape}, but a softmax asks for (N, K): set num_class to the "
            "number of classes"
        )
    t = _as_labels(labels, len(z))
    _, gradient = cross_entropy_value_and_grad(z, t, sample_weight=weight, reduction="sum")
    if curvature == "|p-y|":
        _, unweighted = cross_entropy_value_and_grad(z, t, reduction="sum")
        diagonal = np.abs(unweighted)
    else:
        n_classes = z.shape[1]
        factors = {"p(1-p)": 1.0, "2p(1-p)": 2.0}
        factor = factors.get(curvature) or n_classes / max(1, n_classes - 1)
        diagonal = factor * _variance(softmax(z))
    diagonal = np.maximum(diagonal, _LEAST)
    if weight is not None:
        diagonal *= as_floating(weight, "sample_weight").astype(np.float64)[:, None]
    return gradient.astype(np.float32), diagonal.astype(np.float32)


def _variance(p: Array) -> Array:
    """``p (1 - p)``, with 1 - p of the largest summed from the others: it keeps its digits."""
    complement = 1.0 - p
    if p.size:
        at = p.argmax(axis=1)[:, None]
        others = p.copy()
        np.put_along_axis(others, at, 0.0, axis=1)
        np.put_along_axis(complement, at, others.sum(axis=1, keepdims=True), axis=1)
    return p * complement


def _as_labels(labels: ArrayLike, n_samples: int) -> Labels:
    """Class numbers, which both libraries keep as floats."""
    given = as_floating(labels, "labels")
    check_same_shape(given.shape, (n_samples,), "labels", f"scores of {n_samples} rows")
    whole = np.isfinite(given) & (given == np.floor(given))
    if not whole.all():
        row = int((~whole).argmax())
        raise ValueError(f"labels[{row}] is {given[row]}: class numbers are integers from 0 to K-1")
    return given.astype(np.int64)
