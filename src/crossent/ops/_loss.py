"""What every cross-entropy shares: which rows count, by how much, and how they are reduced."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

import numpy as np

from .. import _kernels
from .._arguments import (
    LossOptions,
    Target,
    TopKRows,
    TopKTargets,
    as_binary_target,
    as_class_mask,
    as_normalizer,
    as_sample_weight,
    check_choice,
    empty_mean,
    loss_options,
    refuse_mass_on_masked_classes,
    refuse_probability,
    row_shape,
)
from .._typing import Array, ArrayLike
from ._truth import check_labels, checked_target

__all__ = [
    "LossKeywords",
    "LossRows",
    "Reduction",
    "loss_normalizer",
    "plan_binary_loss",
    "plan_loss",
    "plan_plain_binary_loss",
    "plan_plain_loss",
]

_ROUNDS_TO_INFINITY = 2.0**128 - 2.0**103  # in float32

_PLAIN = LossOptions()

_LEAST_DIVISOR = 2.0**-1022  # one over anything less may be infinite


class LossKeywords(TypedDict, total=False):
    """The options of :func:`crossent.cross_entropy`, taken by each of its derivatives too."""

    class_weight: ArrayLike | None
    sample_weight: ArrayLike | None
    ignore_index: int | None
    label_smoothing: float
    temperature: float
    softcap: float | None
    z_loss: float
    where: ArrayLike | None
    reduction: str
    normalizer: str | float
    empty: str


@dataclass(slots=True)
class Reduction:
    """How the losses of the rows become what is returned."""

    kind: str  # "none", "sum" or "mean"
    normalizer: float  # what a mean is divided by
    empty: float | None  # what a mean over nothing is (nan or 0), None where there is something
    dtype: np.dtype[Any]  # of the logits
    shape: tuple[int, ...]  # of the rows

    @property
    def gradient_factor(self) -> float:
        """What the gradient of a row's loss is multiplied by."""
        return 1.0 if self.kind != "mean" or self.empty is not None else 1.0 / self.normalizer

    def memory(self) -> Array | None:
        """Room for one float64 loss a row, where each is returned."""
        return np.empty(math.prod(self.shape)) if self.kind == "none" else None

    def of_losses(self, losses: Array | None, total: float) -> Any:
        """Reduce losses (M,) or, where there is no room for these, their sum."""
        return self.of_sum(total) if losses is None else self.of_rows(losses)

    def of_rows(self, losses: Array) -> Any:
        """Losses of the rows (M,), as they are returned unreduced: in the logits' dtype."""
        with np.errstate(over="ignore"):
            return losses.astype(self.dtype).reshape(self.shape)[()]

    def of_sum(self, total: float) -> Any:
        """Reduce the sum of all rows' losses to a scalar (float32 for 16-bit logits)."""
        if self.kind == "mean":
            total = self.empty if self.empty is not None else total / self.normalizer
        if self.dtype.itemsize == 8:
            return np.float64(total)
        if abs(total) >= _ROUNDS_TO_INFINITY:  # NumPy would warn
            total = math.copysign(math.inf, total)
        return np.float32(total)

    def of_gradient(self, gradient: Array) -> None:
        """Give an empty mean's gradient the value of its loss, in place."""
        if self.empty is not None:
            gradient[...] = self.empty


@dataclass(slots=True)
class LossRows:
    """One loss over rows, checked: everything but the logits themselves."""

    target: Any  # labels int64 (M,) or targets (M, K); TopKRows in the place of targets
    row_weight: Array | None  # float64 (M,), 0 where a row is absent; None: all 1
    options: LossOptions
    reduction: Reduction


def plan_loss(
    shape: tuple[int, ...],
    axis: int,
    dtype: np.dtype[Any],
    target: ArrayLike | TopKTargets,
    *,
    class_weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    temperature: float = 1.0,
    softcap: float | None = None,
    z_loss: float = 0.0,
    where: ArrayLike | None = None,
    reduction: str = "mean",
    normalizer: str | float = "weight",
    empty: str = "nan",
) -> LossRows:
    """Check all arguments of a loss of logits of this shape, before anything is computed."""
    normalizer = _checked_reduction(reduction, normalizer, empty)
    options = loss_options(
        shape[axis],
        class_weight=class_weight,
        label_smoothing=label_smoothing,
        temperature=temperature,
        softcap=softcap,
        z_loss=z_loss,
    )
    rows = row_shape(shape, axis)
    truth = checked_target(target, shape, axis, dtype, ignore_index)
    weight = as_sample_weight(sample_weight, rows)
    absent = truth.ignored
    if where is not None:
        mask = as_class_mask(where, shape, axis)
        if mask is not None:
            options = options._replace(mask=mask)
            without_class = np.broadcast_to(~mask.any(axis=-1), (math.prod(rows),))
            absent = without_class if absent is None else absent | without_class
            unseen = absent if weight is None else absent | (weight == 0.0)
            refuse_mass_on_masked_classes(truth, mask, unseen)
    weight, n_present = _with_absent(weight, absent, math.prod(rows))
    if isinstance(truth.values, TopKRows):
        truth.values = truth.values.spread(options.mask, weight)
    of_target = None
    if options.class_weight is not None:
        of_target = _weight_of_target(truth, options.class_weight)
    divisor = 1.0 if reduction != "mean" else _divisor(normalizer, weight, n_present, of_target)
    reduced = Reduction(reduction, divisor, empty_mean(empty, divisor), dtype, rows)
    return LossRows(truth.values, weight, options, reduced)


