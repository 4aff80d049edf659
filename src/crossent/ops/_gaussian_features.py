"""Gaussian features, exp(-beta_j (x_i - c_j)^2) summed or multiplied over inputs, and gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .. import _kernels
from .._arguments import (
    as_floating,
    as_gaussian,
    as_needs,
    as_output,
    as_rows,
    check_same_shape,
    is_plain,
)
from .._typing import Array, ArrayLike, Floating
from ._radial_products import RadialProducts

__all__ = ["GaussianGradients", "gaussian_features", "gaussian_features_vjp"]


class GaussianGradients(NamedTuple):
    """Gradients in what :func:`gaussian_features` takes, each of that argument's shape."""

    inputs: Floating | None
    centers: Floating | None
    beta: Floating | None


_NEEDS = ("inputs", "centers", "beta")


def gaussian_features(
    inputs: ArrayLike,
    centers: ArrayLike,
    beta: ArrayLike,
    *,
    kind: str = "additive",
    out: Array | None = None,
) -> Floating:
    """Features that say how near each input lies to each of n centers.

    additive: ``phi_ij = sum_s exp(-beta_j (x_is - c_js)^2)``;
    radial: ``phi_ij = exp(-beta_j sum_s (x_is - c_js)^2)``.

    Parameters
    ----------
    inputs : array_like, shape (..., D)
        16-bit numbers are computed in float32, integers in float64.
    centers : array_like, shape (n, D)
    beta : array_like, shape (n,)
        Positive; one over the squared width: a feature narrows as its beta grows.
    kind : {"additive", "radial"}
    out : ndarray, shape (..., n), optional

    Returns
    -------
    ndarray, shape (..., n), dtype of ``inputs``
        In [0, D] (additive) or [0, 1] (radial).

    Raises
    ------
    TypeError
        For complex or object arrays.
    ValueError
        Where shapes do not fit, or a beta is not positive and finite.

    Notes
    -----
    A rounding of the exponent is magnified by its size: a feature is off by about
    ``2 + 2 beta d^2`` ulp. Rows of large radial problems go through a matrix product, counted from
    the mean of the centers, where ``beta (|x|^2 + |c|^2)`` is at most 16, and may be off by that
    many ulp.

    Examples
    --------
    >>> import crossent as ce
    >>> ce.gaussian_features([[0.0, 0.0]], [[0.0, 0.0]], [1.0])
    array([[2.]])
    >>> ce.gaussian_features([[0.0, 0.0]], [[0.0, 0.0]], [1.0], kind="radial")
    array([[1.]])
    """
    given = as_gaussian(inputs, centers, beta, kind)
    shape = (*given.inputs.shape[:-1], len(given.centers))
    rows = as_rows(given.inputs, given.inputs.ndim - 1)
    as_output(out, shape, given.dtype)
    result = _memory_of(out, (len(rows), shape[-1]), rows, given.centers, given.beta)
    if kind == "radial" and RadialProducts.pay(given.centers, backward=False):
        RadialProducts(given.centers, given.beta).values(rows, result)
    else:
        _kernels.gaussian_features_rows(rows, given.centers, given.beta, kind, result)
    if out is None:
        return result.reshape(shape).astype(given.dtype, copy=False)
    if not np.may_share_memory(result, out):
        out[...] = result.reshape(shape)
    return out


def _memory_of(out: Array | None, shape: tuple[int, int], *read: Floating) -> Floating:
    """Rows to write: those of ``out`` where nothing that is read lies there, else new ones."""
    dtype = read[0].dtype
    if out is None or out.dtype != dtype or not is_plain(out):
        return np.empty(shape, dtype)
    apart = not any(np.may_share_memory(out, array) for array in read)
    return out.reshape(shape) if apart else np.empty(shape, dtype)


def gaussian_features_vjp(
    inputs: ArrayLike,
    centers: ArrayLike,
    beta: ArrayLike,
    cotangent: ArrayLike,
    *,
    kind: str = "additive",
    needs: Sequence[str] = _NEEDS,
) -> GaussianGradients:
    """Backward pass of the Gaussian features: gradients in inputs, centers and beta.

    With d = x - c, e the exponential of the kind and h the cotangent:
    ``dE/dx_is = -2 sum_j h_ij beta_j d_ijs e_ijs``, ``dE/dc_js = 2 beta_j sum_i h_ij d_ijs e_ijs``,
    ``dE/dbeta_j = -sum_i h_ij sum_s d_ijs^2 e_ijs``.

    Parameters
    ----------
    inputs, centers, beta, kind
        As in :func:`gaussian_features`.
    cotangent : array_like, shape (..., n)
        The gradient of something in the features.
    needs : sequence of "inputs", "centers", "beta"
        Which gradients to compute; the others are None and cost nothing.

    Returns
    -------
    GaussianGradients
        ``inputs`` (..., D), ``centers`` (n, D), ``beta`` (n,). For a positive beta trained by its
        logarithm multiply: dE/dlog beta = beta dE/dbeta.

    Raises
    ------
    TypeError
        For complex or object arrays.
    ValueError
        Where shapes do not fit, or a beta is not positive and finite.

    Examples
    --------
    >>> import crossent as ce
    >>> gradients = ce.gaussian_features_vjp([[1.0]], [[0.0]], [1.0], [[1.0]])
    >>> float(gradients.centers[0, 0])
    0.7357588823428847
    """
    given = as_gaussian(inputs, centers, beta, kind)
    shape = (*given.inputs.shape[:-1], len(given.centers))
    h = as_floating(cotangent, "cotangent").astype(given.inputs.dtype, copy=False)
    check_same_shape(h.shape, shape, "cotangent", "the features")
    wanted = as_needs(needs, _NEEDS)
    rows, h = as_rows(given.inputs, given.inputs.ndim - 1), as_rows(h, h.ndim - 1)
    like = {"inputs": rows, "centers": given.centers, "beta": given.beta}
    room = [np.empty(like[n].shape, rows.dtype) if n in wanted else None for n in _NEEDS]
    if kind == "radial" and RadialProducts.pay(given.centers, backward=True):
        RadialProducts(given.centers, given.beta).vjp(rows, h, *room)
    else:
        _kernels.gaussian_features_vjp_rows(rows, given.centers, given.beta, h, kind, *room)
    of_inputs, of_centers, of_beta = (
        None if g is None else g.astype(given.dtype, copy=False) for g in room
    )
    if of_inputs is not None:
        of_inputs = of_inputs.reshape(given.inputs.shape)
    return GaussianGradients(of_inputs, of_centers, of_beta)
