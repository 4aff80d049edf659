"""Two classes by one logit."""

from __future__ import annotations

import numpy as np

from ..._arguments import LossOptions
from ..._typing import Array, Floating
from ._blocks import quiet, row_blocks, wide


@quiet
def sigmoid_elements(x: Array, out: Array) -> None:
    """1 / (1 + exp(-x)), from exp(-|x|): nothing overflows and both tails keep their digits."""
    for part in row_blocks(len(x), 1):
        out[part] = _sigmoid(wide(x[part]))


def _sigmoid(x: Floating) -> Floating:
    decay = np.exp(-np.abs(x))
    return np.where(x < 0, decay, 1.0) / (1.0 + decay)


def _softplus(x: Floating) -> Floating:
    """log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|))."""
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


@quiet
def binary_cross_entropy_elements(
    logits: Array,
    target: Array,
    row_weight: Array | None,
    gradient_factor: float,
    options: LossOptions,
    loss: Array | None,
    gradient: Array | None,
) -> float:
    """E = w1 y softplus(-u) + w0 (1 - y) softplus(u), u = z / T; returns the sum of all E."""
    total = 0.0
    e = options.label_smoothing
    negative_weight, positive_weight = (
        (1.0, 1.0) if options.class_weight is None else options.class_weight
    )
    for part in row_blocks(len(logits), 1):
        weight = np.ones(1) if row_weight is None else row_weight[part]
        present = np.broadcast_to(weight != 0.0, logits[part].shape)
        u = np.where(present, wide(logits[part]), 0.0) / options.temperature
        y = np.where(present, wide(target[part]), 0.0)
        positive = positive_weight * ((1.0 - e) * y + e / 2)
        negative = negative_weight * ((1.0 - e) * (1.0 - y) + e / 2)
        losses = weight * (
            _zero_times(positive, _softplus(-u)) + _zero_times(negative, _softplus(u))
        )
        total += float(losses.sum())
        if loss is not None:
            loss[part] = losses
        if gradient is not None:
            slope = negative * _sigmoid(u) - positive * _sigmoid(-u)
            gradient[part] = gradient_factor * weight * slope / options.temperature
    return total


def _zero_times(weight: Floating, value: Floating) -> Floating:
    """weight * value, where a weight of 0 makes even an infinity 0."""
    return np.where((weight == 0.0) & np.isposinf(value), 0.0, weight * value)
