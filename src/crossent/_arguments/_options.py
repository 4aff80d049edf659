"""Checks of what bends a loss: smoothing, temperature, softcap, z-loss and weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from .._typing import Array, ArrayLike
from ._arrays import as_floating, check_same_shape
from ._scalars import as_number, as_positive

__all__ = [
    "LossOptions",
    "as_sample_weight",
    "loss_options",
]


class LossOptions(NamedTuple):
    """What bends the plain cross-entropy, checked, in the order of the mathematics.

    ``class_weight`` is float64 (K,); ``mask`` is bool, (M, K) or (K,), True where a class counts.
    """

    label_smoothing: float = 0.0
    temperature: float = 1.0
    softcap: float | None = None
    z_loss: float = 0.0
    class_weight: Array | None = None
    mask: Array | None = None


_PLAIN = LossOptions()


def loss_options(
    n_classes: int,
    *,
    class_weight: ArrayLike | None,
    label_smoothing: float,
    temperature: float,
    softcap: float | None = None,
    z_loss: float = 0.0,
) -> LossOptions:
    """Check the scalars and the class weights (the mask comes with the rows)."""
    smoothing, zeta = label_smoothing, z_loss
    if type(smoothing) is not float:
        smoothing = as_number(smoothing, "label_smoothing")
    if not 0.0 <= smoothing <= 1.0:
        raise ValueError(f"label_smoothing must be in [0, 1], got {label_smoothing!r}")
    if type(zeta) is not float:
        zeta = as_number(zeta, "z_loss")
    if not 0.0 <= zeta < math.inf:
        raise ValueError(f"z_loss must be finite and not negative, got {z_loss!r}")
    temperature = as_positive(temperature, "temperature")
    cap = None if softcap is None else as_positive(softcap, "softcap")
    weight = None if class_weight is None else _as_class_weight(class_weight, n_classes)
    if smoothing == 0.0 and temperature == 1.0 and zeta == 0.0 and cap is None and weight is None:
        return _PLAIN  # one record for all: to make another costs a small call a tenth of its time
    return LossOptions(smoothing, temperature, cap, zeta, weight)


def _as_class_weight(class_weight: ArrayLike, n_classes: int) -> Array:
    if isinstance(class_weight, (str, Mapping)):
        raise TypeError(
            f"class_weight must be an array of {n_classes} numbers, one for each class in their "
            f"order, got {class_weight!r}"
        )
    weight = as_floating(class_weight, "class_weight").astype(np.float64, copy=False)
    check_same_shape(weight.shape, (n_classes,), "class_weight", f"{n_classes} classes")
    _refuse_bad_weights(weight, "class_weight")
    return np.ascontiguousarray(weight)


def as_sample_weight(sample_weight: ArrayLike | None, shape: tuple[int, ...]) -> Array | None:
    """One non-negative finite weight a row, as float64 (M,)."""
    if sample_weight is None:
        return None
    weight = as_floating(sample_weight, "sample_weight").astype(np.float64)
    check_same_shape(weight.shape, shape, "sample_weight", "one weight a row")
    weight = weight.reshape(-1)
    _refuse_bad_weights(weight, "sample_weight")
    return weight


def _refuse_bad_weights(weight: Array, name: str) -> None:
    if weight.size and not (weight.min() >= 0.0 and weight.max() < math.inf):
        index = int((~((weight >= 0.0) & (weight < math.inf))).argmax())
        raise ValueError(
            f"{name}[{index}] is {weight[index]}: weights must be finite and not negative"
        )
