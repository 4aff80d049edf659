"""A batch of losses as one loss: what ``torch.vmap`` maps over joins the rows of the logits.

Rows know nothing of each other, so those of all members go through an operator at once, their
losses not reduced. A member's sum or mean is then in the weights of its rows, and in a sum after.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import torch

from .._arguments import as_normalizer, check_choice
from ._batched_layers import in_parts
from ._joined import joined, joined_mask, joined_or_none
from ._loss import LossArguments
from ._tensors import float_dtype, has_numbers

__all__ = ["all_at_once"]

_N_LOSS = len(LossArguments._fields)
_MOST_LOGITS = 1 << 22  # of members whose layers are taken together


def all_at_once(
    operator: Any, size: int, in_dims: tuple[Any, ...], args: tuple[Any, ...]
) -> tuple[Any, Any] | None:
    """What an operator of a loss gives for a batch; None where its members cannot share a call.

    The operator's rules say what it takes and gives: "x" is like the primals, of which the first
    has the rows and the others, "w", are a layer; "g" is like the loss. Where members differ in
    their layers, or in its gradients, ``of_layers`` of the rules goes by all their logits.
    """
    rules, n = operator.rules, operator.rules.family.n
    end = len(rules.takes.replace("x", "x" * n))
    loss, of_loss = (LossArguments(*each[end : end + _N_LOSS]) for each in (args, in_dims))
    rest = args[end + _N_LOSS :]
    if n > 1 and rules.gives == "gx":
        rest = ([False] * n,)  # a layer's gradients wait for the cotangents of the rows
    needs = rest[0] if rest else []
    if _alone(loss, of_loss):
        return None
    takes = rules.takes.replace("x", "x" + "w" * (n - 1))
    layers = [dim for kind, dim in zip(takes, in_dims, strict=False) if kind == "w"]
    if not (any(dim is not None for dim in layers) or any(needs[1:])):
        call = _Call(rules, size, loss, of_loss, needs, narrow=loss.reduction != "none")
        return call.made(takes, in_dims, args, lambda x, loss: operator(*x, *loss, *rest))
    if not rules.has_layers(args):
        return None
    logits = _logits_of_member(args[:n], in_dims[:n])
    if logits > _MOST_LOGITS:
        return None
    step = max(1, _MOST_LOGITS // max(1, logits))
    if size > step:
        of = partial(all_at_once, operator)
        return in_parts(lambda length, part: of(length, in_dims, part), size, step, in_dims, args)
    call = _Call(rules, size, loss, of_loss, needs, narrow=True)
    return call.made(takes, in_dims, args, lambda x, loss: rules.of_layers(x, loss, needs))


def _logits_of_member(primals: Any, dims: Any) -> int:
    """How many logits a member of a layer has."""
    inputs, weight, *_ = (
        tensor if dim is None else tensor.select(dim, 0)
        for tensor, dim in zip(primals[:2], dims[:2], strict=True)
    )
    return inputs.numel() // max(1, inputs.shape[-1]) * len(weight)


class _Call(NamedTuple):
    """One call for a batch of losses."""

    rules: Any
    size: int
    loss: LossArguments
    dims: Any  # of the loss
    needs: Any
    narrow: bool  # whether tensors of 16 bits must be wider, for sums or for logits

    def made(self, takes: str, in_dims: Any, args: Any, of: Any) -> tuple[Any, Any]:
        """The results of ``of(tensors, loss)``, and where each has its members."""
        n, reduced = self.rules.family.n, self.loss.reduction != "none"
        first = joined(args[0], in_dims[0], self.size)
        dtype = float_dtype(first)
        wide = torch.float32 if self.narrow and dtype.itemsize == 2 else first.dtype
        loss = _joined_loss(self.loss, self.dims, self.size, first.ndim)
        rows = self.rules.family.on_cpu.row_shape((first, *args[1:n]), loss)
        loss, scale = _of_rows(loss, rows)
        tensors = [
            _taken(*each, self.size, wide, rows if reduced else None)
            for each in zip(takes, args, in_dims, strict=False)
        ]
        made = of(tensors, loss)
        several = made if isinstance(made, tuple) else (made,)
        gives = self.rules.gives.replace("x", "x" * n)
        there = [True] * gives.count("g") + list(self.needs)  # the others are empty, no batch
        results = [
            _given(kind, result, dtype, scale if here else None, len(rows) if reduced else 0)
            for kind, result, here in zip(gives, several, there, strict=True)
        ]
        dims = [0 if here else None for here in there]
        return (tuple(results), tuple(dims)) if isinstance(made, tuple) else (results[0], dims[0])


def _taken(
    kind: str,
    tensor: torch.Tensor | None,
    dim: int | None,
    size: int,
    dtype: torch.dtype,
    rows: tuple[int, ...] | None,
) -> torch.Tensor | None:
    """One tensor of all members; a cotangent of reduced losses is that of each row."""
    if tensor is None:
        return None
    if kind == "w":
        return (tensor if dim is None else tensor.movedim(dim, 0)).to(dtype)
    tensor = joined(tensor, dim, size)
    if kind == "x":
        return tensor.to(dtype)
    return tensor if rows is None else tensor.reshape(size, *[1] * (len(rows) - 1)).expand(rows)


def _given(
    kind: str, result: torch.Tensor, dtype: torch.dtype, scale: torch.Tensor | None, ndim: int
) -> torch.Tensor:
    """One result of all members; a reduced loss of rows in ``ndim`` dimensions is summed."""
    if kind == "g" and ndim > 1:
        result = result.sum(tuple(range(1, ndim)))
    elif kind == "x" or ndim == 0:
        result = result.to(dtype)
    if scale is None:
        return result
    return result * scale.to(result.dtype).reshape(-1, *[1] * (result.ndim - 1))


def _alone(loss: LossArguments, dims: Any) -> bool:
    """Whether each member must be by itself.

    For class weights of its own, for a fixed order of sums, for an empty mean that raises, and for
    a mean by the class weights of a few targets.
    """
    mean = loss.reduction == "mean"
    return (
        dims.class_weight is not None
        or loss.deterministic
        or (mean and loss.empty == "raise")
        or (mean and loss.indices is not None and loss.class_weight is not None)
    )


def _joined_loss(loss: LossArguments, dims: Any, size: int, ndim: int) -> LossArguments:
    """The truth and the weights of all members."""
    check_choice(loss.reduction, ("none", "sum", "mean"), "reduction")
    check_choice(loss.empty, ("nan", "zero", "raise"), "empty")
    as_normalizer(loss.normalizer if loss.divisor is None else loss.divisor)
    names = ("target", "indices", "sample_weight")
    tensors = {
        name: joined_or_none(getattr(loss, name), getattr(dims, name), size) for name in names
    }
    return loss._replace(
        axis=loss.axis if loss.axis < 0 else loss.axis + 1,
        where=joined_mask(loss.where, dims.where, ndim),
        **tensors,
    )


def _of_rows(
    loss: LossArguments, rows: tuple[int, ...]
) -> tuple[LossArguments, torch.Tensor | None]:
    """The loss with what a mean divides by in its rows' weights; NaN for each mean over nothing."""
    scale, weight = None, loss.sample_weight
    if loss.reduction == "mean":
        weight = _ones(loss, rows) if weight is None else weight.double()
        divisor = loss.divisor
        if divisor is None:
            divisor = _normalizers(loss, weight)
            empty = divisor == 0.0
            if loss.empty == "nan" and not (has_numbers(empty) and not empty.any()):
                scale = torch.where(empty, math.nan, 1.0)
            divisor = divisor.masked_fill(empty, 1.0).reshape(-1, *[1] * (len(rows) - 1))
        weight = weight / divisor
    plain = {"reduction": "none", "normalizer": "weight", "divisor": None, "empty": "nan"}
    return loss._replace(sample_weight=weight, **plain), scale


