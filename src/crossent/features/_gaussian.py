"""Gaussian features whose centers and log beta can be trained."""

from __future__ import annotations

import numpy as np

from .._typing import Array
from ..ops import gaussian_features, gaussian_features_vjp

__all__ = ["GaussianFeatures"]


class GaussianFeatures:
    """Additive or radial Gaussian features (note S2), as a function of centers and log beta.

    The flat parameters are the centers divided by ``center_scale``, row by row, and then log beta,
    each only where it is trained: beta_j stays positive, and a step of one means about as much
    in either part.

    Parameters
    ----------
    centers : floating (n, D)
        What the centers are, or start at.
    beta : floating (n,)
        What beta is, or starts at; positive.
    kind : {"radial", "additive"}
    train_centers, train_beta : bool
        Whether they are parameters.
    center_scale : float
        Length of a unit step of a center's coordinate.

    Examples
    --------
    >>> features = GaussianFeatures(np.zeros((1, 2)), np.ones(1), "radial")
    >>> features.values(features.start(), np.array([[0.0, 1.0]]))
    array([[0.36787944]])
    """

    def __init__(
        self,
        centers: Array,
        beta: Array,
        kind: str,
        *,
        train_centers: bool = True,
        train_beta: bool = True,
        center_scale: float = 1.0,
    ) -> None:
        self._centers, self._beta, self._kind = centers, beta, kind
        self._train_centers, self._train_beta = train_centers, train_beta
        self._center_scale = center_scale
        self._n_center_parameters = centers.size if train_centers else 0
        self.n_features = len(centers)
        self.n_parameters = self._n_center_parameters + (len(beta) if train_beta else 0)

    def start(self) -> Array:
        """The parameters of the centers and beta given, float64 (P,)."""
        return self._pack(
            self._centers.astype(np.float64) / self._center_scale,
            np.log(self._beta.astype(np.float64)),
        )

    def centers_and_beta(self, parameters: Array) -> tuple[Array, Array]:
        """Centers (n, D) and beta (n,) of flat parameters, in the centers' dtype."""
        split, dtype = self._n_center_parameters, self._centers.dtype
        centers, beta = self._centers, self._beta
        if self._train_centers:
            moved = parameters[:split] * self._center_scale
            centers = moved.reshape(self._centers.shape).astype(dtype)
        if self._train_beta:
            beta = np.exp(parameters[split:]).astype(dtype)
        return centers, beta

    def values(self, parameters: Array, inputs: Array) -> Array:
        """The features (B, n)."""
        centers, beta = self.centers_and_beta(parameters)
        return gaussian_features(inputs, centers, beta, kind=self._kind)

    def parameters_vjp(self, parameters: Array, inputs: Array, cotangent: Array) -> Array:
        """Gradient in the flat parameters, float64 (P,): dE/dlog beta = beta dE/dbeta."""
        if self.n_parameters == 0:
            return np.empty(0)
        centers, beta = self.centers_and_beta(parameters)
        needs = [
            name
            for name, trained in (("centers", self._train_centers), ("beta", self._train_beta))
            if trained
        ]
        found = gaussian_features_vjp(
            inputs, centers, beta, cotangent, kind=self._kind, needs=needs
        )
        parts = []
        if found.centers is not None:
            parts.append(found.centers.astype(np.float64).ravel() * self._center_scale)
        if found.beta is not None:
            parts.append(found.beta.astype(np.float64) * beta)
        return np.concatenate(parts)

    def inputs_vjp(self, parameters: Array, inputs: Array, cotangent: Array) -> Array:
        """Gradient in the inputs (B, D)."""
        centers, beta = self.centers_and_beta(parameters)
        found = gaussian_features_vjp(
            inputs, centers, beta, cotangent, kind=self._kind, needs=("inputs",)
        ).inputs
        assert found is not None
        return found

    def _pack(self, centers: Array, log_beta: Array) -> Array:
        empty = np.empty(0)
        return np.concatenate(
            [
                centers.ravel() if self._train_centers else empty,
                log_beta if self._train_beta else empty,
            ]
        )
