"""Logsumexp and its derivatives: l = log sum_k exp(z_k), dl/dz = p."""

from __future__ import annotations

import numpy as np

from .. import _kernels
from .._arguments import (
    as_floating,
    as_like,
    as_logits,
    as_rows,
    check_same_shape,
    row_shape,
)
from .._typing import Array, ArrayLike, Floating
from ._rows import deliver, destination, layouts, masked_rows, row_values, scalar_or_array

__all__ = ["logsumexp", "logsumexp_jvp", "logsumexp_vjp"]


def logsumexp(
    logits: ArrayLike,
    *,
    axis: int = -1,
    where: ArrayLike | None = None,
    keepdims: bool = False,
    out: Array | None = None,
) -> Floating:
    """Logarithm of the sum of exponentials along one axis: the log of softmax's denominator.

    ``l = a + log(sum_k exp(z_k - a))`` with ``a`` the row's maximum.

    Parameters
    ----------
    logits : array_like, shape (..., K, ...)
        float16, bfloat16, float32 or float64; integers and bool are computed in float64.
    axis : int
        The class axis.
    where : array_like of bool, optional
        Broadcasts to ``logits``; classes where it is False are absent.
    keepdims : bool
        Keep the class axis with length 1.
    out : ndarray, optional
        Of the result's shape and dtype.

    Returns
    -------
    ndarray or scalar, shape of ``logits`` without the class axis
        -inf for a row of only -inf or without any class, +inf for a row with +inf.

    Raises
    ------
    TypeError
        For complex or object arrays.
    ValueError
        For an empty class axis, an axis out of range, or an unfit ``where`` or ``out``.

    Notes
    -----
    The maximum's own term is exactly 1 and enters by log1p (Blanchard, Higham and Higham,
    IMA J. Numer. Anal. 41, 2021).

    Examples
    --------
    >>> import crossent as ce
    >>> float(ce.logsumexp([1000.0, 1000.0]))
    1000.6931471805599
    """
    z, axis = as_logits(logits, axis)
    rows, _ = masked_rows(z, axis, where)
    kept = (1,) if keepdims else ()
    shape = (*z.shape[:axis], *kept, *z.shape[axis + 1 :])
    result = row_values(out, shape, rows)
    kernel = _kernels.logsumexp_rows if rows.ndim == 2 else _kernels.logsumexp_columns
    kernel(rows, result)
    return scalar_or_array(result, shape, out)


def logsumexp_vjp(
    logits: ArrayLike, cotangent: ArrayLike, *, axis: int = -1, out: Array | None = None
) -> Floating:
    """Backward pass of logsumexp.

    ``g p``: the gradient of ``l`` is the softmax, computed from the logits themselves.

    Parameters
    ----------
    logits : array_like, shape (..., K, ...)
        What :func:`logsumexp` was given.
    cotangent : array_like, shape of ``logits`` without the class axis
        The gradient of something in ``l``.
    axis : int
        The class axis.
    out : ndarray, optional
        Of the result's shape and dtype; may be ``logits`` itself.

    Returns
    -------
    ndarray, shape and dtype of ``logits``

    Raises
    ------
    TypeError
        For complex or object arrays.
    ValueError
        Where the shapes do not fit.

    Notes
    -----
    exp(z - l) with a rounded l would give gradients of 1.0 instead of 0.25 for four equal
    logits of 1e8 in float32; p is formed from z - a instead.

    Examples
    --------
    >>> import crossent as ce
    >>> ce.logsumexp_vjp([0.0, 0.0], 3.0)
    array([1.5, 1.5])
    """
    z, axis = as_logits(logits, axis)
    g = as_floating(cotangent, "cotangent")
    check_same_shape(
        g.shape, row_shape(z.shape, axis), "cotangent", "logits without the class axis"
    )
    (rows,) = layouts(axis, z)
    flat = np.ascontiguousarray(g.reshape(-1), z.dtype)
    result = destination(out, z, axis, rows, flat)
    kernel = _kernels.logsumexp_vjp_rows if rows.ndim == 2 else _kernels.logsumexp_vjp_columns
    kernel(rows, flat, result)
    return deliver(result, out, z.shape, axis)


def logsumexp_jvp(logits: ArrayLike, tangent: ArrayLike, *, axis: int = -1) -> Floating:
    """Forward derivative of logsumexp along a direction of the logits.

    ``<p, v>``: the mean of the direction under the probabilities.

    Parameters
    ----------
    logits : array_like, shape (..., K, ...)
        What :func:`logsumexp` was given.
    tangent : array_like, the same shape
        The direction in which the logits move.
    axis : int
        The class axis.

    Returns
    -------
    ndarray or scalar, shape of ``logits`` without the class axis

    Raises
    ------
    TypeError
        For complex or object arrays.
    ValueError
        Where the shapes differ.

    Examples
    --------
    >>> import crossent as ce
    >>> float(ce.logsumexp_jvp([0.0, 0.0], [1.0, 0.0]))
    0.5
    """
    z, axis = as_logits(logits, axis)
    v = as_like(tangent, z, "tangent")
    rows = as_rows(z, axis)
    result = np.empty(len(rows), z.dtype)
    _kernels.logsumexp_jvp_rows(rows, as_rows(v, axis), result)
    return scalar_or_array(result, row_shape(z.shape, axis))