def _ones(loss: LossArguments, rows: tuple[int, ...]) -> torch.Tensor:
    return torch.ones(rows, dtype=torch.float64, device=loss.target.device)


def _normalizers(loss: LossArguments, weight: torch.Tensor) -> torch.Tensor:
    """What each member's mean is divided by, (B,)."""
    rows, target = tuple(weight.shape), loss.target
    labels = None
    if loss.indices is None and target.shape == rows and not target.dtype.is_floating_point:
        labels = target.to(torch.int64)
    if loss.normalizer == "count":
        weight = _ones(loss, rows)
    elif loss.class_weight is not None:
        weight = weight * _weight_of_target(loss, labels, rows)
    if labels is not None and loss.ignore_index is not None:
        weight = weight * (labels != loss.ignore_index)
    if loss.where is not None:
        weight = weight * loss.where.any(loss.axis)
    return weight.sum(tuple(range(1, len(rows)))) if len(rows) > 1 else weight


def _weight_of_target(
    loss: LossArguments, labels: torch.Tensor | None, rows: tuple[int, ...]
) -> torch.Tensor:
    """The class weight of each row's label, or their mean under its targets."""
    assert loss.class_weight is not None
    of_class = loss.class_weight.double()
    if labels is not None:
        return of_class[labels.clamp(0, len(of_class) - 1)]
    y = loss.target.double()
    if y.shape == rows:  # one probability a row
        return of_class[1] * y + of_class[0] * (1.0 - y)
    y = y.movedim(loss.axis, -1)
    mass = y.sum(-1)
    return torch.where(mass > 0.0, (y @ of_class) / torch.where(mass > 0.0, mass, 1.0), 1.0)