def plan_plain_loss(
    shape: tuple[int, ...], axis: int, dtype: np.dtype[Any], target: ArrayLike | TopKTargets
) -> LossRows:
    """The plan without options, of which none can be wrong: a small call is mostly its plan."""
    values = checked_target(target, shape, axis, dtype, None).values
    if isinstance(values, TopKRows):
        values = values.spread(None, None)
    return _plain(values, dtype, row_shape(shape, axis))


def _plain(values: Any, dtype: np.dtype[Any], rows: tuple[int, ...]) -> LossRows:
    """The mean over rows, without options."""
    n_rows = float(math.prod(rows))
    reduction = Reduction("mean", n_rows, None if n_rows else math.nan, dtype, rows)
    return LossRows(values, None, _PLAIN, reduction)


def loss_normalizer(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    target: ArrayLike,
    *,
    axis: int = -1,
    **options: Unpack[LossKeywords],
) -> float:
    """What the mean of a loss of logits of this shape is divided by; 0 where it is empty."""
    plan = plan_loss(shape, axis % len(shape), dtype, target, **options)
    return 0.0 if plan.reduction.empty is not None else plan.reduction.normalizer


def plan_binary_loss(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    target: ArrayLike | TopKTargets,
    *,
    class_weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    temperature: float = 1.0,
    reduction: str = "mean",
    normalizer: str | float = "weight",
    empty: str = "nan",
) -> LossRows:
    """Check all arguments of a loss of one logit a row; targets are probabilities of class 1."""
    normalizer = _checked_reduction(reduction, normalizer, empty)
    options = loss_options(
        2, class_weight=class_weight, label_smoothing=label_smoothing, temperature=temperature
    )
    truth = _binary_truth(target, shape, dtype, ignore_index)
    weight = as_sample_weight(sample_weight, shape)
    weight, n_present = _with_absent(weight, truth.ignored, len(truth.values))
    of_target = None
    if options.class_weight is not None:
        negative, positive = options.class_weight
        of_target = positive * truth.values + negative * (1.0 - truth.values)
    divisor = 1.0 if reduction != "mean" else _divisor(normalizer, weight, n_present, of_target)
    reduced = Reduction(reduction, divisor, empty_mean(empty, divisor), dtype, shape)
    return LossRows(truth.values, weight, options, reduced)


def plan_plain_binary_loss(
    shape: tuple[int, ...], dtype: np.dtype[Any], target: ArrayLike | TopKTargets
) -> LossRows:
    """The same without options."""
    return _plain(_binary_truth(target, shape, dtype, None).values, dtype, shape)


def _binary_truth(
    target: ArrayLike | TopKTargets,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    ignore_index: int | None,
) -> Target:
    """Labels 0 and 1 or probabilities of class 1, all of them in range."""
    truth = as_binary_target(target, shape, dtype, ignore_index)
    if truth.values.dtype.kind == "i":
        check_labels(truth.values, target, 2)
    elif (bad := _kernels.first_outside(truth.values, 1.0)) >= 0:
        refuse_probability(truth.values, bad)
    return truth


def _checked_reduction(reduction: str, normalizer: str | float, empty: str) -> str | float:
    """The normalizer, all three words being known ones."""
    if (reduction, normalizer, empty) == ("mean", "weight", "nan"):
        return normalizer
    check_choice(reduction, ("none", "sum", "mean"), "reduction")
    check_choice(empty, ("nan", "zero", "raise"), "empty")
    return as_normalizer(normalizer)


def _with_absent(
    weight: Array | None, absent: Array | None, n_rows: int
) -> tuple[Array | None, int]:
    """The row weights with 0 for absent rows, and the number of rows that are not absent."""
    if absent is None or not absent.any():
        return weight, n_rows
    weight = np.where(absent, 0.0, 1.0 if weight is None else weight)
    return weight, int(np.count_nonzero(~absent))


def _weight_of_target(truth: Target, class_weight: Array) -> Array:
    """o_i: the class weight of a label, or its mean under the targets (1 for a row of zeros)."""
    values = truth.values
    if isinstance(values, TopKRows):
        mass, weighted = values.mass(), values.weighted(class_weight)
    elif values.ndim == 1:
        return class_weight[values]
    else:
        mass = values.sum(axis=1, dtype=np.float64)
        weighted = np.einsum("ik,k->i", values, class_weight)
    return np.where(mass > 0.0, weighted / np.where(mass > 0.0, mass, 1.0), 1.0)


def _divisor(
    normalizer: str | float, weight: Array | None, n_present: int, of_target: Array | None
) -> float:
    """What a mean is divided by: "weight" sums the weights in use, "count" counts the rows."""
    if not isinstance(normalizer, str):
        return normalizer
    divisor = float(n_present)
    if normalizer == "weight":
        if weight is not None:
            with np.errstate(over="ignore"):
                divisor = float(weight.sum() if of_target is None else weight @ of_target)
        elif of_target is not None:
            divisor = float(of_target.sum())
    if divisor and not _LEAST_DIVISOR <= divisor < math.inf:
        raise ValueError(
            f"the weights in use sum to {divisor}, which a mean cannot be divided by: scale "
            'sample_weight and class_weight nearer to 1, or use reduction="sum"'
        )
    return divisor
