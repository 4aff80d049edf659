"""Labels or targets of logits, with every one of them in range."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _kernels
from .._arguments import Target, TopKRows, TopKTargets, as_target, refuse_label, refuse_targets
from .._typing import Array, ArrayLike

__all__ = ["check_labels", "check_targets", "checked_target"]

_LARGEST = {size: float(np.finfo(f"f{size}").max) for size in (4, 8)}


def checked_target(
    target: ArrayLike | TopKTargets,
    shape: tuple[int, ...],
    axis: int,
    dtype: np.dtype[Any],
    ignore_index: int | None,
) -> Target:
    """Labels or targets of logits of this shape, all of them in range."""
    truth = as_target(target, shape, axis, dtype, ignore_index)
    values = truth.values
    if values.ndim == 1:
        check_labels(values, target, shape[axis])
    elif not isinstance(values, TopKRows):
        check_targets(values, dtype)
    return truth


def check_targets(targets: Array, dtype: np.dtype[Any]) -> None:
    """Targets (M, K) are not negative and finite in the dtype that logits are computed in."""
    largest = _LARGEST[8 if dtype.itemsize == targets.dtype.itemsize == 8 else 4]
    if targets.dtype.kind in "biu":  # whole numbers fit
        bad = -1 if targets.size == 0 or targets.min() >= 0 else int((targets < 0).argmax())
    else:
        bad = _kernels.first_outside(targets, largest)
    if bad >= 0:
        refuse_targets(targets, bad, dtype)


def check_labels(labels: Array, target: Any, n_classes: int) -> None:
    """Every label in 0 ... K-1; the error shows ``target``, as it was given."""
    bad = _kernels.first_bad_label(labels, n_classes)
    if bad >= 0:
        refuse_label(target, bad, n_classes)
