"""Cross-entropy of logits: E = l - z_t, dE/dz = p - onehot(t), H = diag(p) - p p^T."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from .. import _kernels
from .._arguments import (
    TopKRows,
    TopKTargets,
    as_like,
    as_logits,
    as_rows,
    compute_dtype,
    target_rows,
)
from .._typing import Array, ArrayLike, Floating
from ._loss import LossKeywords, LossRows, plan_loss, plan_plain_loss
from ._rows import deliver, destination, rows_or_columns

__all__ = [
    "cross_entropy",
    "cross_entropy_hvp",
    "cross_entropy_jvp",
    "cross_entropy_value_and_grad",
]


def _plan(
    logits: Floating, axis: int, target: ArrayLike | TopKTargets, options: LossKeywords
) -> LossRows:
    if options:
        return plan_loss(logits.shape, axis, logits.dtype, target, **options)
    return plan_plain_loss(logits.shape, axis, logits.dtype, target)


def _rows_of(logits: Floating, axis: int, plan: LossRows, columns: bool) -> Floating:
    """The logits as the kernels take them; targets are brought into the form for it, too.

    ``columns`` says that the kernel can take columns, which it can for labels without a mask.
    """
    if plan.target.ndim == 2:
        if isinstance(plan.target, TopKRows) or plan.target.dtype != compute_dtype(logits.dtype):
            plan.target = target_rows(plan.target, slice(None), logits.dtype)
    elif columns and plan.options.mask is None:
        return rows_or_columns(logits, axis)
    return as_rows(logits, axis)


def cross_entropy(
    logits: ArrayLike,
    target: ArrayLike | TopKTargets,
    *,
    axis: int = -1,
    class_weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    temperature: float = 1.0,
    softcap: float | None = None,
    z_loss: float = 0.0,
    where: ArrayLike | None = None,
    reduction: str = "mean",
    normalizer: str | float = "weight",
    empty: str = "nan",
) -> Any:
    """Cross-entropy between the softmax of logits and labels or target probabilities.

    ``E_i = l_i - z_it`` for a label t; ``E_i = sum_k y_ik (l_i - z_ik)`` for targets y.

    Parameters
    ----------
    logits : array_like, shape (..., K, ...)
        float16, bfloat16, float32 or float64; integers and bool are computed in float64.
    target : array_like
        Labels: any integer dtype, 0 ... K-1, shape of ``logits`` without the class axis.
        Or targets: non-negative numbers of the shape of ``logits``; rows need not sum to one;
        or :class:`TopKTargets`, where a few classes a row have targets of their own.
    axis : int
        The class axis.
    class_weight : array_like, shape (K,), optional
        Multiplies the (smoothed) target of each class.
    sample_weight : array_like, shape of ``logits`` without the class axis, optional
        Multiplies each row's loss. A row of weight 0 is absent, even if its logits are NaN.
    ignore_index : int, optional
        Rows with this label are absent. Nothing is ignored unless this is given.
    label_smoothing : float in [0, 1]
        Replaces y by (1 - e) y + e s / K_i, s the row's sum, K_i its unmasked classes.
    temperature : float > 0
        Divides the logits first.
    softcap : float > 0, optional
        Then replaces u by softcap * tanh(u / softcap).
    z_loss : float >= 0
        Adds z_loss * l^2 to each row.
    where : array_like of bool, optional
        Broadcasts to ``logits``; classes where it is False are absent. A row without any class
        is absent. A target on an absent class is an error.
    reduction : {"mean", "sum", "none"}
        "none" gives one loss a row, in the dtype of the logits.
    normalizer : {"weight", "count"} or float > 0
        What a mean divides by: the sum of the weights in use (sample weight times the class
        weight of the row's target), the number of rows neither ignored nor without a class,
        or the number given.
    empty : {"nan", "zero", "raise"}
        What a mean over no rows (or no weight) is; the same for its gradient.

    Returns
    -------
    scalar, or ndarray of one loss a row
        A scalar has the dtype of the logits (float32 for 16-bit logits).

    Raises
    ------
    TypeError
        For complex or object arrays, float labels, or a ``where`` that is not bool.
    ValueError
        For labels out of range, negative or non-finite targets or weights, a target on a masked
        class, shapes that do not fit, options out of range: the message names the row and value.

    Notes
    -----
    Nothing cancels on a confident row: when the label is the largest logit its loss is
    ``log1p(sum_{k != t} exp(z_k - z_t))``. The z-loss is PaLM's (Chowdhery et al. 2022), the
    softcap Gemma 2's (2024), label smoothing that of Szegedy et al. 2016.

    Examples
    --------
    >>> import crossent as ce
    >>> float(ce.cross_entropy([[2.0, 0.0, 0.0]], [0]))
    0.2395447662218845...
    >>> float(ce.cross_entropy([[40.0, 0.0]], [0]))
    4.248354255291589e-18
    """
    z, axis = as_logits(logits, axis)
    plan = plan_loss(
        z.shape,
        axis,
        z.dtype,
        target,
        class_weight=class_weight,
        sample_weight=sample_weight,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        temperature=temperature,
        softcap=softcap,
        z_loss=z_loss,
        where=where,
        reduction=reduction,
        normalizer=normalizer,
        empty=empty,
    )
    return _value_and_grad(_rows_of(z, axis, plan, True), plan, None)


def _value_and_grad(rows: Floating, plan: LossRows, gradient: Array | None) -> Any:
    """The reduced loss; the gradient of the rows, where memory for it is given."""
    target, reduction = plan.target, plan.reduction
    losses, factor = reduction.memory(), reduction.gradient_factor
    kernel = _kernels.cross_entropy_rows if rows.ndim == 2 else _kernels.cross_entropy_columns
    total = kernel(rows, target, plan.row_weight, factor, plan.options, losses, gradient)
    return reduction.of_losses(losses, total)


def cross_entropy_value_and_grad(
    logits: ArrayLike,
    target: ArrayLike | TopKTargets,
    *,
    axis: int = -1,
    out: Array | None = None,
    **options: Unpack[LossKeywords],
) -> tuple[Any, Floating]:
    """Cross-entropy and its gradient in the logits, in one pass.

    ``dE_i/dz = p - onehot(t)`` for a label, ``s p - y`` for targets of sum s.

    Parameters
    ----------
    logits, target, axis
        As in :func:`cross_entropy`.
    out : ndarray, optional
        Memory for the gradient, of the shape and dtype of ``logits``; may be ``logits`` itself.
    **options
        The options of :func:`cross_entropy`.

    Returns
    -------
    loss : scalar, or ndarray of one loss a row
    gradient : ndarray, shape and dtype of ``logits``
        Of the reduced loss; with ``reduction="none"`` row i is the gradient of loss i.

    Raises
    ------
    TypeError, ValueError
        As :func:`cross_entropy`, and where ``out`` does not fit.

    Notes
    -----
    The labelled class's entry is ``-sum_{k != t} p_k``, summed as such: it keeps all its digits
    where ``p_t - 1`` would be 0.

    Examples
    --------
    >>> import crossent as ce
    >>> loss, gradient = ce.cross_entropy_value_and_grad([[0.0, 0.0]], [1])
    >>> gradient
    array([[ 0.5, -0.5]])
    """
    z, axis = as_logits(logits, axis)
    plan = _plan(z, axis, target, options)
    rows = _rows_of(z, axis, plan, True)
    result = destination(out, z, axis, rows, plan.target)
    loss = _value_and_grad(rows, plan, result)
    plan.reduction.of_gradient(result)
    return loss, deliver(result, out, z.shape, axis)


def cross_entropy_jvp(
    logits: ArrayLike,
    target: ArrayLike | TopKTargets,
    tangent: ArrayLike,
    *,
    axis: int = -1,
    **options: Unpack[LossKeywords],
) -> tuple[Any, Any]:
    """Cross-entropy and its derivative along a direction of the logits.

    ``<dE/dz, dz>``, without storing the gradient.

    Parameters
    ----------
    logits, target, axis
        As in :func:`cross_entropy`.
    tangent : array_like, shape of ``logits``
        The direction dz in which the logits move.
    **options
        The options of :func:`cross_entropy`.

    Returns
    -------
    loss : scalar, or ndarray of one loss a row
    loss_tangent : the same
        The derivative of ``loss`` along ``tangent``.

    Raises
    ------
    TypeError, ValueError
        As :func:`cross_entropy`, and where ``tangent`` has another shape.

    Examples
    --------
    >>> import crossent as ce
    >>> loss, slope = ce.cross_entropy_jvp([[0.0, 0.0]], [1], [[0.0, 1.0]])
    >>> float(slope)
    -0.5
    """
    z, axis = as_logits(logits, axis)
    plan = _plan(z, axis, target, options)
    rows = _rows_of(z, axis, plan, False)
    dz = as_rows(as_like(tangent, z, "tangent"), axis)
    reduction = plan.reduction
    losses, tangents = np.empty(len(rows)), np.empty(len(rows))
    loss, loss_tangent = _kernels.cross_entropy_jvp_rows(
        rows, plan.target, dz, plan.row_weight, plan.options, losses, tangents
    )
    if reduction.kind == "none":
        return reduction.of_rows(losses), reduction.of_rows(tangents)
    return reduction.of_sum(loss), reduction.of_sum(loss_tangent)


def cross_entropy_hvp(
    logits: ArrayLike,
    target: ArrayLike | TopKTargets,
    tangent: ArrayLike,
    *,
    axis: int = -1,
    gauss_newton: bool = False,
    out: Array | None = None,
    **options: Unpack[LossKeywords],
) -> Floating:
    """Product of the loss's Hessian in the logits with a direction.

    ``H v = s p (v - <p, v>)`` for the plain loss; with all options, the full second derivative.

    Parameters
    ----------
    logits, target, axis
        As in :func:`cross_entropy`.
    tangent : array_like, shape of ``logits``
        The direction.
    gauss_newton : bool
        Leave out the terms that can be indefinite (the softcap's curvature and the z-loss's
        ``l (diag(p) - p p^T)``). Without softcap and z-loss both are the same.
    out : ndarray, optional
        Memory for the result, of the shape and dtype of ``logits``; may be ``logits`` itself.
    **options
        The options of :func:`cross_entropy`.

    Returns
    -------
    ndarray, shape and dtype of ``logits``

    Raises
    ------
    TypeError, ValueError
        As :func:`cross_entropy`, and where ``tangent`` or ``out`` does not fit.

    Examples
    --------
    >>> import crossent as ce
    >>> ce.cross_entropy_hvp([[0.0, 0.0]], [1], [[1.0, 0.0]])
    array([[ 0.25, -0.25]])
    """
    z, axis = as_logits(logits, axis)
    plan = _plan(z, axis, target, options)
    rows = _rows_of(z, axis, plan, False)
    dz = as_rows(as_like(tangent, z, "tangent"), axis)
    result = destination(out, z, axis, rows, plan.target, dz)
    _kernels.cross_entropy_hvp_rows(
        rows, plan.target, dz, plan.row_weight, plan.reduction.gradient_factor, plan.options,
        gauss_newton, result,
    )  # fmt: skip
    plan.reduction.of_gradient(result)
    return deliver(result, out, z.shape, axis)
