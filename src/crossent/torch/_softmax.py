"""Softmax, log-softmax and logsumexp of tensors."""

from __future__ import annotations

from typing import Any

import torch

from .. import ops
from ._joined import joined, joined_mask
from ._operator import Operator, is_final, primals_of
from ._tensors import (
    array_of,
    check_tensor,
    float_dtype,
    optional_array,
    optional_tensor,
    tensor_of,
)

__all__ = ["log_softmax", "logsumexp", "softmax"]


def softmax(
    logits: torch.Tensor, *, axis: int = -1, where: torch.Tensor | None = None
) -> torch.Tensor:
    """Probabilities of the classes along one axis: :func:`crossent.softmax` of a tensor.

    ``p_k = exp(z_k - a) / sum_c exp(z_c - a)``; the backward pass is ``p (g - <g, p>)``.

    Parameters
    ----------
    logits : Tensor, shape (..., K, ...)
        float16, bfloat16, float32 or float64; integers are computed in float64.
    axis : int
        The class axis.
    where : Tensor of bool, optional
        Broadcasts to ``logits``; classes where it is False are absent.

    Returns
    -------
    Tensor, shape and dtype of ``logits``

    Raises
    ------
    TypeError, ValueError
        As :func:`crossent.softmax`.

    Examples
    --------
    >>> import torch
    >>> from crossent.torch import softmax
    >>> softmax(torch.tensor([1000.0, 1000.0]))
    tensor([0.5000, 0.5000])
    """
    check_tensor(logits, "logits")
    return _softmax(logits, optional_tensor(where, logits, "where"), axis)


def log_softmax(
    logits: torch.Tensor, *, axis: int = -1, where: torch.Tensor | None = None
) -> torch.Tensor:
    """Logarithms of probabilities along one axis: :func:`crossent.log_softmax` of a tensor.

    ``q = z - l``; the backward pass is ``g - p sum(g)``.

    Parameters
    ----------
    logits, axis, where
        As in :func:`crossent.torch.softmax`.

    Returns
    -------
    Tensor, shape and dtype of ``logits``

    Raises
    ------
    TypeError, ValueError
        As :func:`crossent.log_softmax`.

    Examples
    --------
    >>> import torch
    >>> from crossent.torch import log_softmax
    >>> float(log_softmax(torch.tensor([40.0, 0.0], dtype=torch.float64))[0])
    -4.248354255291589e-18
    """
    check_tensor(logits, "logits")
    return _log_softmax(logits, optional_tensor(where, logits, "where"), axis)


