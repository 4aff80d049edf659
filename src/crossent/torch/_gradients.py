"""Gradients of a loss: whether they are there already, and what they are with a cotangent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch._C._autograd import (
    _get_current_graph_task_keep_graph as _graph_is_kept,  # pyright: ignore
)

from ._loss import LossArguments
from ._operator import is_final
from ._tensors import empty_like, float_dtype, is_plain

__all__ = ["Needs", "Tensors", "graph_is_kept", "is_one", "known", "nothing", "scaled_gradients"]

Tensors: TypeAlias = Sequence[torch.Tensor | None]
Needs: TypeAlias = Sequence[bool]


def nothing(like: torch.Tensor) -> torch.Tensor:
    """An empty tensor in the place of a gradient that is not there."""
    return like.new_empty((0,), dtype=float_dtype(like))


def is_one(g: torch.Tensor) -> bool:
    """Whether a cotangent is the number one, seen without waiting for a device."""
    return g.ndim == 0 and g.is_cpu and is_plain(g) and g.item() == 1.0


def graph_is_kept() -> bool:
    """Whether a backward pass may come again, so that what is saved must not be given away."""
    return _graph_is_kept()


def known(gradients: Tensors, primals: Tensors, needs: Needs) -> bool:
    """Whether each gradient that is needed is there, not an empty tensor in its place."""
    return all(
        not need or (G is not None and p is not None and G.shape == p.shape)
        for G, p, need in zip(gradients, primals, needs, strict=True)
    )


def scaled_gradients(
    gradients: Tensors, g: torch.Tensor, loss: LossArguments, needs: Needs
) -> Tensors:
    """Those that are needed, times the cotangent of the loss."""
    return tuple(
        _scaled(G, g, loss.axis) if need and G is not None else None
        for G, need in zip(gradients, needs, strict=True)
    )


def _scaled(gradient: torch.Tensor, g: torch.Tensor, axis: int) -> torch.Tensor:
    """The gradient times its cotangent, one number or one a row, in new memory."""
    factor = g if g.ndim in (0, gradient.ndim) else g.unsqueeze(axis)
    if is_final(gradient, g):
        return torch.mul(gradient, factor, out=empty_like(gradient))
    return gradient * factor
