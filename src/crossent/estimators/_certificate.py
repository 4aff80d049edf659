"""How far from its minimum an objective can be at most, by a point of its dual."""

from __future__ import annotations

import numpy as np

from .._typing import Array
from .._vectors import combined, dot, products
from ..objective import Evaluation, Network, NetworkObjective

__all__ = ["Certificate"]


class Certificate:
    """An upper bound of f - f*, for features without parameters and a finite C.

    Any rows alpha_i >= 0 of mass s_i with ``sum_i r_i alpha_i = sum_i r_i y_i`` (which is b's own
    condition of optimality) give the bound

    ``f* >= -|A|^2 / (2 ridge) + sum_i r_i H(alpha_i) / S``,
    ``A = sum_i r_i (alpha_i - y_i) phi_i^T / S``,

    with H the entropy. Taken are ``alpha_i = (1 - t) s_i p_i + t s_i q`` with the least t for which
    such a distribution q exists; H is concave, so that no row has to be looked at again. Where b is
    optimal, t is 0, and what remains is ``f - f* <= |grad_W f|^2 / (2 ridge)``.

    Parameters
    ----------
    objective : NetworkObjective
    """

    def __init__(self, objective: NetworkObjective) -> None:
        self._objective = objective
        self._origin: Array | None = None

    def __call__(self, parameters: Array) -> float:
        """The bound at flat parameters."""
        objective = self._objective
        at, ridge = objective.evaluated(parameters), objective.ridge
        if not objective.loss.fit_intercept:
            return _sum(1.0, at.gradient.weight, ridge, at.network.weight)[1] / (2.0 * ridge)
        slope = self._slope(at.gradient)
        if self._origin is None and not at.network.weight.any():
            self._origin = slope  # which a cold start has for nothing
        surplus = at.gradient.bias
        if objective.loss.one_logit:
            surplus = np.array([-surplus[0], surplus[0]])
        mass = objective.targets + surplus
        t = min(1.0, max(0.0, float(np.max(surplus / np.maximum(mass, 1e-300)))))
        bias = at.network.bias + products(at.network.weight, objective.coordinates.mean)
        bound = _sum(1.0, slope, ridge, at.network.weight)[1] / (2.0 * ridge)
        bound += (1.0 - t) * float(at.gradient.bias @ bias)
        if t > 0.0:
            q = np.maximum(objective.targets - (1.0 - t) * mass, 0.0)
            bound += self._price_of_mixing(at, slope, t, q)
        return max(bound, 0.0)

    def _price_of_mixing(self, at: Evaluation, slope: Array, t: float, q: Array) -> float:
        """What the share t of q costs the bound; ``q`` is t times its total mass."""
        shift, square = _sum(-t, slope, t, self._slope_at_origin())
        price = (dot(slope, shift) + 0.5 * square) / self._objective.ridge
        price += t * (at.loss - dot(slope, at.network.weight))
        present = q[q > 0.0]
        total = t * float(self._objective.targets.sum())
        return price + float(present @ np.log(present / total))

    def _slope(self, gradient: Network) -> Array:
        """Gradient of the loss in W with b held at the features' mean."""
        slope, mean = np.empty_like(gradient.weight), self._objective.coordinates.mean[None]
        for row, bias, out in zip(gradient.weight, -gradient.bias, slope, strict=True):
            combined(1.0, row, np.array([bias]), mean, out)
        return slope

    def _slope_at_origin(self) -> Array:
        """That at W = 0: minus the sum of r y (phi - mean)^T / S, whatever b is."""
        if self._origin is None:
            n_rows, n_features = self._objective.n_rows, len(self._objective.coordinates.mean)
            origin = Network(
                np.zeros((n_rows, n_features)), np.zeros(n_rows), self._objective.features_start
            )
            self._origin = self._slope(self._objective.loss_and_grad(origin)[1])
        return self._origin


def _sum(a: float, x: Array, b: float, y: Array) -> tuple[Array, float]:
    """``a x + b y``, as one vector, and the sum of its squares."""
    return combined(a, x.ravel(), np.array([b]), y.reshape(1, -1))
