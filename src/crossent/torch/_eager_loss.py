"""A loss as a plain autograd function: what it is where nobody but autograd looks on.

torch asks of an operator, and of a function of its functional transforms, each number and name as
an argument of its own, and goes through all of them several times a call. A training loop needs
none of that: here truth and options pass as one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.autograd import forward_ad

from ._gradients import Needs, Tensors, graph_is_kept, is_one
from ._loss import LossArguments
from ._loss_rules import Saved
from ._operator import differentiated_further
from ._tensors import is_plain

if TYPE_CHECKING:
    from ._loss_operators import LossOperators

__all__ = ["eager_function", "only_autograd_looks_on"]


def only_autograd_looks_on(primals: Tensors, loss: LossArguments) -> bool:
    """Whether nobody compiles, transforms or carries tangents, and all tensors are plain."""
    return (
        not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
        and forward_ad._current_level < 0
        and is_plain(*primals, *loss[: LossArguments.N_TENSORS])
    )


def eager_function(name: str) -> type[EagerLoss]:
    """The function of one loss, with the name that its results show as ``grad_fn``."""
    return type(name, (EagerLoss,), {})


class EagerLoss(torch.autograd.Function):
    """E, with G beside it; whatever differentiates the backward pass goes through the operators."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any,
        family: LossOperators,
        loss: LossArguments,
        needs: Needs,
        *primals: torch.Tensor | None,
    ) -> torch.Tensor:
        value, gradients = family.formulas(primals[0]).value_and_grad(primals, loss, needs)
        ctx.further = family, loss[LossArguments.N_TENSORS :]
        ctx.early = True in needs  # then all are there that autograd can ask for
        ctx.save_for_backward(*primals, *loss[: LossArguments.N_TENSORS], *gradients)
        return value

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[Any, ...]:
        (g,), tensors = grad_outputs, ctx.saved_tensors
        n = (len(tensors) - LossArguments.N_TENSORS) // 2
        gradients = tensors[-n:]
        if ctx.early and is_one(g) and not (differentiated_further() or graph_is_kept()):
            return None, None, None, *gradients
        family, options = ctx.further
        loss = LossArguments(*tensors[n:-n], *options)
        needs = ctx.needs_input_grad[3:]
        return None, None, None, *family.product(Saved(tensors[:n], loss), gradients, g, needs)
