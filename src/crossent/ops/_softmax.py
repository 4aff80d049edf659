"""Softmax and its derivatives: p_k = exp(z_k) / sum_c exp(z_c), J = diag(p) - p p^T."""

from __future__ import annotations

import numpy as np

from .. import _kernels
from .._arguments import as_like, as_logits, compute_dtype
from .._typing import Array, ArrayLike, Floating
from ._rows import deliver, destination, layouts, masked_rows

__all__ = ["softmax", "softmax_jacobian", "softmax_jvp", "softmax_vjp"]


def softmax(
    logits: ArrayLike, *, axis: int = -1, where: ArrayLike | None = None, out: Array | None = None
) -> Floating:
    """Probabilities of the classes along one axis.

    ``p_k = exp(z_k - a) / sum_c exp(z_c - a)`` with ``a`` the row's maximum, so that nothing
    overflows for logits of any size.

    Parameters
    ----------
    logits : array_like, shape (..., K, ...)
        float16, bfloat16, float32 or float64; integers and bool are computed in float64.
    axis : int
        The class axis.
    where : array_like of bool, optional
        Broadcasts to ``logits``; classes where it is False are absent: probability 0, and what
        their logits hold (even NaN) does not matter. A row without any class is all zeros.
    out : ndarray, optional
        Of the result's shape and dtype; may be ``logits`` itself.

    Returns
    -------
    ndarray, shape and dtype of ``logits``
        A row of only -inf, a row with +inf and a row with NaN are NaN, and touch no other row.

    Raises
    ------
    TypeError
        For complex or object arrays.
    ValueError
        For an empty class axis, an axis out of range, or an unfit ``where`` or ``out``.

    Notes
    -----
    Adding a constant to a row changes nothing, hence the shift (Blanchard, Higham and Higham,
    "Accurately computing the log-sum-exp and softmax functions", IMA J. Numer. Anal. 41, 2021).
    16-bit logits are computed in at least float32 and rounded once.

    Examples
    --------
    >>> import crossent as ce
    >>> ce.softmax([1000.0, 1000.0])
    array([0.5, 0.5])
    >>> ce.softmax([[0.0, 0.0, 5.0]], where=[True, True, False])
    array([[0.5, 0.5, 0. ]])
    """
    z, axis = as_logits(logits, axis)
    rows, empty = masked_rows(z, axis, where)
    result = destination(out, z, axis, rows)
    kernel = _kernels.softmax_rows if rows.ndim == 2 else _kernels.softmax_columns
    kernel(rows, result)
    if empty is not None:
        result[empty] = 0.0
    return deliver(result, out, z.shape, axis)


def softmax_vjp(
    probabilities: ArrayLike, cotangent: ArrayLike, *, axis: int = -1, out: Array | None = None
) -> Floating:
    """Backward pass of softmax: what a gradient in the probabilities is in the logits.

    ``J^T g = p (g - <g, p>)``; the K x K Jacobian is never formed.

    Parameters
    ----------
    probabilities : array_like, shape (..., K, ...)
        What :func:`softmax` returned.
    cotangent : array_like, the same shape
        The gradient of something in the probabilities.
    axis : int
        The class axis.
    out : ndarray, optional
        Of the result's shape and dtype; may be ``probabilities`` itself.

    Returns
    -------
    ndarray, shape and dtype of ``probabilities``

    Raises
    ------
    TypeError
        For complex or object arrays.
    ValueError
        Where the shapes differ.

    Examples
    --------
    >>> import crossent as ce
    >>> ce.softmax_vjp([0.5, 0.5], [1.0, 0.0])
    array([ 0.25, -0.25])
    """
    return _apply_jacobian(probabilities, cotangent, "cotangent", axis, out)


def softmax_jvp(
    probabilities: ArrayLike, tangent: ArrayLike, *, axis: int = -1, out: Array | None = None
) -> Floating:
    """Forward derivative of softmax along a direction of the logits.

    ``J v = p (v - <p, v>)``: the same as the backward pass, since J is symmetric.

    Parameters
    ----------
    probabilities : array_like, shape (..., K, ...)
        What :func:`softmax` returned.
    tangent : array_like, the same shape
        The direction in which the logits move.
    axis : int
        The class axis.
    out : ndarray, optional
        Of the result's shape and dtype; may be ``probabilities`` itself.

    Returns
    -------
    ndarray, shape and dtype of ``probabilities``

    Raises
    ------
    TypeError
        For complex or object arrays.
    ValueError
        Where the shapes differ.

    Examples
    --------
    >>> import crossent as ce
    >>> ce.softmax_jvp([0.5, 0.5], [1.0, 0.0])
    array([ 0.25, -0.25])
    """
    return _apply_jacobian(probabilities, tangent, "tangent", axis, out)


def _apply_jacobian(
    probabilities: ArrayLike, direction: ArrayLike, name: str, axis: int, out: Array | None
) -> Floating:
    p, axis = as_logits(probabilities, axis, "probabilities")
    v = as_like(direction, p, name, "probabilities")
    rows, v_rows = layouts(axis, p, v)
    result = destination(out, p, axis, rows, v_rows)
    kernel = _kernels.softmax_vjp_rows if rows.ndim == 2 else _kernels.softmax_vjp_columns
    kernel(rows, v_rows, result)
    return deliver(result, out, p.shape, axis)


def softmax_jacobian(probabilities: ArrayLike) -> Floating:
    """The Jacobian of softmax itself, to look at or to test with.

    ``J = diag(p) - p p^T``: p_k (1 - p_k) on the diagonal, -p_k p_j off it.

    Parameters
    ----------
    probabilities : array_like, shape (..., K)
        What :func:`softmax` returned.

    Returns
    -------
    ndarray, shape (..., K, K)
        Symmetric; entry [..., k, j] is dp_k/dz_j.

    Raises
    ------
    TypeError
        For complex or object arrays.
    ValueError
        For an empty class axis.

    Examples
    --------
    >>> import crossent as ce
    >>> ce.softmax_jacobian([0.5, 0.5])
    array([[ 0.25, -0.25],
           [-0.25,  0.25]])
    """
    given, _ = as_logits(probabilities, -1, "probabilities")
    p = given.astype(compute_dtype(given.dtype), copy=False)
    jacobian = -p[..., :, None] * p[..., None, :]
    diagonal = np.einsum("...kk->...k", jacobian)
    diagonal[...] = p * (1.0 - p)
    return jacobian.astype(given.dtype, copy=False)
