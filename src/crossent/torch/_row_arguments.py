"""The arguments of a loss of rows, checked by the checks of the functions on arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .._arguments import (
    Target,
    TopKRows,
    as_class_mask,
    as_normalizer,
    as_sample_weight,
    as_target,
    check_choice,
    loss_options,
    refuse_label,
)
from .._typing import Array
from ..ops._truth import check_targets
from ._loss import LossArguments, truth_of
from ._ranks import OneRank
from ._row_blocks import RowSource
from ._rows import FewTargets, RowLoss
from ._tensors import array_of, tensor_of

__all__ = ["row_loss_of"]


def row_loss_of(source: RowSource, loss: LossArguments, ranks: OneRank) -> RowLoss:
    """Check everything but the logits; labels and the classes of top-k targets are of all ranks."""
    check_choice(loss.reduction, ("none", "sum", "mean"), "reduction")
    check_choice(loss.empty, ("nan", "zero", "raise"), "empty")
    as_normalizer(loss.normalizer if loss.divisor is None else loss.divisor)
    shape = tuple(source.logits_like.shape)
    axis = loss.axis % len(shape)
    device, rows = loss.target.device, (*shape[:axis], *shape[axis + 1 :])
    wide = torch.float64 if source.logits_like.dtype == torch.float64 else torch.float32
    options = loss_options(
        shape[axis],
        class_weight=_on_host(loss.class_weight),
        label_smoothing=loss.label_smoothing,
        temperature=loss.temperature,
        softcap=loss.softcap,
        z_loss=loss.z_loss,
    )
    dtype = np.dtype(np.float64 if wide == torch.float64 else np.float32)
    truth = _truth(loss, shape, axis, dtype, ranks)
    weight = torch.ones(source.n_rows, dtype=torch.float64, device=device)
    given = as_sample_weight(_on_host(loss.sample_weight), rows)
    if given is not None:
        weight = torch.from_numpy(given.copy()).to(device)
    if truth.ignored is not None:
        weight = weight.masked_fill(torch.from_numpy(truth.ignored).to(device), 0.0)
    mask = as_class_mask(_on_host(loss.where), shape, axis)
    mask = None if mask is None else torch.from_numpy(mask.copy()).to(device)
    of_class = options.class_weight
    of_class = None if of_class is None else torch.from_numpy(of_class).to(device, wide)
    owner = None
    if isinstance(truth.values, TopKRows):
        values = _few_targets(truth.values, weight, mask, ranks)
    else:
        values = tensor_of(truth.values).to(device)
        if values.ndim == 1:
            values = values - ranks.offset
            owner = (values >= 0) & (values < shape[axis])
            values = values.clamp(0, shape[axis] - 1)
    return RowLoss(owner, values, weight, of_class, mask, loss)


def _on_host(tensor: torch.Tensor | None) -> Array | None:
    return None if tensor is None else array_of(tensor.cpu())


def _truth(
    loss: LossArguments, shape: tuple[int, ...], axis: int, dtype: np.dtype[Any], ranks: OneRank
) -> Target:
    """Labels, targets or top-k targets, all of them in range."""
    indices = None if loss.indices is None else loss.indices.cpu()
    target = truth_of(loss.target.cpu(), indices, loss.tail)
    if indices is not None:
        shape = (*shape[:axis], ranks.n_classes, *shape[axis + 1 :])
    truth = as_target(target, shape, axis, dtype, loss.ignore_index)
    if truth.values.ndim == 1:
        bad = (truth.values < 0) | (truth.values >= ranks.n_classes)
        if bad.any():
            refuse_label(target, int(bad.argmax()), ranks.n_classes)
    elif indices is None:
        check_targets(truth.values, dtype)
    return truth


def _few_targets(
    given: TopKRows, weight: torch.Tensor, mask: torch.Tensor | None, ranks: OneRank
) -> FewTargets:
    """Those of this rank's classes; where ``where`` counts one more collective finds the shares."""
    indices = torch.from_numpy(given.indices).to(weight.device) - ranks.offset
    probabilities = tensor_of(given.probabilities).to(weight.device)
    share = torch.zeros_like(weight)
    if given.tail is not None:
        others, present = _others(indices, weight, mask, ranks)
        share = given.shared(others.cpu().numpy(), (weight * present).cpu().numpy()).share
        share = torch.from_numpy(share).to(weight.device)
    return FewTargets(indices, probabilities, share)


def _others(
    indices: torch.Tensor, weight: torch.Tensor, mask: torch.Tensor | None, ranks: OneRank
) -> tuple[torch.Tensor, torch.Tensor]:
    """How many classes of each row are there and not listed, and whether any is there."""
    n_rows, m = indices.shape
    if mask is None:
        return weight.new_full((n_rows,), ranks.n_classes - m), torch.ones_like(weight)
    n_classes = mask.shape[-1]
    here = (indices >= 0) & (indices < n_classes)
    each = mask if mask.ndim == 2 else mask.expand(n_rows, n_classes)
    listed = each.gather(1, indices.clamp(0, n_classes - 1)) & here
    all_here = each.sum(dim=1, dtype=torch.float64)
    counts = torch.stack([all_here, all_here - listed.sum(dim=1, dtype=torch.float64)])
    there, others = ranks.total(counts)
    return others, (there > 0.0).to(weight.dtype)
