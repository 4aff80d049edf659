"""Losses of tensors that are not on the CPU, in torch's operations."""

from __future__ import annotations

import torch

from ._gradients import Needs, Tensors
from ._loss import LossArguments
from ._numpy_linear import LinearCrossEntropy
from ._numpy_losses import BinaryCrossEntropy, CrossEntropy
from ._plain_labels import plain_labels
from ._ranks import OneRank
from ._row_blocks import GivenLogits, LayerLogits, RowSource
from ._row_losses import Rows

__all__ = ["DeviceBinaryCrossEntropy", "DeviceCrossEntropy", "DeviceLinearCrossEntropy"]


class DeviceCrossEntropy(CrossEntropy):
    """E, G, <G, v> and H v of logits on any device."""

    def source(self, primals: Tensors, loss: LossArguments) -> RowSource:
        """Where the logits are."""
        (logits,) = primals
        assert logits is not None
        return GivenLogits(logits, loss.axis)

    def rows(self, primals: Tensors, loss: LossArguments) -> Rows:
        """The loss of these primals."""
        source = self.source(primals, loss)
        return Rows(source, loss, OneRank(source.n_classes))

    def value_and_grad(
        self, primals: Tensors, loss: LossArguments, needs: Needs
    ) -> tuple[torch.Tensor, Tensors]:
        """E, and G from what is known after it."""
        plain = plain_labels(self.source(primals, loss), loss)
        if plain is not None:
            return plain.value_and_grad(needs)
        rows = self.rows(primals, loss)
        value = rows.value()
        if not any(needs):
            return value, (None,) * len(primals)
        return value, rows.vjp(torch.ones_like(value), needs)

    def vjp(self, primals: Tensors, g: torch.Tensor, loss: LossArguments, needs: Needs) -> Tensors:
        """g G."""
        plain = plain_labels(self.source(primals, loss), loss)
        return (plain or self.rows(primals, loss)).vjp(g, needs)

    def jvp(self, primals: Tensors, tangents: Tensors, loss: LossArguments) -> torch.Tensor:
        """<G, v>."""
        return self.rows(primals, loss).jvp(tangents)

    def hvp(
        self,
        primals: Tensors,
        tangents: Tensors,
        g: torch.Tensor,
        loss: LossArguments,
        needs: Needs,
    ) -> Tensors:
        """g H v."""
        return self.rows(primals, loss).hvp(tangents, g, needs)


class DeviceLinearCrossEntropy(DeviceCrossEntropy):
    """The same of inputs, weight and bias."""

    def row_shape(self, primals: Tensors, loss: LossArguments) -> tuple[int, ...]:
        """The shape of the inputs without their features."""
        return LinearCrossEntropy().row_shape(primals, loss)

    def source(self, primals: Tensors, loss: LossArguments) -> RowSource:
        """The layer."""
        inputs, weight, bias = primals
        assert inputs is not None
        assert weight is not None
        return LayerLogits(inputs, weight, bias)


class DeviceBinaryCrossEntropy(BinaryCrossEntropy):
    """The same of one logit a row: that of two classes, (0, u), of which the second is wanted."""

    def value_and_grad(
        self, primals: Tensors, loss: LossArguments, needs: Needs
    ) -> tuple[torch.Tensor, Tensors]:
        """E and G."""
        value, gradients = _TWO.value_and_grad(_pair(primals), _of_two(primals, loss), needs)
        return value, _second(gradients)

    def vjp(self, primals: Tensors, g: torch.Tensor, loss: LossArguments, needs: Needs) -> Tensors:
        """g G."""
        return _second(_TWO.vjp(_pair(primals), g, _of_two(primals, loss), needs))

    def jvp(self, primals: Tensors, tangents: Tensors, loss: LossArguments) -> torch.Tensor:
        """<G, v>."""
        return _TWO.jvp(_pair(primals), _pair(tangents), _of_two(primals, loss))

    def hvp(
        self,
        primals: Tensors,
        tangents: Tensors,
        g: torch.Tensor,
        loss: LossArguments,
        needs: Needs,
    ) -> Tensors:
        """g H v."""
        loss = _of_two(primals, loss)
        return _second(_TWO.hvp(_pair(primals), _pair(tangents), g, loss, needs))


_TWO = DeviceCrossEntropy()


def _pair(tensors: Tensors) -> Tensors:
    """(0, u)."""
    (u,) = tensors
    assert u is not None
    return (torch.stack([torch.zeros_like(u), u], dim=-1),)


def _second(tensors: Tensors) -> Tensors:
    return tuple(None if tensor is None else tensor[..., 1].contiguous() for tensor in tensors)


def _of_two(primals: Tensors, loss: LossArguments) -> LossArguments:
    """The loss of two classes: labels as they are, a probability y as the targets (1 - y, y)."""
    (u,) = primals
    assert u is not None
    if loss.indices is not None:
        raise TypeError("target is a TopKTargets, which has classes: one logit a row has none")
    if loss.target.shape != u.shape:
        raise ValueError(
            f"target has shape {tuple(loss.target.shape)}, but the logits, one label or "
            f"probability each, ask for {tuple(u.shape)}"
        )
    if not loss.target.dtype.is_floating_point:
        return loss._replace(target=loss.target.to(torch.int64))
    return loss._replace(target=torch.stack([1.0 - loss.target, loss.target], dim=-1))
