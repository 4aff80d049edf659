"""A loss and its derivatives as operators, each differentiable by means of the others.

With E(x) the loss of some tensors x (logits; or inputs, weight and bias), G its gradient, H its
Hessian and g a cotangent: the derivative of E is g G; the derivatives of g G are g H v and <G, v>;
those of <G, v> are H v and G, in forward mode <u, H v> and G. So value, VJP, JVP and HVP close the
circle, but for third derivatives.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch

from ._eager_loss import eager_function, only_autograd_looks_on
from ._gradients import (
    Needs,
    Tensors,
    graph_is_kept,
    is_one,
    known,
    nothing,
    scaled_gradients,
)
from ._last_rules import BendRules, HvpRules
from ._loss import LossArguments
from ._loss_rules import JvpRules, Saved, ValueRules, VjpRules
from ._operator import Operator, differentiated_further
from ._tensors import float_dtype

__all__ = ["LossFormulas", "LossOperators", "Needs", "Tensors"]


class LossFormulas(Protocol):
    """What a loss of plain tensors is computed by; a gradient that is not needed is None."""

    def row_shape(self, primals: Tensors, loss: LossArguments) -> tuple[int, ...]:
        """The shape of the losses before they are reduced."""
        ...

    def value_and_grad(
        self, primals: Tensors, loss: LossArguments, needs: Needs
    ) -> tuple[torch.Tensor, Tensors]:
        """E and G."""
        ...

    def vjp(self, primals: Tensors, g: torch.Tensor, loss: LossArguments, needs: Needs) -> Tensors:
        """The product g G."""
        ...

    def jvp(self, primals: Tensors, tangents: Tensors, loss: LossArguments) -> torch.Tensor:
        """The product <G, v>, reduced as the loss is."""
        ...

    def hvp(
        self,
        primals: Tensors,
        tangents: Tensors,
        g: torch.Tensor,
        loss: LossArguments,
        needs: Needs,
    ) -> Tensors:
        """The product g H v."""
        ...


class LossOperators:
    """The operators of one loss of the primals: ``loss`` calls ``value``, which leads to others."""

    def __init__(
        self,
        name: str,
        primals: tuple[str, ...],
        on_cpu: LossFormulas,
        on_device: Any,
        of_logits: Any = None,
    ) -> None:
        self.names, self.n = primals, len(primals)
        self.on_cpu, self.on_device = on_cpu, on_device
        self.of_logits = of_logits  # of a layer: the operators of its logits
        self.eager = eager_function(name)
        self.value = Operator(ValueRules(name, self))
        self.vjp = Operator(VjpRules(name, self))
        self.jvp = Operator(JvpRules(name, self))
        self.hvp = Operator(HvpRules(name, self))
        self.bend: Any = Operator(BendRules(name, self)) if self.n > 1 else None

    def loss(
        self, primals: Tensors, loss: LossArguments, needs: Needs, wanted: bool
    ) -> torch.Tensor:
        """E, with the gradients that are needed computed in the same pass.

        ``wanted`` says whether autograd asks for any gradient, now or when its cotangent is known.
        """
        if not only_autograd_looks_on(primals, loss):
            return self.value(*primals, *loss, needs)[0]
        if wanted:
            return self.eager.apply(self, loss, needs, *primals)
        return self.formulas(primals[0]).value_and_grad(primals, loss, needs)[0]

    def formulas(self, primal: Any) -> LossFormulas:
        """Those of the device that a tensor is on."""
        return self.on_cpu if primal.is_cpu else self.on_device

    def schema(self, optional: str = "", needed: str = "") -> str:
        """Types of the primals or of what has their shapes: all of them may be absent, or none."""
        first = "?" if optional else ""
        rest = "" if needed else "?"
        return ", ".join(
            f"Tensor{rest if i else first} {name}{optional or needed}"
            for i, name in enumerate(self.names)
        )

    @property
    def several(self) -> str:
        """The type of a result that has the shapes of the primals."""
        return "Tensor" if self.n == 1 else f"({', '.join(['Tensor'] * self.n)})"

    def packed(self, results: Tensors, like: torch.Tensor) -> Any:
        """A result as an operator returns it: an empty tensor stands for what is not there."""
        filled = [nothing(like) if result is None else result for result in results]
        return filled[0] if self.n == 1 else tuple(filled)

    def unpacked(self, results: Any, needs: Needs) -> Tensors:
        """The reverse."""
        several = (results,) if self.n == 1 else results
        return tuple(r if need else None for r, need in zip(several, needs, strict=True))

    def empty(self, primals: Tensors, needs: Needs) -> list[torch.Tensor | None]:
        """Memory in the shapes of the primals."""
        return [
            p.new_empty(p.shape, dtype=float_dtype(p)) if need and p is not None else None
            for p, need in zip(primals, needs, strict=True)
        ]

    def product(
        self, saved: Saved, gradients: Tensors, g: torch.Tensor | None, needs: Needs
    ) -> Tensors:
        """The product g G, from gradients G where these are known already."""
        if g is None or not any(needs):
            return (None,) * self.n
        if differentiated_further() or not known(gradients, saved.primals, needs):
            made = self.vjp(*saved.primals, g, *gradients, *saved.loss, list(needs))
            return self.unpacked(made, needs)
        if is_one(g) and not graph_is_kept():
            return tuple(G if need else None for G, need in zip(gradients, needs, strict=True))
        return scaled_gradients(gradients, g, saved.loss, needs)

    def curvature(self, saved: Saved, tangents: Tensors, g: torch.Tensor, needs: Needs) -> Tensors:
        """The product g H v; v = 0 in what has no tangent."""
        if not any(needs) or all(tangent is None for tangent in tangents):
            return (None,) * self.n
        made = self.hvp(*saved.primals, *tangents, g, *saved.loss, list(needs))
        return self.unpacked(made, needs)
