"""Two classes by one logit: E = y softplus(-u) + (1 - y) softplus(u), dE/du = sigmoid(u) - y."""

from __future__ import annotations

from typing import Any, TypedDict, Unpack

from .. import _kernels
from .._arguments import as_floating, as_vector
from .._typing import Array, ArrayLike, Floating
from ._loss import LossRows, plan_binary_loss, plan_plain_binary_loss
from ._rows import destination, scalar_or_array

__all__ = ["binary_cross_entropy", "binary_cross_entropy_value_and_grad", "sigmoid"]


class BinaryLossKeywords(TypedDict, total=False):
    """The options of :func:`crossent.binary_cross_entropy`."""

    class_weight: ArrayLike | None
    sample_weight: ArrayLike | None
    ignore_index: int | None
    label_smoothing: float
    temperature: float
    reduction: str
    normalizer: str | float
    empty: str


def sigmoid(x: ArrayLike, *, out: Array | None = None) -> Floating:
    """Probability of class 1 of two, from one logit.

    ``1 / (1 + exp(-x))``: the softmax of (0, x).

    Parameters
    ----------
    x : array_like, any shape
        float16, bfloat16, float32 or float64; integers and bool are computed in float64.
    out : ndarray, optional
        Of the shape and dtype of the result; may be ``x`` itself.

    Returns
    -------
    ndarray or scalar, shape and dtype of ``x``

    Raises
    ------
    TypeError
        For complex or object arrays.
    ValueError
        Where ``out`` does not fit.

    Notes
    -----
    Formed from exp(-abs(x)): no overflow, and both tails keep their digits.

    Examples
    --------
    >>> import crossent as ce
    >>> ce.sigmoid([0.0, -1000.0])
    array([0.5, 0. ])
    """
    logits = as_floating(x, "x")
    flat = as_vector(logits)
    result = destination(out, logits, logits.ndim - 1, flat)
    _kernels.sigmoid_elements(flat, result)
    return scalar_or_array(result, logits.shape, out)


def binary_cross_entropy(
    logits: ArrayLike,
    target: ArrayLike,
    *,
    class_weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    temperature: float = 1.0,
    reduction: str = "mean",
    normalizer: str | float = "weight",
    empty: str = "nan",
) -> Any:
    """Cross-entropy of two classes from one logit a row.

    ``E = y softplus(-u) + (1 - y) softplus(u)``: the case K = 2 with logits (0, u).

    Parameters
    ----------
    logits : array_like, any shape
        The logit of class 1 against class 0.
    target : array_like, the same shape
        Labels 0 and 1 of any integer dtype (or bool), or probabilities of class 1 in [0, 1].
    class_weight : array_like, shape (2,), optional
        Multiplies the (smoothed) target of class 0 and of class 1.
    sample_weight : array_like, the same shape, optional
        Multiplies each row's loss; a row of weight 0 is absent.
    ignore_index : int, optional
        Rows with this label are absent.
    label_smoothing : float in [0, 1]
        Replaces y by (1 - e) y + e / 2.
    temperature : float > 0
        Divides the logits.
    reduction, normalizer, empty
        As in :func:`cross_entropy`.

    Returns
    -------
    scalar, or ndarray of one loss a row
        A scalar has the dtype of the logits (float32 for 16-bit logits).

    Raises
    ------
    TypeError
        For complex or object arrays.
    ValueError
        For labels other than 0 and 1, probabilities outside [0, 1], bad weights or options.

    Examples
    --------
    >>> import crossent as ce
    >>> float(ce.binary_cross_entropy([0.0, 800.0], [1, 0]))
    400.3465735902799...
    """
    u = as_floating(logits, "logits")
    plan = plan_binary_loss(
        u.shape,
        u.dtype,
        target,
        class_weight=class_weight,
        sample_weight=sample_weight,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        temperature=temperature,
        reduction=reduction,
        normalizer=normalizer,
        empty=empty,
    )
    return _value_and_grad(as_vector(u), plan, None)


def _value_and_grad(logits: Floating, plan: LossRows, gradient: Array | None) -> Any:
    losses = plan.reduction.memory()
    factor = plan.reduction.gradient_factor
    total = _kernels.binary_cross_entropy_elements(
        logits, plan.target, plan.row_weight, factor, plan.options, losses, gradient
    )
    return plan.reduction.of_losses(losses, total)


def binary_cross_entropy_value_and_grad(
    logits: ArrayLike,
    target: ArrayLike,
    *,
    out: Array | None = None,
    **options: Unpack[BinaryLossKeywords],
) -> tuple[Any, Floating]:
    """Cross-entropy of two classes and its gradient in the logit.

    ``dE/du = (1 - y) sigmoid(u) - y sigmoid(-u)``: no digits are lost for a confident row.

    Parameters
    ----------
    logits, target
        As in :func:`binary_cross_entropy`.
    out : ndarray, optional
        Memory for the gradient, of the shape and dtype of ``logits``; may be ``logits`` itself.
    **options
        The options of :func:`binary_cross_entropy`.

    Returns
    -------
    loss : scalar, or ndarray of one loss a row
    gradient : ndarray, shape and dtype of ``logits``

    Raises
    ------
    TypeError, ValueError
        As :func:`binary_cross_entropy`, and where ``out`` does not fit.

    Examples
    --------
    >>> import crossent as ce
    >>> loss, gradient = ce.binary_cross_entropy_value_and_grad([0.0], [1])
    >>> gradient
    array([-0.5])
    """
    u = as_floating(logits, "logits")
    if options:
        plan = plan_binary_loss(u.shape, u.dtype, target, **options)
    else:
        plan = plan_plain_binary_loss(u.shape, u.dtype, target)
    rows = as_vector(u)
    gradient = destination(out, u, u.ndim - 1, rows, plan.target)
    loss = _value_and_grad(rows, plan, gradient)
    plan.reduction.of_gradient(gradient)
    return loss, scalar_or_array(gradient, u.shape, out)
