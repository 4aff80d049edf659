"""From logits of held-out rows to the temperature, or the map, that makes their softmax honest.

With s = 1 / T the mean cross-entropy f of ``s z`` is convex in s, and two of the library's own
products are its derivatives: ``f'(s) = <G(s z), z>`` is a JVP along z, ``f''(s) = <z, H(s z) z>``
holds an HVP.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .._typing import Array, Labels
from ..ops import cross_entropy_hvp, cross_entropy_jvp, cross_entropy_value_and_grad
from ..solvers import RelativeGap, Result, lbfgs

__all__ = ["HeldOut", "Scaling", "best_scaling", "best_temperature"]

_ITERATIONS = 200
_STEP = 1e-12
"""Relative: a step of Newton's method as small as this ends the search."""
_NEARLY_UNIFORM = 1e-3
"""What the largest logit becomes where held-out rows speak against the classifier."""
_GAP = 1e-8


class HeldOut(NamedTuple):
    """Logits float64 (N, K) of rows not trained on, their labels (N,) and weights (N,)."""

    logits: Array
    labels: Labels
    weight: Array


class Scaling(NamedTuple):
    """``z / T``; or, of z less its row's mean, ``coef * z + intercept`` or ``coef @ z + ...``.

    A logit of -inf, a class held impossible, stays.
    """

    temperature: float
    coef: Array | None = None
    intercept: Array | None = None

    def scaled(self, logits: Array) -> Array:
        """The logits (N, K) to be, in their dtype."""
        if self.coef is None or self.intercept is None:
            return logits / self.temperature
        z, possible = _centred(logits)
        coef = self.coef.astype(z.dtype)
        z = z * coef if coef.ndim == 1 else z @ coef.T
        z += self.intercept.astype(z.dtype)
        return np.where(possible, z, -np.inf)


def best_temperature(held: HeldOut) -> tuple[float, str]:
    """The temperature of the least cross-entropy, and how it was found, in words.

    Two cases have no such temperature. Where every row is right, the loss falls for ever as T
    goes to 0: the labels are then smoothed as Platt (1999) smooths his, to N + 1 of N + 2. Where
    rows speak against the logits, it falls for ever as T grows: the logits become nearly uniform,
    and keep their order.
    """
    possible = np.isfinite(held.logits)
    z = np.where(possible, held.logits, 0.0)
    n_classes, total = z.shape[1], float(held.weight.sum())
    smoothing = 0.0
    if _all_right(held):
        smoothing = n_classes / ((n_classes - 1.0) * (total + 2.0))

    def slopes(s: float) -> tuple[float, float]:
        options = {
            "sample_weight": held.weight,
            "label_smoothing": smoothing,
            "where": None if possible.all() else possible,
        }
        _, slope = cross_entropy_jvp(s * z, held.labels, z, **options)
        curvature = np.vdot(cross_entropy_hvp(s * z, held.labels, z, **options), z)
        return float(slope), float(curvature)

    if slopes(0.0)[0] >= 0.0:
        largest = float(np.abs(_centred(held.logits)[0]).max())
        return max(largest / _NEARLY_UNIFORM, 1.0), (
            "the held-out rows are predicted no better than by chance, and no temperature mends "
            "that: the probabilities are nearly uniform; give the estimator better data"
        )
    s, n_steps = _root(slopes)
    reason = f"converged: Newton's method took {n_steps} steps"
    if smoothing:
        reason += (
            "; every held-out row is right, so that no temperature is the best, and the labels "
            f"count as right {total + 1.0:g} times of {total + 2.0:g}"
        )
    return 1.0 / s, reason


def _root(slopes: Callable[[float], tuple[float, float]]) -> tuple[float, int]:
    """Where a rising function that is negative at 0 crosses it, and the steps that took.

    Newton's steps from 1, and the middle of the bracket where one leaves it.
    """
    s, low, high = 1.0, 0.0, math.inf
    for step in range(1, _ITERATIONS + 1):
        value, slope = slopes(s)
        low, high = (low, s) if value > 0.0 else (s, high)
        there = s - value / slope if slope > 0.0 else math.inf
        if abs(there - s) <= _STEP * s:
            return there, step
        if not low < there < high:
            there = 2.0 * s if high == math.inf else 0.5 * (low + high)
        s = there
    return s, _ITERATIONS


def best_scaling(
    held: HeldOut, temperature: float, *, matrix: bool, C: float
) -> tuple[Scaling, Result]:
    """Vector or matrix scaling, drawn towards the temperature's: ``(1 + D) z / T + b``.

    Minimises ``C sum_i r_i E_i + (|D|^2 + |b|^2) / 2``, which is strongly convex, so that
    ``f - f* <= |f'|^2 / 2`` certifies the end. D is diagonal, or a matrix.
    """
    n_classes = held.logits.shape[1]
    objective = _Correction(held, temperature, matrix, C)
    size = n_classes * (n_classes + 1 if matrix else 2)
    result = lbfgs(
        objective,
        np.zeros(size),
        RelativeGap(objective.gap, _GAP),
        max_iter=10_000,
        remedy="lower C",
    )
    correction, intercept = objective.parts(result.parameters)
    coef = (np.eye(n_classes) if matrix else 1.0) + correction
    return Scaling(temperature, coef / temperature, intercept), result


class _Correction:
    """The objective of `best_scaling`, in one flat vector of D and b."""

    def __init__(self, held: HeldOut, temperature: float, matrix: bool, C: float) -> None:
        z, possible = _centred(held.logits)
        self._z, self._where = z / temperature, None if possible.all() else possible
        self._held, self._matrix, self._C = held, matrix, C
        self._n_classes = z.shape[1]

    def parts(self, parameters: Array) -> tuple[Array, Array]:
        """D, (K,) or (K, K), and b (K,)."""
        correction, intercept = np.split(parameters, [-self._n_classes])
        return correction.reshape(-1, self._n_classes) if self._matrix else correction, intercept

    def value_and_grad(self, parameters: Array) -> tuple[float, Array]:
        """The penalised loss, and its gradient float64 (P,)."""
        correction, intercept = self.parts(parameters)
        z = self._z
        moved = z @ correction.T if self._matrix else z * correction
        moved += z + intercept
        loss, back = cross_entropy_value_and_grad(
            moved,
            self._held.labels,
            sample_weight=self._held.weight,
            where=self._where,
            reduction="sum",
        )
        by_correction = back.T @ z if self._matrix else np.sum(back * z, axis=0)
        gradient = np.concatenate([by_correction.ravel(), back.sum(axis=0)])
        value = self._C * float(loss) + 0.5 * float(parameters @ parameters)
        return value, self._C * gradient + parameters

    def gap(self, parameters: Array) -> float:
        """What the value may be above the least one."""
        gradient = self.value_and_grad(parameters)[1]
        return 0.5 * float(gradient @ gradient)


def _centred(logits: Array) -> tuple[Array, Array]:
    """Logits less the mean of their row, 0 where they are -inf, and where they are not."""
    possible = np.isfinite(logits)
    z = np.where(possible, logits, 0.0)
    z -= z.sum(axis=1, keepdims=True) / possible.sum(axis=1, keepdims=True)
    return np.where(possible, z, 0.0), possible


def _all_right(held: HeldOut) -> bool:
    """Whether the label's logit is the largest in every row, and alone."""
    rows = np.arange(len(held.labels))
    others = held.logits.copy()
    others[rows, held.labels] = -np.inf
    return bool((held.logits[rows, held.labels] > others.max(axis=1)).all())
