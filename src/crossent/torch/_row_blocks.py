"""Where the rows of logits come from, a block at a time, and where their gradients go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch

from ._gradients import Needs, Tensors

__all__ = ["GivenLogits", "LayerLogits", "RowSource"]

_BLOCK_ELEMENTS = 1 << 22

Scale = float | torch.Tensor | None


class RowSource(Protocol):
    """Rows of logits (N, K), computed in float32 or float64."""

    n_rows: int
    n_classes: int
    logits_like: torch.Tensor
    absent: torch.Tensor | None
    blocks_of_weights: int  # how many blocks of logits the parameters would fill

    def logits(self, rows: slice) -> torch.Tensor:
        """A block (R, K)."""
        ...

    def tangent(self, rows: slice, tangents: Tensors) -> torch.Tensor:
        """How a block moves with what it is made of."""
        ...

    def second_tangent(
        self, rows: slice, tangents: Tensors, directions: Tensors
    ) -> torch.Tensor | None:
        """How that moves in turn; None where it does not."""
        ...

    def start(self, needs: Needs, scale: Scale = None) -> None:
        """Make room for gradients, all to be multiplied by a scale; |g| is at most 1 then."""
        ...

    def add(self, rows: slice, g: torch.Tensor) -> None:
        """Pass a block's gradient (R, K) on to what it is made of."""
        ...

    def add_moved(self, rows: slice, g: torch.Tensor, tangents: Tensors) -> None:
        """Pass on how that changes as what it is made of moves, with the gradient held."""
        ...

    def gradients(self) -> Tensors:
        """What was added up, in the shapes and dtypes of the primals."""
        ...


def _wide(tensor: torch.Tensor) -> torch.Tensor:
    """In the dtype computed in: at least float32."""
    if not tensor.dtype.is_floating_point:
        return tensor.double()
    return tensor.float() if tensor.dtype.itemsize == 2 else tensor


