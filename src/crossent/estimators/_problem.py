"""From checked rows to what is trained on: rows that count, of classes that count."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._typing import Array
from ..data import ArrayBatches, class_mass, class_weights
from ._checks import Truth

__all__ = ["Problem", "problem_of"]


class Problem(NamedTuple):
    """Rows of positive weight, of classes that have some mass, ready to be trained on.

    ``classes`` are the numbers of those classes among all; ``one_logit`` says two classes in all;
    ``warm`` says that the last fit's network fits these data and is where to start; ``held`` are
    rows held out to see when to stop.
    """

    inputs: Any
    target: Array
    sample_weight: Array | None
    mass: Array
    classes: Array
    one_logit: bool
    warm: bool = False
    held: Problem | None = None


def problem_of(
    estimator: Any, X: Any, truth: Truth, weight: Array | None
) -> tuple[Problem, Array | None]:
    """Leave out rows without weight and classes without mass; with it, float64 class weights (K,).

    Raises
    ------
    ValueError
        If fewer than two classes count, or smoothing would spread targets on one of weight 0.
    """
    target = truth.target
    if weight is not None and (weight == 0.0).any():
        present = weight > 0.0
        if not present.any():
            raise ValueError(
                "every sample_weight is 0: at least one row must have a positive weight"
            )
        X, target, weight = X[present], target[present], weight[present]
    n_classes = len(truth.classes)
    mass = class_mass(ArrayBatches(X, target, weight), n_classes)
    class_weight = class_weights(estimator.class_weight, truth.classes, mass)
    asked = mass if class_weight is None else mass * class_weight
    spread = estimator.label_smoothing > 0.0 or not estimator.fit_intercept
    classes = np.arange(n_classes) if spread else np.flatnonzero(asked > 0.0)
    _check_classes(truth.classes, mass, class_weight, estimator.label_smoothing)
    if len(classes) < n_classes:
        if target.ndim == 1:
            kept = np.isin(target, classes)
            X, target = X[kept], np.searchsorted(classes, target[kept])
            weight = weight if weight is None else weight[kept]
        else:
            target = target[:, classes]
        mass = mass[classes]
        class_weight = class_weight if class_weight is None else class_weight[classes]
    return Problem(X, target, weight, mass, classes, n_classes == 2), class_weight


def _check_classes(
    names: Array, mass: Array, class_weight: Array | None, label_smoothing: float
) -> None:
    """At least two classes must have rows and a weight."""
    if not mass.any():
        raise ValueError("every target in y is 0: no row names a class to learn")
    if np.count_nonzero(mass) < 2:
        raise ValueError(
            f"y has rows of one class only ({names.tolist()[int(mass.argmax())]!r}): "
            "a classifier needs samples of at least 2 classes in the data"
        )
    if class_weight is None or class_weight.all():
        return
    if np.count_nonzero(mass * class_weight) < 2:
        raise ValueError("class_weight is 0 for all classes of y but one: 2 must count at least")
    if label_smoothing > 0.0:
        without = names.tolist()[int((class_weight == 0.0).argmax())]
        raise ValueError(
            f"class_weight is 0 for the class {without!r}, and label_smoothing would spread "
            "targets on it: give it a positive weight, or set label_smoothing=0"
        )
