"""What ``torch.vmap`` maps over as one more dimension, the first."""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["joined", "joined_mask", "joined_or_none"]


def joined(tensor: torch.Tensor, dim: int | None, size: int) -> torch.Tensor:
    """The members of a batch behind each other, the same tensor for each where there is but one."""
    return tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)


def joined_or_none(tensor: torch.Tensor | None, dim: int | None, size: int) -> Any:
    """``joined``, or None for None."""
    return None if tensor is None else joined(tensor, dim, size)


def joined_mask(where: torch.Tensor | None, dim: int | None, ndim: int) -> Any:
    """A mask that broadcasts to joined logits of ``ndim`` dimensions."""
    if where is None:
        return None
    size, shape = (1, where.shape)
    if dim is not None:
        where = where.movedim(dim, 0)
        size, *shape = where.shape
    return where.reshape(size, *[1] * (ndim - 1 - len(shape)), *shape)
