"""Losses whose classes, or rows, are split over the ranks of a process group."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .. import ops
from ._loss import LossArguments
from ._ranks import mean_over_ranks, ranks_of
from ._row_blocks import RowSource
from ._row_losses import Rows
from ._tensors import array_of

__all__ = ["local_part", "loss_over_ranks", "with_common_divisor"]


def loss_over_ranks(
    source_of: Callable[..., RowSource],
    primals: tuple[torch.Tensor | None, ...],
    loss: LossArguments,
    group: Any,
    data_group: Any,
) -> torch.Tensor:
    """The loss of logits of which each rank of ``group`` has some classes.

    The first primal is what all ranks have alike where there are several, and its gradient is
    their sum.
    """
    return _OverRanks.apply(source_of, loss, group, data_group, *primals)  # pyright: ignore


class _OverRanks(torch.autograd.Function):
    """Three collectives forward (sizes, maxima, sums), and one backward for a layer's inputs."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any,
        source_of: Callable[..., RowSource],
        loss: LossArguments,
        group: Any,
        data_group: Any,
        *primals: torch.Tensor | None,
    ) -> torch.Tensor:
        source = source_of(*primals)
        ctx.ranks = ranks_of(source.n_classes, group, loss.target.device)
        ctx.rows = Rows(source, loss, ctx.ranks, data_group)
        ctx.save_for_backward(*primals)
        return ctx.rows.value()

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: torch.Tensor
    ) -> tuple[Any, ...]:
        if torch.is_grad_enabled():
            raise NotImplementedError(
                "a loss over a process group has one derivative, and create_graph asks for a "
                "second: leave create_graph out, or compute the loss without process_group"
            )
        primals = ctx.saved_tensors  # an error where one was changed in place
        needs = ctx.needs_input_grad[-len(primals) :]
        first, *others = ctx.rows.vjp(grad_outputs[0], needs)
        if first is not None and len(primals) > 1:
            first = ctx.ranks.total(first)
        return None, None, None, None, first, *others


def with_common_divisor(
    loss: LossArguments, shape: tuple[int, ...], data_group: Any
) -> LossArguments:
    """The loss with a divisor such that the mean over ranks is the mean over all their rows."""
    if data_group is None or loss.reduction != "mean" or loss.divisor is not None:
        return loss
    host = loss._replace(
        **{
            name: tensor.cpu()
            for name, tensor in loss._asdict().items()
            if isinstance(tensor, torch.Tensor)
        }
    )
    truth = array_of(host.target)
    here = ops.loss_normalizer(shape, np.dtype(np.float64), truth, axis=loss.axis, **host.options)
    divisor = mean_over_ranks(here, data_group, loss.target.device)
    return loss._replace(divisor=divisor) if divisor > 0.0 else loss


def local_part(tensor: torch.Tensor, axis: int, group: Any) -> tuple[torch.Tensor, Any]:
    """Of a DTensor this rank's part, and the group over which it is sharded along an axis."""
    module = sys.modules.get("torch.distributed.tensor")
    if module is None or not isinstance(tensor, module.DTensor):
        return tensor, group
    dtensor: Any = tensor
    mesh, placements = dtensor.device_mesh, dtensor.placements
    if len(placements) != 1:
        raise ValueError(
            f"a DTensor on a mesh of {len(placements)} dimensions is not understood: pass its "
            "to_local(), and as process_group the group that its classes are sharded over"
        )
    (placement,) = placements
    if placement.is_replicate():
        return dtensor.to_local(), group
    if not placement.is_shard(axis % tensor.ndim):
        raise ValueError(
            f"a DTensor must be sharded along its classes, axis {axis % tensor.ndim}, or be "
            f"replicated, but its placement is {placement}: redistribute it"
        )
    return dtensor.to_local(), mesh.get_group()
