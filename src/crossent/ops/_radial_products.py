"""Radial Gaussian features by matrix products, where these are as exact as differences.

``|x - c|^2 = |x|^2 + |c|^2 - 2 <x, c>``, both counted from the mean of the centers. It cancels: an
exponent's error is about eps times ``beta (|x|^2 + |c|^2)``. A row for which that is not small goes
to the kernel that forms every difference; which one a row takes depends on no other row.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import _kernels
from .._typing import Array, Floating

__all__ = ["RadialProducts"]

_LARGEST_SIZE = 16.0
"""Of ``beta (|x|^2 + |c|^2)``: an exponent is then off by about 16 eps at most."""

_BLOCK_BYTES = 1 << 21
"""Of the rows copied at a time because they lie too far out."""

_MANY_INPUTS = 32
"""Differences of fewer inputs cost the kernel less than the exponential does."""

_MANY_NUMBERS = 1024
"""Of the centers, from which on gradients are worth products whatever the number of inputs."""


class RadialProducts:
    """The features of one set of centers (n, D) and beta (n,)."""

    def __init__(self, centers: Floating, beta: Floating) -> None:
        self._given = centers, beta
        self._origin = centers.mean(axis=0)
        self._centers = centers - self._origin
        self._squares = np.einsum("js,js->j", self._centers, self._centers)
        left = _LARGEST_SIZE - float((beta * self._squares).max())
        self._reach = float(beta.dtype.type(left / float(beta.max())))  # of |x|^2

    @staticmethod
    def pay(centers: Floating, *, backward: bool) -> bool:
        """Whether products are faster than the kernel; the number of rows has no say in it."""
        many = centers.shape[1] >= _MANY_INPUTS
        return many or (backward and centers.size >= _MANY_NUMBERS)

    def values(self, inputs: Floating, out: Floating) -> None:
        """Write the features (N, n) of inputs (N, D)."""
        if not self._reach >= 0:
            _kernels.gaussian_features_rows(inputs, *self._given, "radial", out)
            return
        sizes = np.empty(len(inputs), inputs.dtype)
        _kernels.radial_products_rows(
            inputs, self._origin, self._centers, self._squares, self._given[1], out, sizes
        )
        for rows in self._far(inputs, sizes):
            features = np.empty((len(rows), out.shape[1]), out.dtype)
            _kernels.gaussian_features_rows(inputs[rows], *self._given, "radial", features)
            out[rows] = features

    def vjp(
        self,
        inputs: Floating,
        cotangent: Floating,
        inputs_out: Floating | None,
        centers_out: Floating | None,
        beta_out: Floating | None,
    ) -> None:
        """Write the gradients that there is room for."""
        centers, beta = self._given
        room = inputs_out, centers_out, beta_out
        if not self._reach >= 0:
            _kernels.gaussian_features_vjp_rows(inputs, centers, beta, cotangent, "radial", *room)
            return
        sizes = np.empty(len(inputs), inputs.dtype)
        _kernels.radial_products_vjp_rows(
            inputs, self._origin, self._centers, self._squares, beta, cotangent, self._reach, sizes,
            *room,
        )  # fmt: skip
        for rows in self._far(inputs, sizes):
            own = [None if out is None else np.empty_like(out) for out in room[1:]]
            of_inputs = None if inputs_out is None else inputs[rows]
            _kernels.gaussian_features_vjp_rows(
                inputs[rows], centers, beta, cotangent[rows], "radial", of_inputs, *own
            )
            if inputs_out is not None and of_inputs is not None:
                inputs_out[rows] = of_inputs
            for out, more in zip(room[1:], own, strict=True):
                if out is not None and more is not None:
                    out += more

    def _far(self, inputs: Floating, sizes: Floating) -> Iterator[Array]:
        """The rows that a product would spoil, a block of them at a time."""
        far = np.flatnonzero(~(sizes <= self._reach))
        step = max(1, _BLOCK_BYTES // (inputs.shape[1] * inputs.itemsize))
        for start in range(0, len(far), step):
            yield far[start : start + step]
