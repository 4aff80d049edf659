"""Losses of CPU tensors: the functions on arrays, over the same memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from .. import ops
from .._typing import Array
from ._gradients import Needs, Tensors
from ._loss import LossArguments
from ._tensors import array_of, tensor_of

__all__ = ["BinaryCrossEntropy", "CrossEntropy", "folded"]


class CrossEntropy:
    """E, G, <G, v> and H v of logits along a class axis."""

    def row_shape(self, primals: Tensors, loss: LossArguments) -> tuple[int, ...]:
        """The shape of the logits without their class axis."""
        return loss.rows_of(_first(primals))

    def value_and_grad(
        self, primals: Tensors, loss: LossArguments, needs: Needs
    ) -> tuple[torch.Tensor, Tensors]:
        """In one pass."""
        z, truth, options = _given(primals, loss)
        if not needs[0]:
            return tensor_of(ops.cross_entropy(z, truth, axis=loss.axis, **options)), (None,)
        value, gradient = ops.cross_entropy_value_and_grad(z, truth, axis=loss.axis, **options)
        return tensor_of(value), (tensor_of(gradient),)

    def vjp(self, primals: Tensors, g: torch.Tensor, loss: LossArguments, needs: Needs) -> Tensors:
        """G, multiplied in place; in float16 within the kernel, before it is rounded."""
        z, truth, options = _given(primals, loss)
        if loss.reduction == "mean" and z.dtype == np.float16:
            divisor = ops.loss_normalizer(z.shape, z.dtype, truth, axis=loss.axis, **options)
            if divisor:
                options["normalizer"], g = folded(divisor, g)
        _, gradient = ops.cross_entropy_value_and_grad(z, truth, axis=loss.axis, **options)
        return (_multiplied(tensor_of(gradient), g, loss.axis),)

    def jvp(self, primals: Tensors, tangents: Tensors, loss: LossArguments) -> torch.Tensor:
        """Without storing G."""
        z, truth, options = _given(primals, loss)
        v = array_of(_first(tangents))
        return tensor_of(ops.cross_entropy_jvp(z, truth, v, axis=loss.axis, **options)[1])

    def hvp(
        self,
        primals: Tensors,
        tangents: Tensors,
        g: torch.Tensor,
        loss: LossArguments,
        needs: Needs,
    ) -> Tensors:
        """H v, multiplied in place."""
        z, truth, options = _given(primals, loss)
        v = array_of(_first(tangents))
        product = tensor_of(ops.cross_entropy_hvp(z, truth, v, axis=loss.axis, **options))
        return (_multiplied(product, g, loss.axis),)


class BinaryCrossEntropy:
    """E, G, <G, v> and H v of one logit a row; the last two as those of two classes, (0, u)."""

    def row_shape(self, primals: Tensors, loss: LossArguments) -> tuple[int, ...]:
        """Each logit is a row."""
        return tuple(_first(primals).shape)

    def value_and_grad(
        self, primals: Tensors, loss: LossArguments, needs: Needs
    ) -> tuple[torch.Tensor, Tensors]:
        """In one pass."""
        u, truth, _ = _given(primals, loss)
        if not needs[0]:
            return tensor_of(ops.binary_cross_entropy(u, truth, **loss.binary_options)), (None,)
        value, gradient = ops.binary_cross_entropy_value_and_grad(u, truth, **loss.binary_options)
        return tensor_of(value), (tensor_of(gradient),)

    def vjp(self, primals: Tensors, g: torch.Tensor, loss: LossArguments, needs: Needs) -> Tensors:
        """G, multiplied in place."""
        _, (gradient,) = self.value_and_grad(primals, loss, needs)
        assert gradient is not None
        return (gradient.mul_(g),)

    def jvp(self, primals: Tensors, tangents: Tensors, loss: LossArguments) -> torch.Tensor:
        """That of two classes along (0, v)."""
        pair = _pair(primals, tangents, loss)
        return tensor_of(ops.cross_entropy_jvp(*pair, **loss.options)[1])

    def hvp(
        self,
        primals: Tensors,
        tangents: Tensors,
        g: torch.Tensor,
        loss: LossArguments,
        needs: Needs,
    ) -> Tensors:
        """That of two classes along (0, v), of which the second entry is wanted."""
        product = ops.cross_entropy_hvp(*_pair(primals, tangents, loss), **loss.options)
        return (tensor_of(product[..., 1].copy()).mul_(g),)


def _pair(primals: Tensors, tangents: Tensors, loss: LossArguments) -> tuple[Array, Array, Array]:
    """Logits (0, u), labels or targets (1 - y, y), tangent (0, v)."""
    u, truth, _ = _given(primals, loss)
    v = array_of(_first(tangents))
    if truth.dtype.kind not in "biu":
        truth = np.stack([1.0 - truth, truth], axis=-1)
    zero = np.zeros_like(u)
    return np.stack([zero, u], axis=-1), truth, np.stack([zero, v], axis=-1)


def _first(tensors: Tensors) -> torch.Tensor:
    (tensor, *_) = tensors
    assert tensor is not None
    return tensor


def _given(primals: Any, loss: LossArguments) -> tuple[Array, Any, Any]:
    """Logits, truth and options as arrays."""
    return array_of(primals[0]), loss.truth, loss.options


def _multiplied(values: torch.Tensor, g: torch.Tensor, axis: int) -> torch.Tensor:
    """Values of the logits' shape times one number, or one a row, in place."""
    if g.ndim == 0 and g.item() == 1.0:
        return values
    return values.mul_(g if g.ndim == 0 else g.unsqueeze(axis))


def folded(divisor: float, g: torch.Tensor) -> tuple[float, torch.Tensor]:
    """The cotangent as part of what a mean divides by, and its sign.

    A float16 gradient of a mean over many rows underflows; a scaled loss is there to prevent that,
    so its scale must come in before the rounding.
    """
    scale = abs(g.item())
    if not 0.0 < scale < math.inf:
        return divisor, g
    return divisor / scale, g.sign()
