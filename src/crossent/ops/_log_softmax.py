"""Log-softmax and its derivatives: q = z - l, dq_k/dz_j = [k = j] - p_j."""

from __future__ import annotations

import numpy as np

from .. import _kernels
from .._arguments import as_like, as_logits, as_rows, compute_dtype
from .._typing import Array, ArrayLike, Floating
from ._rows import deliver, destination, layouts, masked_rows

__all__ = ["log_softmax", "log_softmax_jacobian", "log_softmax_jvp", "log_softmax_vjp"]


def log_softmax(
    logits: ArrayLike, *, axis: int = -1, where: ArrayLike | None = None, out: Array | None = None
) -> Floating:
    """Logarithms of the class probabilities, exact where the probabilities themselves underflow.

    ``q_k = (z_k - a) - log(sum_c exp(z_c - a))`` with ``a`` the row's maximum.

    Parameters
    ----------
    logits : array_like, shape (..., K, ...)
        float16, bfloat16, float32 or float64; integers and bool are computed in float64.
    axis : int
        The class axis.
    where : array_like of bool, optional
        Broadcasts to ``logits``; classes where it is False are absent: log-probability -inf.
    out : ndarray, optional
        Of the result's shape and dtype; may be ``logits`` itself.

    Returns
    -------
    ndarray, shape and dtype of ``logits``
        A row of only -inf, a row with +inf and a row with NaN are NaN.

    Raises
    ------
    TypeError
        For complex or object arrays.
    ValueError
        For an empty class axis, an axis out of range, or an unfit ``where`` or ``out``.

    Notes
    -----
    The maximum's own term is left out of the sum and added back by log1p, so that a dominant
    class keeps all its digits (Blanchard, Higham and Higham, IMA J. Numer. Anal. 41, 2021).

    Examples
    --------
    >>> import crossent as ce
    >>> float(ce.log_softmax([40.0, 0.0])[0])
    -4.248354255291589e-18
    """
    z, axis = as_logits(logits, axis)
    rows, empty = masked_rows(z, axis, where)
    result = destination(out, z, axis, rows)
    kernel = _kernels.log_softmax_rows if rows.ndim == 2 else _kernels.log_softmax_columns
    kernel(rows, result)
    if empty is not None:
        result[empty] = -np.inf
    return deliver(result, out, z.shape, axis)


def log_softmax_vjp(
    log_probabilities: ArrayLike, cotangent: ArrayLike, *, axis: int = -1, out: Array | None = None
) -> Floating:
    """Backward pass of log-softmax.

    ``J^T g = g - p sum(g)`` with ``p = exp(q)``.

    Parameters
    ----------
    log_probabilities : array_like, shape (..., K, ...)
        What :func:`log_softmax` returned.
    cotangent : array_like, the same shape
        The gradient of something in the log-probabilities.
    axis : int
        The class axis.
    out : ndarray, optional
        Of the result's shape and dtype; may be ``log_probabilities`` itself.

    Returns
    -------
    ndarray, shape and dtype of ``log_probabilities``

    Raises
    ------
    TypeError
        For complex or object arrays.
    ValueError
        Where the shapes differ.

    Examples
    --------
    >>> import crossent as ce
    >>> q = ce.log_softmax([0.0, 0.0])
    >>> ce.log_softmax_vjp(q, [1.0, 0.0])
    array([ 0.5, -0.5])
    """
    q, axis = as_logits(log_probabilities, axis, "log_probabilities")
    g = as_like(cotangent, q, "cotangent", "log_probabilities")
    rows, g_rows = layouts(axis, q, g)
    result = destination(out, q, axis, rows, g_rows)
    kernel = _kernels.log_softmax_vjp_rows if rows.ndim == 2 else _kernels.log_softmax_vjp_columns
    kernel(rows, g_rows, result)
    return deliver(result, out, q.shape, axis)


def log_softmax_jvp(
    log_probabilities: ArrayLike, tangent: ArrayLike, *, axis: int = -1, out: Array | None = None
) -> Floating:
    """Forward derivative of log-softmax along a direction of the logits.

    ``J v = v - <p, v>`` with ``p = exp(q)``.

    Parameters
    ----------
    log_probabilities : array_like, shape (..., K, ...)
        What :func:`log_softmax` returned.
    tangent : array_like, the same shape
        The direction in which the logits move.
    axis : int
        The class axis.
    out : ndarray, optional
        Of the result's shape and dtype; may be ``log_probabilities`` itself.

    Returns
    -------
    ndarray, shape and dtype of ``log_probabilities``

    Raises
    ------
    TypeError
        For complex or object arrays.
    ValueError
        Where the shapes differ.

    Examples
    --------
    >>> import crossent as ce
    >>> q = ce.log_softmax([0.0, 0.0])
    >>> ce.log_softmax_jvp(q, [1.0, 0.0])
    array([ 0.5, -0.5])
    """
    q, axis = as_logits(log_probabilities, axis, "log_probabilities")
    v = as_like(tangent, q, "tangent", "log_probabilities")
    rows, v_rows = as_rows(q, axis), as_rows(v, axis)
    result = destination(out, q, axis, rows, v_rows)
    _kernels.log_softmax_jvp_rows(rows, v_rows, result)
    return deliver(result, out, q.shape, axis)


def log_softmax_jacobian(log_probabilities: ArrayLike) -> Floating:
    """The Jacobian of log-softmax itself, to look at or to test with.

    ``J = I - 1 p^T``: row k is the k-th unit vector minus the probabilities.

    Parameters
    ----------
    log_probabilities : array_like, shape (..., K)
        What :func:`log_softmax` returned.

    Returns
    -------
    ndarray, shape (..., K, K)
        Entry [..., k, j] is dq_k/dz_j.

    Raises
    ------
    TypeError
        For complex or object arrays.
    ValueError
        For an empty class axis.

    Notes
    -----
    The diagonal is 1 - exp(q) = -expm1(q), which keeps its digits near p = 1.

    Examples
    --------
    >>> import crossent as ce
    >>> ce.log_softmax_jacobian(ce.log_softmax([0.0, 0.0]))
    array([[ 0.5, -0.5],
           [-0.5,  0.5]])
    """
    given, _ = as_logits(log_probabilities, -1, "log_probabilities")
    q = given.astype(compute_dtype(given.dtype), copy=False)
    n_classes = q.shape[-1]
    jacobian = np.empty((*q.shape, n_classes), q.dtype)
    jacobian[...] = -np.exp(q)[..., None, :]
    np.einsum("...kk->...k", jacobian)[...] = -np.expm1(q)
    return jacobian.astype(given.dtype, copy=False)
