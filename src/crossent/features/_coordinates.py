"""Coordinates of (W, b) in which the loss is curved about alike in all directions.

Columns of very different size, or nearly alike, make the loss a long valley, and a descent method
crawls through it. The curvature in W is at most about h <x x^T> with h = 1/2 (Boehning 1992; 1/K is
nearer to the truth on the way), plus the penalty's. Measuring W in units of the inverse square root
of that matrix, and b at the mean of the features, makes the valley a bowl. On the way h may become
the curvature among the classes there, <diag(p) - p p^T>, a matrix (`for_classes`). Only coordinates
change: the optimum does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .._typing import Array, Batch, Batches, Features
from .._vectors import pieces, products
from ._products import centred_moments, weighted_mean

__all__ = ["Coordinates", "column_coordinates", "whitened"]

_FULL_UP_TO = 1024
"""Features up to which the whole matrix of second moments is used; beyond, its diagonal."""

_LEAST_ROWS, _ROWS_A_FEATURE = 10_000, 20
"""Rows that are enough for the second moments."""

_LEAST_CURVATURE = 1e-3
"""Of a direction among the classes, of the mean one: b, which has no penalty, needs some."""


class Coordinates(NamedTuple):
    """A linear change of variables: W = Q (u * s) A^T, b = Q (c v) - W mean.

    ``factor`` is A (n, n), or its diagonal (n,), and ``metric`` the M, or its diagonal, for which
    A^T M A = 1; ``mean`` is (n,); ``bias_scale`` is c, a number or (R,). ``classes`` is Q (R, R),
    ``scale`` is s (R, n); None for the identity and ones. All are float64.
    """

    mean: Array
    factor: Array
    metric: Array
    bias_scale: float | Array
    classes: Array | None = None
    scale: Array | None = None

    def weight_and_bias(self, u: Array, v: Array) -> tuple[Array, Array]:
        """W (R, n) and b (R,) of the coordinates u (R, n) and v (R,)."""
        u = u if self.scale is None else u * self.scale
        weight = u * self.factor if self.factor.ndim == 1 else u @ self.factor.T
        bias = self.bias_scale * v
        if self.classes is not None:
            weight, bias = self.classes @ weight, self.classes @ bias
        return weight, bias - products(weight, self.mean)

    def features(self, phi: Array) -> Array:
        """(phi - mean) A, float64 (B, n): what u multiplies where Q and s are none."""
        centred = phi.astype(np.float64) - self.mean
        return centred * self.factor if self.factor.ndim == 1 else centred @ self.factor

    def vjp(self, weight_grad: Array, bias_grad: Array) -> tuple[Array, Array]:
        """Gradients in u, in the memory of that in W, and in v, from those in W and b."""
        if self.classes is None and self.scale is None and self.factor.ndim == 1:
            for columns in pieces(weight_grad.shape[1], len(weight_grad)):
                own = weight_grad[:, columns]
                own -= np.outer(bias_grad, self.mean[columns])
                own *= self.factor[columns]
            return weight_grad, self.bias_scale * bias_grad
        weight_grad -= np.outer(bias_grad, self.mean)
        own = weight_grad
        if self.classes is not None:
            own, bias_grad = self.classes.T @ own, self.classes.T @ bias_grad
        own = own @ self.factor if self.factor.ndim == 2 else own * self.factor
        np.multiply(own, 1.0 if self.scale is None else self.scale, out=weight_grad)
        return weight_grad, self.bias_scale * bias_grad

    def inverse(self, weight: Array, bias: Array) -> tuple[Array, Array]:
        """The coordinates u and v of W and b; 0 where a direction has no coordinate."""
        bias = bias + products(weight, self.mean)
        if self.classes is not None:
            weight, bias = self.classes.T @ weight, self.classes.T @ bias
        if self.factor.ndim == 2:
            u = weight @ (self.metric @ self.factor)
        else:
            u = weight * (self.metric * self.factor)
        return (u if self.scale is None else u / self.scale), bias / self.bias_scale

    def for_classes(self, curvature: Array, ridge: float) -> Coordinates:
        """Coordinates in which ``curvature (x) <phi phi^T> + ridge`` is the identity.

        Parameters
        ----------
        curvature : float64 (R, R), or its diagonal (R,)
            Positive semidefinite.
        ridge : float
            As it was where these coordinates, of the same curvature in all classes, were found.

        Notes
        -----
        With ``A^T (h <phi phi^T> + ridge) A = 1`` the eigenvectors of ``A^T A`` are those of both
        terms, and ``ridge`` times its eigenvalues the second's share of the identity.
        """
        before = 1.0 / float(np.square(self.bias_scale))
        classes, sizes = None, curvature
        if curvature.ndim == 2:
            sizes, classes = np.linalg.eigh(curvature)
        sizes = np.maximum(sizes, _LEAST_CURVATURE * max(float(sizes.mean()), 1e-300))
        factor = self.factor
        if factor.ndim == 1:
            share = ridge * np.square(factor)
        else:
            share, turn = np.linalg.eigh(ridge * (factor.T @ factor))
            factor = factor @ turn
        share = np.clip(share, 0.0, 1.0)
        scale = np.outer(sizes / before, 1.0 - share)
        scale += share
        np.divide(1.0, np.sqrt(scale, out=scale), out=scale)
        return self._replace(
            factor=factor, bias_scale=1.0 / np.sqrt(sizes), classes=classes, scale=scale
        )


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
        Whether an intercept is free, which takes the features' mean away; nothing is taken from
        the features themselves.

    Raises
    ------
    ValueError
        If all rows have no weight, or the squares of the features are too large for a float64.

    Notes
    -----
    Of many rows some, taken evenly, tell the second moments well enough: 20 a feature, 10000 at
    least.
    """
    total, mean = 0.0, np.zeros(features.n_features)
    for batch in batches:
        mass = row_mass(batch)
        total += float(mass.sum())
        mean += weighted_mean(features.values(parameters, batch.inputs), mass)
    if not total > 0.0:
        raise ValueError("every row has weight 0: at least one must have a positive sample_weight")
    mean /= total
    mean = mean if centred else np.zeros_like(mean)
    full = features.n_features <= _FULL_UP_TO and not batches.is_sparse
    some = batches.thinned(max(_LEAST_ROWS, _ROWS_A_FEATURE * features.n_features))
    share = total * some.n_samples / batches.n_samples
    moments = np.zeros((len(mean),) * 2 if full else len(mean))
    for batch in some:
        phi = features.values(parameters, batch.inputs)
        moments += centred_moments(phi, mean, row_mass(batch) / share, full=full)
    bias_scale = float(1.0 / np.sqrt(curvature))
    if not np.isfinite(moments).all():
        _refuse(np.atleast_2d(moments).max(axis=0))
    metric = curvature * moments + (ridge * np.eye(len(mean)) if full else ridge)
    factor = _inverse_root(metric, ridge > 0.0) if full else 1.0 / _scales(metric)
    return Coordinates(mean, factor, metric, bias_scale)


def column_coordinates(rows: Any, *, centred: bool) -> Coordinates:
    """Coordinates in which each column is centred and of variance one, as these rows show it.

    A column that does not vary in them is taken as it is; squares that are too large for a float64
    are a ValueError.
    """
    share = np.full(rows.shape[0], 1.0 / rows.shape[0])
    mean = weighted_mean(rows, share) if centred else np.zeros(rows.shape[1])
    variance = centred_moments(rows, mean, share, full=False)
    if not np.isfinite(variance).all():
        _refuse(variance)
    least = 1e-12 * np.square(mean)
    scale = np.sqrt(np.where(variance > least, variance, 1.0))
    return Coordinates(mean, 1.0 / scale, np.square(scale), 1.0)


def _refuse(largest: Array) -> None:
    column = int(np.argmax(~np.isfinite(largest)))
    raise ValueError(
        f"column {column} has values so large that their squares cannot be added up: "
        "divide it, with StandardScaler for instance, or leave it out"
    )


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
