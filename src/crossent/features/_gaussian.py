"""Gaussian features whose centers, log beta and scales of the inputs can be trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .._typing import Array
from ..ops import gaussian_features, gaussian_features_vjp

__all__ = ["GaussianFeatures"]

_LEAST_EXPONENT = -60.0
"""exp(-60) is 1e-26; what lies below adds nothing, and leads to slow denormal numbers."""


class GaussianParameters(NamedTuple):
    """Centers (n, D), beta (n,), and what the inputs' columns are multiplied by, (D,) or None."""

    centers: Array
    beta: Array
    scale: Array | None


class GaussianFeatures:
    """Additive or radial Gaussian features (note S2), as a function of one flat vector.

    The flat parameters are the centers divided by ``center_scale``, row by row, then log beta, then
    the logarithms of the columns' scales, each only where it is trained: beta and scales stay
    positive, and a step of one means about as much in every part. The features are those of
    ``inputs * scale``; scales start at 1.

    Parameters
    ----------
    centers : floating (n, D)
        What the centers are, or start at.
    beta : floating (n,)
        What beta is, or starts at; positive.
    kind : {"radial", "additive"}
    train_centers, train_beta : bool, default=True
        Whether they are parameters.
    train_scale : bool, default=False
        Whether scales of the inputs are.
    center_scale : float, default=1.0
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
        train_scale: bool = False,
        center_scale: float = 1.0,
    ) -> None:
        self._centers, self._beta, self._kind = centers, beta, kind
        self._trained = train_centers, train_beta, train_scale
        self._center_scale = center_scale
        sizes = (centers.size, len(beta), centers.shape[1])
        self._ends = np.cumsum([size * on for size, on in zip(sizes, self._trained, strict=True)])
        self.n_features = len(centers)
        self.n_parameters = int(self._ends[-1])

    def start(self) -> Array:
        """The parameters of the centers and beta given, float64 (P,)."""
        return self._pack(
            self._centers.astype(np.float64) / self._center_scale,
            np.log(self._beta.astype(np.float64)),
            np.zeros(self._centers.shape[1]),
        )

    def named(self, parameters: Array) -> GaussianParameters:
        """What flat parameters stand for, in the centers' dtype."""
        dtype = self._centers.dtype
        centers, log_beta, log_scale = np.split(parameters, self._ends[:-1])
        train_centers, train_beta, train_scale = self._trained
        return GaussianParameters(
            (centers * self._center_scale).reshape(self._centers.shape).astype(dtype)
            if train_centers
            else self._centers,
            np.exp(log_beta).astype(dtype) if train_beta else self._beta,
            np.exp(log_scale).astype(dtype) if train_scale else None,
        )

    def values(self, parameters: Array, inputs: Array) -> Array:
        """The features (B, n)."""
        centers, beta, scale = self.named(parameters)
        scaled = inputs if scale is None else inputs * scale
        return gaussian_features(scaled, centers, beta, kind=self._kind)

    def forward(self, parameters: Array, inputs: Array) -> tuple[Array, Callable[[Array], Array]]:
        """The features (B, n), and what takes dE/dfeatures (B, n) to the parameters' gradient.

        The gradient is (P,), of the parameters' dtype: dE/dlog beta = beta dE/dbeta, and for the
        scale a_s of a column ``dE/dlog a_s = sum_i x_is a_s dE/d(x_is a_s)``.

        Notes
        -----
        Radial features are found by one matrix product here, their exponents off by about
        ``beta (|x|^2 + |c|^2)`` roundings: for training, where exactness to the last figure is not
        asked for. The gradient takes one product more, as the features are still there.
        """
        found = self.named(parameters)
        scaled = inputs if found.scale is None else inputs * found.scale
        way = _radial if self._kind == "radial" else _additive
        phi, back = way(scaled, found, self._trained)

        def pull(cotangent: Array) -> Array:
            if not self.n_parameters:
                return np.empty(0, parameters.dtype)
            centers, log_beta, log_scale = back(cotangent)
            if self._trained[0]:
                centers = centers * self._center_scale
            return self._pack(centers, log_beta, log_scale).astype(parameters.dtype, copy=False)

        return phi, pull

    def inputs_vjp(self, parameters: Array, inputs: Array, cotangent: Array) -> Array:
        """Gradient in the inputs (B, D)."""
        centers, beta, scale = self.named(parameters)
        scaled = inputs if scale is None else inputs * scale
        found = gaussian_features_vjp(
            scaled, centers, beta, cotangent, kind=self._kind, needs=("inputs",)
        ).inputs
        assert found is not None
        return found if scale is None else found * scale

    def _pack(self, *parts: Array) -> Array:
        """One flat vector of the parts that are trained."""
        return np.concatenate(
            [np.empty(0, parts[0].dtype)]
            + [part.ravel() for part, on in zip(parts, self._trained, strict=True) if on]
        )


_Back = Callable[[Array], tuple[Array, Array, Array]]
"""From dE/dfeatures to the gradients in centers, log beta and log scale."""


def _radial(
    inputs: Array, found: GaussianParameters, trained: tuple[bool, bool, bool]
) -> tuple[Array, _Back]:
    """Features by ``-beta |x - c|^2 = 2 beta <x, c> - beta |x|^2 - beta |c|^2``, and back.

    With P = h phi: ``dE/dc = 2 beta (P^T x - c sum_i P)``, ``dE/dlog beta = sum_i P log phi``, and
    ``dE/dlog a_s = 2 sum_j c_js beta_j (P^T x)_js - 2 sum_i x_is^2 (P beta)_i``.
    """
    centers, beta, _ = found
    of_inputs = np.einsum("is,is->i", inputs, inputs)
    of_centers = beta * np.einsum("js,js->j", centers, centers)
    exponents = inputs @ (2 * beta[:, None] * centers).T
    exponents -= of_inputs[:, None] * beta
    exponents -= of_centers
    np.clip(exponents, _LEAST_EXPONENT, 0, out=exponents)
    phi = np.exp(exponents)

    def back(cotangent: Array) -> tuple[Array, Array, Array]:
        pulls = cotangent * phi
        products, totals = pulls.T @ inputs, pulls.sum(axis=0)
        of_scale = np.empty(0, phi.dtype)
        if trained[2]:
            of_scale = beta @ (centers * products) - (pulls @ beta) @ np.square(inputs)
            of_scale *= 2
        products -= centers * totals[:, None]
        products *= 2 * beta[:, None]
        return products, np.einsum("ij,ij->j", pulls, exponents), of_scale

    return phi, back


def _additive(
    inputs: Array, found: GaussianParameters, trained: tuple[bool, bool, bool]
) -> tuple[Array, _Back]:
    """Features by the kernel, which forms every exponential anew on the way back."""
    centers, beta, _ = found
    needs = [name for name, on in zip(("centers", "beta", "inputs"), trained, strict=True) if on]

    def back(cotangent: Array) -> tuple[Array, Array, Array]:
        nothing = np.empty(0, beta.dtype)
        gradients = gaussian_features_vjp(
            inputs, centers, beta, cotangent, kind="additive", needs=needs
        )
        return (
            nothing if gradients.centers is None else gradients.centers,
            nothing if gradients.beta is None else gradients.beta * beta,
            nothing if gradients.inputs is None else (gradients.inputs * inputs).sum(axis=0),
        )

    return gaussian_features(inputs, centers, beta, kind="additive"), back