def logsumexp(
    logits: torch.Tensor,
    *,
    axis: int = -1,
    where: torch.Tensor | None = None,
    keepdims: bool = False,
) -> torch.Tensor:
    """Logarithm of the sum of exponentials along one axis: :func:`crossent.logsumexp` of a tensor.

    ``l = a + log sum_k exp(z_k - a)``; the backward pass is ``g p``.

    Parameters
    ----------
    logits, axis, where
        As in :func:`crossent.torch.softmax`.
    keepdims : bool
        Keep the class axis with length 1.

    Returns
    -------
    Tensor, shape of ``logits`` without the class axis

    Raises
    ------
    TypeError, ValueError
        As :func:`crossent.logsumexp`.

    Examples
    --------
    >>> import torch
    >>> from crossent.torch import logsumexp
    >>> z = torch.full((4,), 1e8, requires_grad=True)
    >>> logsumexp(z).backward()
    >>> z.grad
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    check_tensor(logits, "logits")
    value = _logsumexp(logits, optional_tensor(where, logits, "where"), axis)
    return value.unsqueeze(axis) if keepdims else value


def _masked(logits: torch.Tensor, where: torch.Tensor | None) -> torch.Tensor:
    return logits if where is None else logits.masked_fill(~where, -torch.inf)


def _without_masked(values: torch.Tensor, where: torch.Tensor | None) -> torch.Tensor:
    """Derivatives of what is absent are zero."""
    return values if where is None else values.masked_fill(~where, 0)


def _like_logits(logits: torch.Tensor, *_: Any) -> torch.Tensor:
    return logits.new_empty(logits.shape, dtype=float_dtype(logits))


def _save(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    _, where, ctx.axis = inputs
    ctx.save_for_backward(output, where)
    ctx.save_for_forward(output, where)


def _batched(operator: Operator, size: int, in_dims: Any, args: Any) -> tuple[torch.Tensor, int]:
    """A batch is one more dimension."""
    (logits, where, axis), (dim, mask_dim, _) = args, in_dims
    logits = joined(logits, dim, size)
    where = joined_mask(where, mask_dim, logits.ndim)
    return operator(logits, where, axis if axis < 0 else axis + 1), 0


# The derivatives below are the kernels' where nothing is differentiated any further, and the same
# formulas in torch's operations, which can be differentiated to any order, everywhere else.


@Operator
class _softmax:
    """p, with J = diag(p) - p p^T."""

    schema = "softmax(Tensor logits, Tensor? where, int axis) -> Tensor"
    fake = staticmethod(_like_logits)
    batched = staticmethod(_batched)
    setup_context = staticmethod(_save)

    @staticmethod
    def compute(logits: torch.Tensor, where: torch.Tensor | None, axis: int) -> torch.Tensor:
        if logits.is_cpu:
            return tensor_of(ops.softmax(array_of(logits), axis=axis, where=optional_array(where)))
        p = torch.softmax(_masked(logits, where), axis, float_dtype(logits))
        if where is None:
            return p
        return p.masked_fill(~where.expand(p.shape).any(axis, keepdim=True), 0)

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> tuple[Any, ...]:
        p, _ = ctx.saved_tensors
        return _softmax_derivative(p, cotangent, ctx.axis), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, *_: Any) -> torch.Tensor:
        p, where = ctx.saved_tensors
        return _softmax_derivative(p, _without_masked(tangent, where), ctx.axis)


def _softmax_derivative(p: torch.Tensor, direction: torch.Tensor, axis: int) -> torch.Tensor:
    """J v = p (v - <p, v>); J is symmetric."""
    if is_final(p, direction):
        return tensor_of(ops.softmax_vjp(array_of(p), array_of(direction), axis=axis))
    return p * (direction - (p * direction).sum(axis, keepdim=True))


@Operator
class _log_softmax:
    """q = z - l, with the Jacobian I - 1 p^T."""

    schema = "log_softmax(Tensor logits, Tensor? where, int axis) -> Tensor"
    fake = staticmethod(_like_logits)
    batched = staticmethod(_batched)
    setup_context = staticmethod(_save)

    @staticmethod
    def compute(logits: torch.Tensor, where: torch.Tensor | None, axis: int) -> torch.Tensor:
        if logits.is_cpu:
            mask = optional_array(where)
            return tensor_of(ops.log_softmax(array_of(logits), axis=axis, where=mask))
        q = torch.log_softmax(_masked(logits, where), axis, float_dtype(logits))
        return q if where is None else q.masked_fill(~where, -torch.inf)

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> tuple[Any, ...]:
        q, where = ctx.saved_tensors
        g = _without_masked(cotangent, where)
        if is_final(q, g):
            gradient = ops.log_softmax_vjp(array_of(q), array_of(g), axis=ctx.axis)
            return tensor_of(gradient), None, None
        return g - q.exp() * g.sum(ctx.axis, keepdim=True), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, *_: Any) -> torch.Tensor:
        q, where = ctx.saved_tensors
        v = _without_masked(tangent, where)
        return _without_masked(v - (q.exp() * v).sum(ctx.axis, keepdim=True), where)


@Operator
class _logsumexp:
    """l, with gradient p: never exp(z - l) of a rounded l."""

    schema = "logsumexp(Tensor logits, Tensor? where, int axis) -> Tensor"
    batched = staticmethod(_batched)

    @staticmethod
    def compute(logits: torch.Tensor, where: torch.Tensor | None, axis: int) -> torch.Tensor:
        if logits.is_cpu:
            mask = optional_array(where)
            return tensor_of(ops.logsumexp(array_of(logits), axis=axis, where=mask))
        return torch.logsumexp(_masked(logits.to(float_dtype(logits)), where), axis)

    @staticmethod
    def fake(logits: torch.Tensor, where: torch.Tensor | None, axis: int) -> torch.Tensor:
        shape = list(logits.shape)
        del shape[axis]
        return logits.new_empty(shape, dtype=float_dtype(logits))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        logits, where, ctx.axis = inputs
        ctx.save_for_backward(logits, where)
        ctx.save_for_forward(logits, where)

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> tuple[Any, ...]:
        z, where = ctx.saved_tensors
        if where is None and is_final(z, cotangent):
            gradient = ops.logsumexp_vjp(array_of(z), array_of(cotangent), axis=ctx.axis)
            return tensor_of(gradient), None, None
        return cotangent.unsqueeze(ctx.axis) * _softmax(z, where, ctx.axis), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, *_: Any) -> torch.Tensor:
        z, where = primals_of(ctx)
        p = _softmax(z, where, ctx.axis)
        return (p * _without_masked(tangent, where)).sum(ctx.axis)
