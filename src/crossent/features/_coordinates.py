"""Coordinates of (W, b) in which the loss is curved about alike in all directions.

Columns of very different size, or nearly alike, make the loss a long valley, and a descent method
crawls through it. The curvature in W is at most about h <x x^T> with h = 1/2 (Boehning 1992; 1/K is
nearer to the truth on the way), plus the penalty's. Measuring W in units of the inverse square root
of that matrix, and b at the mean of the features, makes the valley a bowl. Only coordinates change:
the optimum does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .._typing import Array, Batch, Batches, Features

__all__ = ["Coordinates", "whitened"]

_FULL_UP_TO = 1024
"""Features up to which the whole matrix of second moments is used; beyond, its diagonal."""


class Coordinates(NamedTuple):
    """A linear change of variables: W = U A^T, b = c v - W mean.

    ``factor`` is A (n, n), or its diagonal (n,); ``mean`` is (n,); all float64.
    """

    mean: Array
    factor: Array
    bias_scale: float

    def weight_and_bias(self, u: Array, v: Array) -> tuple[Array, Array]:
        """W (R, n) and b (R,) of the coordinates u (R, n) and v (R,)."""
        weight = u * self.factor if self.factor.ndim == 1 else u @ self.factor.T
        return weight, self.bias_scale * v - weight @ self.mean

    def features(self, phi: Array) -> Array:
        """What u multiplies: (phi - mean) A, float64 (B, n)."""
        centred = phi.astype(np.float64) - self.mean
        return centred * self.factor if self.factor.ndim == 1 else centred @ self.factor

    def vjp(self, weight_grad: Array, bias_grad: Array) -> tuple[Array, Array]:
        """Gradients in u and v, from those in W and b."""
        centred = weight_grad - np.outer(bias_grad, self.mean)
        u_grad = centred * self.factor if self.factor.ndim == 1 else centred @ self.factor
        return u_grad, self.bias_scale * bias_grad

    def inverse(self, weight: Array, bias: Array) -> tuple[Array, Array]:
        """The coordinates u and v of W and b; of least norm where a direction has no coordinate."""
        v = (bias + weight @ self.mean) / self.bias_scale
        if self.factor.ndim == 2:
            sizes = np.linalg.norm(self.factor, axis=1)
            sizes = np.where(sizes > 0.0, sizes, np.inf)
            return (weight / sizes) @ np.linalg.pinv(self.factor / sizes[:, None]).T, v
        used = self.factor != 0.0
        return np.where(used, weight / np.where(used, self.factor, 1.0), 0.0), v


def whitened(
    batches: Batches,
    features: Features,
    parameters: Array,
    row_mass: Callable[[Batch], Array],
    *,
    curvature: float,
    ridge: float,
    centred: bool,
) -> Coordinates:
    """Coordinates in which ``curvature <phi phi^T> + ridge`` is the identity.

    Parameters
    ----------
    batches, features, parameters
        Whose features' mean and second moments count, each row as ``row_mass`` of its batch says.
    row_mass : callable
        From a batch to float64 (B,).
    curvature : float
        Of the loss in a logit; also that of b, which gets the unit 1 / sqrt(curvature).
    ridge : float
        Of the penalty; 0 leaves out directions that the data do not have.
    centred : bool
        Whether an intercept is free, which takes the features' mean away.

    Raises
    ------
    ValueError
        If all rows have no weight.
    """
    total, mean = _mean(batches, features, parameters, row_mass)
    if not total > 0.0:
        raise ValueError("every row has weight 0: at least one must have a positive sample_weight")
    if not centred:
        mean = np.zeros_like(mean)
    bias_scale = 1.0 / np.sqrt(curvature)
    full = features.n_features <= _FULL_UP_TO
    moments = np.zeros((len(mean),) * 2 if full else len(mean))
    for batch in batches:
        rows = features.values(parameters, batch.inputs) - mean.astype(batches.dtype)
        weight = (row_mass(batch) / total).astype(batches.dtype)
        moments += (rows * weight[:, None]).T @ rows if full else weight @ np.square(rows)
    if not full:
        return Coordinates(mean, 1.0 / _scales(curvature * moments + ridge), float(bias_scale))
    factor = _inverse_root(curvature * moments + ridge * np.eye(len(mean)), ridge > 0.0)
    return Coordinates(mean, factor, float(bias_scale))


def _mean(
    batches: Batches,
    features: Features,
    parameters: Array,
    row_mass: Callable[[Batch], Array],
) -> tuple[float, Array]:
    """Total mass, and the mean of the features under it."""
    total, mean = 0.0, np.zeros(features.n_features)
    for batch in batches:
        mass = row_mass(batch)
        total += float(mass.sum())
        mean += mass @ features.values(parameters, batch.inputs)
    return total, mean / total if total > 0.0 else mean


def _inverse_root(matrix: Array, keep_all: bool) -> Array:
    """A with A A^T = matrix^-1, found on a unit diagonal, so that the columns' units play no part.

    A direction lost in rounding is kept at the rounding's size, or left out.
    """
    scales = _scales(matrix.diagonal())
    values, vectors = np.linalg.eigh(matrix / np.outer(scales, scales))
    least = len(scales) * np.finfo(np.float64).eps * values.max(initial=0.0)
    roots = np.sqrt(np.maximum(values, least))
    roots[(values <= least) & (not keep_all)] = np.inf
    return vectors / roots / scales[:, None]


def _scales(curvatures: Array) -> Array:
    """Square roots; infinite, which leaves the direction out, where there is no curvature."""
    return np.where(curvatures > 0.0, np.sqrt(curvatures), np.inf)