def _multiplies_narrow(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether a device multiplies 16-bit matrices into float32, as torch offers it since 2.8."""
    narrow = a.dtype == b.dtype and a.dtype in (torch.float16, torch.bfloat16)
    return narrow and a.is_cuda and "dtype" in torch.ops.aten.mm.overloads()


def blocks(n_rows: int, width: int, times: int = 1) -> Iterator[slice]:
    """Blocks of rows, one of no rows if there are none; some times as large as they mostly are."""
    step = max(1, times * _BLOCK_ELEMENTS // max(1, width))
    for start in range(0, max(1, n_rows), step):
        yield slice(start, min(start + step, n_rows))


class GivenLogits:
    """Logits (..., K, ...) themselves."""

    def __init__(self, logits: torch.Tensor, axis: int) -> None:
        self.like, self.axis = logits, axis
        self._rows = self._as_rows(logits)
        self.n_rows, self.n_classes = self._rows.shape
        self.logits_like = logits
        self.absent: torch.Tensor | None = None
        self.blocks_of_weights = 0

    def _as_rows(self, tensor: torch.Tensor) -> torch.Tensor:
        moved = tensor.movedim(self.axis, -1)
        return moved.reshape(-1, moved.shape[-1])

    def logits(self, rows: slice) -> torch.Tensor:
        """As they are given."""
        return _wide(self._rows[rows])

    def tangent(self, rows: slice, tangents: Tensors) -> torch.Tensor:
        """As it is given."""
        assert tangents[0] is not None
        return _wide(self._as_rows(tangents[0])[rows])

    def second_tangent(self, rows: slice, tangents: Tensors, directions: Tensors) -> None:
        """Logits are linear in themselves."""

    def start(self, needs: Needs, scale: Scale = None) -> None:
        """Rows like those of the logits."""
        self._gradient = torch.empty_like(self._rows) if needs[0] else None
        self._scale = 1.0 if scale is None else scale

    def add(self, rows: slice, g: torch.Tensor) -> None:
        """Nothing to be added: each block is its own."""
        if self._gradient is not None:
            torch.mul(g, self._scale, out=self._gradient[rows])

    def add_moved(self, rows: slice, g: torch.Tensor, tangents: Tensors) -> None:
        """Logits are linear in themselves."""

    def gradients(self) -> Tensors:
        """In the shape of the logits."""
        if self._gradient is None:
            return (None,)
        moved = self.like.movedim(self.axis, -1)
        return (self._gradient.reshape(moved.shape).movedim(-1, self.axis).contiguous(),)


class LayerLogits:
    """``z = inputs weight^T + bias``; dphi = G W, dW = G^T phi, db = sum_i G_i."""

    def __init__(
        self, inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> None:
        self._given = (inputs, weight, bias)
        self._inputs = inputs.reshape(-1, inputs.shape[-1])
        self._weight, self._bias = weight, bias
        self._narrow = _multiplies_narrow(inputs, weight)
        self.n_rows, self.n_classes = len(self._inputs), len(weight)
        self.logits_like = inputs.new_empty((*inputs.shape[:-1], len(weight)), device="meta")
        self.absent: torch.Tensor | None = None
        self.blocks_of_weights = weight.numel() // _BLOCK_ELEMENTS

    def _given_x(self, rows: slice, inputs: torch.Tensor | None = None) -> torch.Tensor:
        """Inputs of a block; 0 where a row is absent, whatever it holds."""
        x = (self._inputs if inputs is None else inputs.reshape(self._inputs.shape))[rows]
        return x if self.absent is None else x.masked_fill(self.absent[rows].unsqueeze(1), 0.0)

    def _x(self, rows: slice, inputs: torch.Tensor | None = None) -> torch.Tensor:
        return _wide(self._given_x(rows, inputs))

    def logits(self, rows: slice) -> torch.Tensor:
        """One matrix product."""
        if self._narrow:
            z = torch.mm(self._given_x(rows), self._weight.T, out_dtype=torch.float32)
        else:
            z = self._x(rows) @ _wide(self._weight).T
        return z if self._bias is None else z.add_(_wide(self._bias))

    def tangent(self, rows: slice, tangents: Tensors) -> torch.Tensor:
        """``dz = dphi W^T + phi dW^T + db``."""
        dx, dw, db = tangents
        dz = torch.zeros((), device=self._weight.device)
        if dx is not None:
            dz = dz + self._x(rows, dx) @ _wide(self._weight).T
        if dw is not None:
            dz = dz + self._x(rows) @ _wide(dw).T
        if db is not None:
            dz = dz + _wide(db)
        return dz.expand(rows.stop - rows.start, self.n_classes)

    def second_tangent(
        self, rows: slice, tangents: Tensors, directions: Tensors
    ) -> torch.Tensor | None:
        """``d2z = dphi_u dW_v^T + dphi_v dW_u^T``."""
        (dx, dw, _), (ex, ew, _) = tangents, directions
        pairs = [(a, b) for a, b in ((dx, ew), (ex, dw)) if a is not None and b is not None]
        products = [self._x(rows, a) @ _wide(b).T for a, b in pairs]
        return sum(products[1:], start=products[0]) if products else None

    def start(self, needs: Needs, scale: Scale = None) -> None:
        """Sums in the dtype computed in."""
        self._scale = scale
        memory = (self._inputs, self._weight, self._bias)
        self._sums = [
            torch.zeros_like(_wide(tensor)) if need and tensor is not None else None
            for tensor, need in zip(memory, needs, strict=True)
        ]

    def add(self, rows: slice, g: torch.Tensor) -> None:
        """The three products of the backward pass."""
        inputs, weight, bias = self._sums
        if bias is not None:
            bias += g.sum(dim=0)
        if self._narrow and self._scale is not None:
            g = g.to(self._weight.dtype)
            if inputs is not None:
                torch.mm(g, self._weight, out_dtype=inputs.dtype, out=inputs[rows])
            if weight is not None:
                x = self._given_x(rows)
                torch.addmm(weight, g.T, x, out_dtype=weight.dtype, out=weight)
            return
        if inputs is not None:
            inputs[rows] += g @ _wide(self._weight)
        if weight is not None:
            weight.addmm_(g.T, self._x(rows))

    def add_moved(self, rows: slice, g: torch.Tensor, tangents: Tensors) -> None:
        """``G^T dphi`` and ``G dW``."""
        inputs, weight, _ = self._sums
        dx, dw, _ = tangents
        if inputs is not None and dw is not None:
            inputs[rows] += g @ _wide(dw)
        if weight is not None and dx is not None:
            weight.addmm_(g.T, self._x(rows, dx))

    def gradients(self) -> Tensors:
        """Rounded once."""
        if self._scale is not None:
            for made in self._sums:
                if made is not None:
                    made.mul_(self._scale)
        return tuple(
            None if made is None or like is None else made.to(like.dtype).reshape(like.shape)
            for made, like in zip(self._sums, self._given, strict=True)
        )
