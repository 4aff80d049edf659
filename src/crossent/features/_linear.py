"""The inputs as they are: no parameters, nothing to compute."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._typing import Array

__all__ = ["LinearFeatures"]


class LinearFeatures:
    """phi = x.

    Parameters
    ----------
    n_inputs : int

    Examples
    --------
    >>> LinearFeatures(2).values(np.empty(0), np.array([[1.0, 2.0]]))
    array([[1., 2.]])
    """

    n_parameters = 0

    def __init__(self, n_inputs: int) -> None:
        self.n_features = n_inputs

    def values(self, parameters: Array, inputs: Array) -> Array:
        """The inputs (B, D)."""
        return inputs

    def forward(self, parameters: Array, inputs: Array) -> tuple[Array, Callable[[Array], Array]]:
        """The inputs (B, D), and the way back to no parameters at all."""
        return inputs, lambda cotangent: np.empty(0)

    def inputs_vjp(self, parameters: Array, inputs: Array, cotangent: Array) -> Array:
        """The cotangent (B, D) itself."""
        return cotangent
