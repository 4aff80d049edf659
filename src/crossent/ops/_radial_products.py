"""Radial Gaussian features by matrix products, where these are as exact as differences.

``-beta |x - c|^2`` is one product of the rows ``(x, |x|^2, 1)`` and ``beta (2 c, -1, -|c|^2)``,
both counted from the mean of the centers. It cancels: its error is about eps times
``beta (|x|^2 + |c|^2)``. A block of rows for which that is not small goes to the kernel, which
forms every difference. The product is a BLAS's: its bits may depend on threads and on other rows.
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
"""Of a block of inputs: smaller products leave the threads of a BLAS waiting for each other."""

_WORTH_A_PRODUCT = 1 << 18
"""Numbers of ``N n D`` below which the kernel is faster than setting a product up."""

_MANY_INPUTS = 32
"""Differences of fewer inputs cost the kernel less than the exponential does."""


class RadialProducts:
    """The features of one set of centers (n, D) and beta (n,), for blocks of inputs."""

    def __init__(self, centers: Floating, beta: Floating) -> None:
        self._given = centers, beta
        self._origin = centers.mean(axis=0)
        self._centers = centers - self._origin
        squares = np.einsum("js,js->j", self._centers, self._centers)
        self._largest = float(beta.max()), float((beta * squares).max())
        columns = 2 * self._centers, np.full((len(beta), 1), -1, beta.dtype), -squares[:, None]
        self._right = (beta[:, None] * np.concatenate(columns, axis=1)).T

    @staticmethod
    def pay(inputs: Floating, centers: Floating, *, backward: bool) -> bool:
        """Whether products would be faster than the kernel; three gradients ask for more of it."""
        many = backward or inputs.shape[1] >= _MANY_INPUTS
        return many and len(inputs) * centers.size >= _WORTH_A_PRODUCT

    def values(self, inputs: Floating, out: Floating) -> None:
        """Write the features (N, n) of inputs (N, D)."""
        for rows, left in self._blocks(inputs):
            if left is None:
                _kernels.gaussian_features_rows(inputs[rows], *self._given, "radial", out[rows])
                continue
            np.matmul(left, self._right, out=out[rows])
            np.minimum(out[rows], 0, out=out[rows])
            np.exp(out[rows], out=out[rows])

    def vjp(
        self,
        inputs: Floating,
        cotangent: Floating,
        inputs_out: Floating | None,
        centers_out: Floating | None,
        beta_out: Floating | None,
    ) -> None:
        """Write the gradients that there is room for.

        With h e = P and t = |x - c|^2: ``dE/dx = 2 (P beta c - x sum_j P beta)``,
        ``dE/dc = 2 beta (P^T x - c sum_i P)``, ``dE/dbeta = -sum_i P t``.
        """
        centers, beta = self._given
        sums = None if centers_out is None else np.zeros((len(beta), inputs.shape[1] + 2))
        of_centers, of_beta = np.zeros(centers.shape), np.zeros(beta.shape)
        scaled = np.append(self._centers, np.ones((len(beta), 1), beta.dtype), axis=1)
        scaled *= beta[:, None]
        for rows, left in self._blocks(inputs):
            if left is None:
                parts = _direct_vjp(
                    inputs[rows], *self._given, cotangent[rows],
                    None if inputs_out is None else inputs_out[rows],
                    centers_out is not None, beta_out is not None,
                )  # fmt: skip
                of_centers += parts[0]
                of_beta += parts[1]
                continue
            exponents = np.minimum(left @ self._right, 0)
            pulls = np.exp(exponents)
            pulls *= cotangent[rows]
            if beta_out is not None:
                of_beta += np.einsum("ij,ij->j", pulls, exponents) / beta
            if sums is not None:
                sums += pulls.T @ left
            if inputs_out is not None:
                both = pulls @ scaled
                x = left[:, :-2] * both[:, -1:]
                np.subtract(both[:, :-1], x, out=x)
                np.multiply(x, 2, out=inputs_out[rows])
        if sums is not None and centers_out is not None:
            of_centers += 2 * beta[:, None] * (sums[:, :-2] - self._centers * sums[:, -1:])
            centers_out[...] = of_centers
        if beta_out is not None:
            beta_out[...] = of_beta

    def _blocks(self, inputs: Floating) -> Iterator[tuple[slice, Floating | None]]:
        """Blocks of rows with their left factor; None where differences have to be formed."""
        n_inputs = inputs.shape[1]
        row_bytes = max(n_inputs + 2, self._right.shape[1]) * inputs.itemsize
        step = max(1, _BLOCK_BYTES // row_bytes)
        beta, of_centers = self._largest
        left = np.empty((min(step, len(inputs)), n_inputs + 2), inputs.dtype)
        for start in range(0, len(inputs), step):
            rows = slice(start, min(start + step, len(inputs)))
            block = left[: rows.stop - rows.start]
            x, squares = block[:, :-2], block[:, -2]
            with np.errstate(over="ignore", invalid="ignore"):  # such blocks go to the kernel
                np.subtract(inputs[rows], self._origin, out=x)
                np.einsum("is,is->i", x, x, out=squares)
            block[:, -1] = 1
            yield rows, block if beta * squares.max() + of_centers <= _LARGEST_SIZE else None


def _direct_vjp(
    inputs: Floating,
    centers: Floating,
    beta: Floating,
    cotangent: Floating,
    inputs_out: Floating | None,
    needs_centers: bool,
    needs_beta: bool,
) -> tuple[Array | float, Array | float]:
    """The gradients in centers and beta of a block of rows, 0 where they are not needed."""
    of_centers = np.empty_like(centers) if needs_centers else None
    of_beta = np.empty_like(beta) if needs_beta else None
    _kernels.gaussian_features_vjp_rows(
        inputs, centers, beta, cotangent, "radial", inputs_out, of_centers, of_beta
    )
    return 0.0 if of_centers is None else of_centers, 0.0 if of_beta is None else of_beta
