"""Radial Gaussian features and their gradients by matrix products.

Inputs are counted from an origin, centers are given from there, with their ``squares`` |c|^2;
``sizes`` are |x|^2 from the origin. The BLAS chooses the order of sums, and so the last bits.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..._typing import Array, Floating
from ._blocks import quiet

__all__ = ["radial_products_rows", "radial_products_vjp_rows"]

_BLOCK_BYTES = 1 << 21
"""Of a block of inputs: smaller products leave the threads of a BLAS waiting for each other."""


@quiet
def radial_products_rows(
    inputs: Floating,
    origin: Floating,
    centers: Floating,
    squares: Floating,
    beta: Floating,
    out: Floating,
    sizes: Floating,
) -> None:
    """phi_ij = exp(-beta_j (|x_i|^2 + |c_j|^2 - 2 <x_i, c_j>)), and |x_i|^2."""
    for rows, _, distances in _blocks(inputs, origin, centers, squares, sizes):
        np.exp(-beta * distances, out=out[rows])


@quiet
def radial_products_vjp_rows(
    inputs: Floating,
    origin: Floating,
    centers: Floating,
    squares: Floating,
    beta: Floating,
    cotangent: Floating,
    reach: float,
    sizes: Floating,
    inputs_out: Floating | None,
    centers_out: Floating | None,
    beta_out: Floating | None,
) -> None:
    """Gradients of the rows with |x|^2 at most ``reach``; the others have none.

    With h e = P and t = |x - c|^2: dE/dx = 2 (P beta c - x sum_j P beta),
    dE/dc = 2 beta (P^T x - c sum_i P), dE/dbeta = -sum_i P t.
    """
    products, whole, stretched = np.zeros(centers.shape), np.zeros(len(beta)), np.zeros(len(beta))
    for rows, x, distances in _blocks(inputs, origin, centers, squares, sizes):
        pulls = cotangent[rows] * np.exp(-beta * distances)
        pulls[~(sizes[rows] <= reach)] = 0
        whole += pulls.sum(axis=0)
        stretched += (pulls * distances).sum(axis=0)
        if centers_out is not None:
            products += pulls.T @ x
        if inputs_out is not None:
            x *= (pulls @ beta)[:, None]
            np.subtract(pulls @ (beta[:, None] * centers), x, out=inputs_out[rows])
            inputs_out[rows] *= 2
    if centers_out is not None:
        centers_out[...] = 2 * beta[:, None] * (products - centers * whole[:, None])
    if beta_out is not None:
        beta_out[...] = -stretched


def _blocks(
    inputs: Floating, origin: Floating, centers: Floating, squares: Floating, sizes: Array
) -> Iterator[tuple[slice, Floating, Floating]]:
    """Blocks of rows from the origin, with their squared distances from the centers."""
    step = max(1, _BLOCK_BYTES // (max(centers.shape) * inputs.itemsize))
    for start in range(0, len(inputs), step):
        rows = slice(start, start + step)
        x = inputs[rows] - origin
        size = np.einsum("is,is->i", x, x)
        sizes[rows] = size
        distances = x @ (-2 * centers).T
        distances += size[:, None] + squares
        yield rows, x, np.maximum(distances, 0, out=distances)
