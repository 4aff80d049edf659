"""Gaussian features and their gradients."""

from __future__ import annotations

import numpy as np

from ..._typing import Array
from ._blocks import quiet, row_blocks, wide


@quiet
def gaussian_features_rows(
    inputs: Array, centers: Array, beta: Array, kind: str, out: Array
) -> None:
    """Additive: phi_ij = sum_s exp(-beta_j (x_is - c_js)^2). Radial: exp(-beta_j |x_i - c_j|^2)."""
    for rows in row_blocks(len(inputs), centers.size):
        squares = (wide(inputs[rows])[:, None, :] - centers) ** 2
        if kind == "additive":
            out[rows] = np.exp(-beta[:, None] * squares).sum(axis=2)
        else:
            out[rows] = np.exp(-beta * squares.sum(axis=2))


@quiet
def gaussian_features_vjp_rows(
    inputs: Array,
    centers: Array,
    beta: Array,
    cotangent: Array,
    kind: str,
    inputs_out: Array | None,
    centers_out: Array | None,
    beta_out: Array | None,
) -> None:
    """Gradients in inputs, centers and beta of what comes back as h.

    With d = x - c, e the exponential of the kind, k_ijs = h_ij d_ijs e_ijs:
    dE/dx_is = -2 sum_j beta_j k_ijs,  dE/dc_js = 2 beta_j sum_i k_ijs,
    dE/dbeta_j = -sum_is k_ijs d_ijs.
    """
    centers_total, beta_total = np.zeros(centers.shape), np.zeros(beta.shape)
    for rows in row_blocks(len(inputs), centers.size):
        d = wide(inputs[rows])[:, None, :] - centers
        exponent = d**2 if kind == "additive" else (d**2).sum(axis=2, keepdims=True)
        k = cotangent[rows][:, :, None] * d * np.exp(-beta[:, None] * exponent)
        if inputs_out is not None:
            inputs_out[rows] = -2.0 * (beta[:, None] * k).sum(axis=1)
        if centers_out is not None:
            centers_total += 2.0 * beta[:, None] * k.sum(axis=0)
        if beta_out is not None:
            beta_total -= (k * d).sum(axis=(0, 2))
    if centers_out is not None:
        centers_out[...] = centers_total
    if beta_out is not None:
        beta_out[...] = beta_total
