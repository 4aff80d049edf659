"""Losses whose classes, or rows, are split over the ranks of a process group."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .. import ops
from ._gradients import Tensors
from ._loss import LossArguments
from ._ranks import mean_over_ranks, ranks_of
from ._row_blocks import RowSource
from ._row_losses import Rows

__all__ = ["loss_over_ranks", "with_common_divisor"]


def loss_over_ranks(
    source_of: Callable[..., RowSource],
    primals: tuple[torch.Tensor | None, ...],
    loss: LossArguments,
    group: Any,
    data_group: Any,
) -> torch.Tensor:
    """The loss of logits of which each rank of ``group`` has some classes.

    The first primal is what all ranks have alike where there are several, and its gradient is
    their sum. What all ranks have alike - the loss too - has a cotangent that they have alike.
    """
    if torch.compiler.is_compiling():
        torch._dynamo.graph_break(msg="a loss over a process group is left out of the graph")
    return _untraced()(source_of, primals, loss, group, data_group)


_disabled: Any = None


def _untraced() -> Any:
    """The function that torch's compiler leaves alone; without the compiler, which loads slowly."""
    global _disabled
    if "torch._dynamo" not in sys.modules:
        return _loss_over_ranks
    if _disabled is None:
        _disabled = torch.compiler.disable(_loss_over_ranks)
    return _disabled


def _loss_over_ranks(
    source_of: Callable[..., RowSource],
    primals: tuple[torch.Tensor | None, ...],
    loss: LossArguments,
    group: Any,
    data_group: Any,
) -> Any:
    if torch._C._are_functorch_transforms_active():
        raise NotImplementedError(_BACKWARD_ONLY)
    return _Value.apply(_plan(source_of, primals, loss, group, data_group), *primals)


def _plan(
    source_of: Callable[..., RowSource],
    primals: tuple[torch.Tensor | None, ...],
    loss: LossArguments,
    group: Any,
    data_group: Any,
) -> Rows:
    """Two of the collectives forward: the sizes, and what is known of the rows."""
    with torch.no_grad():
        source = source_of(*primals)
        ranks = ranks_of(source.n_classes, source.n_rows, group, loss.target.device)
        return Rows(source, loss, ranks, data_group)


class _Value(torch.autograd.Function):
    """E: three collectives forward (sizes, maxima, sums)."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, rows: Rows, *primals: torch.Tensor | None
    ) -> torch.Tensor:
        ctx.rows = rows
        ctx.save_for_backward(*primals)
        return rows.value()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[Any, ...]:
        primals = ctx.saved_tensors  # an error where one was changed in place
        made = _Gradient.apply(ctx.rows, ctx.needs_input_grad[1:], *grad_outputs, *primals)
        return None, *made  # pyright: ignore

    @staticmethod
    def jvp(ctx: Any, *_: Any) -> Any:
        raise NotImplementedError(_BACKWARD_ONLY)


class _Gradient(torch.autograd.Function):
    """g G: one collective, for the gradient of what all ranks have alike."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any,
        rows: Rows,
        needs: tuple[bool, ...],
        g: torch.Tensor,
        *primals: torch.Tensor | None,
    ) -> tuple[torch.Tensor | None, ...]:
        ctx.rows = rows
        ctx.save_for_backward(g, *primals)
        ctx.set_materialize_grads(False)
        return _with_common_first(rows, rows.vjp(g, needs))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor | None) -> tuple[Any, ...]:
        """g H v and <G, v>: one collective a block of rows, one for each of the two."""
        if torch.is_grad_enabled():
            raise NotImplementedError(
                "a loss over a process group has two derivatives, and create_graph asks for a "
                "third: compute the loss without process_group, from log_softmax(logits)"
            )
        g, *_ = ctx.saved_tensors
        _, _, needs_g, *needs = ctx.needs_input_grad
        none: list[Any] = [None] * len(needs)
        if all(tangent is None for tangent in grad_outputs):
            return None, None, None, *none
        slope = ctx.rows.jvp(grad_outputs) if needs_g else None
        made = none
        if any(needs):
            made = _with_common_first(ctx.rows, ctx.rows.hvp(grad_outputs, g, needs))
        return None, None, slope, *made

    @staticmethod
    def jvp(ctx: Any, *_: Any) -> Any:
        raise NotImplementedError(_BACKWARD_ONLY)


_BACKWARD_ONLY = (
    "a loss over a process group has no forward mode and no torch.func: take its derivatives by "
    "backward and double backward (create_graph=True), or compute the loss without process_group"
)


def _with_common_first(rows: Rows, gradients: Tensors) -> tuple[torch.Tensor | None, ...]:
    """The gradients of a layer, that of its inputs summed over the ranks."""
    first, *others = gradients
    if first is not None and others:
        first = rows.ranks.total(first)
    return first, *others


def with_common_divisor(
    loss: LossArguments, shape: tuple[int, ...], data_group: Any
) -> LossArguments:
    """The loss with a divisor such that the mean over ranks is the mean over all their rows."""
    if loss.reduction != "mean" or loss.divisor is not None:
        return loss
    host = loss._replace(
        **{
            name: tensor.cpu()
            for name, tensor in loss._asdict().items()
            if isinstance(tensor, torch.Tensor)
        }
    )
    dtype = np.dtype(np.float64)
    here = ops.loss_normalizer(shape, dtype, host.truth, axis=loss.axis, **host.options)
    divisor = mean_over_ranks(here, data_group, loss.target.device)
    return loss._replace(divisor=divisor) if divisor > 0.0 else loss
