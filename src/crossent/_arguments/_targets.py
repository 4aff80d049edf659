"""Checks of the truth a row is compared with, and of the classes it may belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from .._typing import Array, ArrayLike
from ._arrays import (
    as_array,
    as_floating,
    as_rows,
    as_vector,
    check_same_shape,
    compute_dtype,
    is_plain,
    row_shape,
)
from ._scalars import as_index
from ._top_k import TopKRows, TopKTargets, as_top_k

__all__ = [
    "Target",
    "as_binary_target",
    "as_class_mask",
    "as_target",
    "refuse_label",
    "refuse_mass_on_masked_classes",
    "refuse_probability",
    "refuse_targets",
    "target_row_bytes",
    "target_rows",
]

_BLOCK_ELEMENTS = 1 << 16
_LABELS = np.dtype(np.int64)


def as_class_mask(
    where: ArrayLike | None, shape: tuple[int, ...], axis: int, *, name: str = "where"
) -> Array | None:
    """``where`` broadcast to the logits, as bool rows (M, K), or (K,) for all rows alike."""
    if where is None or where is True:
        return None
    mask = np.asarray(where)
    if mask.dtype != np.bool_:
        raise TypeError(f"{name} must be an array of bool (True keeps a class), got {mask.dtype}")
    if axis == len(shape) - 1 and mask.ndim and mask.size == mask.shape[-1] == shape[-1]:
        return np.ascontiguousarray(mask.reshape(-1))
    try:
        mask = np.broadcast_to(mask, shape)
    except ValueError:
        raise ValueError(
            f"{name} has shape {mask.shape}, which does not broadcast to the logits' {shape}"
        ) from None
    return as_rows(mask, axis)


@dataclass(slots=True)
class Target:
    """Labels int64 (M,) or targets (M, K) of any float, and which rows are ignored (None: none)."""

    values: Any  # an array, or TopKRows in the place of targets
    ignored: Array | None


def target_rows(
    values: Array | TopKRows,
    rows: slice | Array,
    dtype: np.dtype[Any],
    classes: slice = slice(None),
) -> Array:
    """Some rows of labels as they are, or of targets in the dtype that logits are computed in.

    Targets may be those of some classes; labels are counted from class 0 always.
    """
    if isinstance(values, TopKRows):
        return values.dense(rows, compute_dtype(dtype), classes)
    if values.ndim == 1:
        return values[rows]
    return values[rows, classes].astype(compute_dtype(dtype), copy=False)


def target_row_bytes(values: Array | TopKRows, dtype: np.dtype[Any]) -> int:
    """How much memory :func:`target_rows` takes for each row."""
    wide = compute_dtype(dtype)
    if isinstance(values, TopKRows):
        m, mask = values.indices.shape[1], values.mask
        of_mask = 0 if mask is None or mask.ndim == 1 else mask.itemsize
        listed = m * (wide.itemsize + 2 * values.indices.itemsize)
        return values.n_classes * (wide.itemsize + of_mask) + listed
    return 0 if values.ndim == 1 or values.dtype == wide else values.shape[1] * wide.itemsize


def as_target(
    target: ArrayLike | TopKTargets,
    shape: tuple[int, ...],
    axis: int,
    dtype: np.dtype[Any],
    ignore_index: int | None = None,
) -> Target:
    """Tell labels from targets by shape; the range of both is checked by a kernel."""
    if isinstance(target, TopKTargets):
        _refuse_ignore_index(ignore_index)
        rows = row_shape(shape, axis)
        return Target(as_top_k(target, rows, shape[axis], compute_dtype(dtype)), None)
    array = as_array(target, "target")
    found = array.shape
    if found == shape:
        _refuse_ignore_index(ignore_index)
        if array.dtype.kind not in "biu":  # whole numbers become floats block by block
            array = as_floating(array, "target")
        return Target(as_rows(array, axis), None)
    labels_shape = row_shape(shape, axis)
    if found != labels_shape:
        raise ValueError(
            f"target has shape {found}, but logits of shape {shape} with class axis {axis} "
            f"ask for labels of shape {labels_shape} or targets of shape {shape}"
        )
    return _as_labels(array, ignore_index)


def _refuse_ignore_index(ignore_index: int | None) -> None:
    if ignore_index is not None:
        raise ValueError(
            "ignore_index belongs to integer labels; for probability targets give the row "
            "a sample_weight of 0"
        )


def _as_labels(array: Array, ignore_index: int | None) -> Target:
    is_int64 = array.dtype == _LABELS
    if not is_int64 and array.dtype.kind not in "biu" and array.size:
        names = ", or for names numpy.unique(labels, return_inverse=True)[1]"
        raise TypeError(
            f"labels must be integers, but their dtype is {array.dtype}: pass labels.astype(int)"
            f"{names if array.dtype.kind in 'OSU' else ''}, "
            "or targets of the logits' shape if they are probabilities"
        )
    ignored = None
    if ignore_index is not None:
        mask = array == as_index(ignore_index, "ignore_index")
        if mask.any():
            ignored = mask.reshape(-1)
            array = np.where(mask, array.dtype.type(0), array)
    if array.ndim != 1:
        array = array.reshape(-1)
    if not is_int64:
        array = array.astype(_LABELS)
    return Target(array if is_plain(array) else array.copy(), ignored)


def refuse_label(target: ArrayLike | TopKTargets, index: int, n_classes: int) -> NoReturn:
    """Say which label is out of range."""
    array = np.asarray(target)
    where = ", ".join(str(int(i)) for i in np.unravel_index(index, array.shape))
    value = array.reshape(-1)[index]
    hint = " (to leave rows out, name their label as ignore_index)" if value < 0 else ""
    raise ValueError(
        f"labels[{where}] is {value}, but there are {n_classes} classes "
        f"(0 ... {n_classes - 1}){hint}"
    )


def refuse_targets(targets: Array, index: int, dtype: np.dtype[Any]) -> NoReturn:
    """Say which of the targets (M, K), counted through the rows, is out of range."""
    row, column = divmod(index, targets.shape[1])
    raise ValueError(
        f"targets of row {row} hold {targets[row, column]} for class {column}: they must be "
        f"finite and not negative in {compute_dtype(dtype)}"
    )


def refuse_probability(values: Array, index: int) -> NoReturn:
    """Say which probability of class 1 is out of range."""
    raise ValueError(
        f"target[{index}] is {values[index]}: the probability of class 1 must be in [0, 1]"
    )


def as_binary_target(
    target: ArrayLike | TopKTargets,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    ignore_index: int | None = None,
) -> Target:
    """Labels or probabilities of class 1, one a row, (M,); a kernel checks the range of both."""
    if isinstance(target, TopKTargets):
        raise TypeError("target is a TopKTargets, which has classes: one logit a row has none")
    array = as_array(target, "target")
    check_same_shape(array.shape, shape, "target", "the logits, one label or probability each")
    if array.dtype.kind in "biu":
        return _as_labels(array, ignore_index)
    _refuse_ignore_index(ignore_index)
    values = as_vector(as_floating(array, "target")).astype(compute_dtype(dtype), copy=False)
    return Target(values, None)


def refuse_mass_on_masked_classes(truth: Target, mask: Array, absent: Array) -> None:
    """A label, or target mass, on a class that is masked is an error, except in absent rows."""
    values = truth.values
    if isinstance(values, TopKRows):
        wrong = values.outside(mask) & ~absent
    elif values.ndim == 1:
        kept = mask[values] if mask.ndim == 1 else mask[np.arange(len(values)), values]
        wrong = ~kept & ~absent
    else:
        wrong = _has_mass(values, ~mask) & ~absent
    if not wrong.any():
        return
    row = int(wrong.argmax())
    if values.ndim == 1:
        raise ValueError(
            f"labels[{row}] is {values[row]}, a class that `where` masks in that row: "
            "unmask it, or leave the row out by ignore_index"
        )
    raise ValueError(
        f"targets of row {row} have mass on a class that `where` masks in that row: "
        "unmask the class or set its target to 0"
    )


def _has_mass(targets: Array, classes: Array) -> Array:
    """Whether a row of targets is positive on some of the classes, bool (M,)."""
    found = np.zeros(len(targets), bool)
    step = max(1, _BLOCK_ELEMENTS // targets.shape[1])
    for start in range(0, len(targets), step):
        rows = slice(start, start + step)
        chosen = classes if classes.ndim == 1 else classes[rows]
        found[rows] = ((targets[rows] > 0) & chosen).any(axis=1)
    return found
