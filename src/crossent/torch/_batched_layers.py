"""Layers of a batch's members, or a layer's gradients of each, by all the members' logits at once.

A member of one row has logits that are no more than its layer's gradient; what is more than a block
of logits goes part by part, and members that are each more than that one by one.
"""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["LayersOfMembers", "in_parts"]


class LayersOfMembers:
    """Inputs (B, ..., n), a layer for all members or one for each, and their logits (B, ..., K)."""

    def __init__(self, primals: Any) -> None:
        self.inputs, self.weight, self.bias = primals
        size, n = self.inputs.shape[0], self.inputs.shape[-1]
        self.rows = self.inputs.reshape(size, -1, n)
        z = self.rows @ self.weight.mT
        if self.bias is not None:
            z = z + self.bias.unsqueeze(-2)
        self.logits = z.reshape(*self.inputs.shape[:-1], z.shape[-1])

    def gradients(self, g: torch.Tensor, needs: Any) -> tuple[Any, ...]:
        """What a gradient in the logits is in inputs, weight and bias of each member."""
        g = g.reshape(*self.rows.shape[:2], -1)
        absent = (g == 0.0).all(dim=-1, keepdim=True)  # whatever its inputs hold
        made = (
            lambda: (g @ self.weight).reshape(self.inputs.shape),
            lambda: g.mT @ self.rows.masked_fill(absent, 0.0),
            lambda: g.sum(dim=1),
        )
        return tuple(of() if need else None for of, need in zip(made, needs, strict=True))


def in_parts(of: Any, size: int, step: int, in_dims: Any, args: Any) -> Any:
    """What ``of(size, args)`` gives for some members at a time, put together."""
    parts = []
    for start in range(0, size, step):
        length = min(step, size - start)
        part = [
            arg.narrow(dim, start, length) if isinstance(dim, int) else arg
            for arg, dim in zip(args, in_dims, strict=True)
        ]
        parts.append(of(length, tuple(part)))
    results, dims = zip(*parts, strict=True)
    if isinstance(dims[0], int):
        return torch.cat(results), 0
    joined = (
        several[0] if dim is None else torch.cat(several)
        for several, dim in zip(zip(*results, strict=True), dims[0], strict=True)
    )
    return tuple(joined), dims[0]
