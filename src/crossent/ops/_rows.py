"""From an array of any shape to the kernels' rows (M, K) or columns (outer, K, inner), and back."""

from __future__ import annotations

import math

import numpy as np

from .._arguments import as_class_mask, as_output, as_rows, is_plain
from .._typing import Array, ArrayLike, Floating

__all__ = [
    "deliver",
    "destination",
    "layouts",
    "masked_rows",
    "row_values",
    "rows_or_columns",
    "scalar_or_array",
]

_MOST_CLASSES_IN_COLUMNS = 32768
"""What the compiled kernels take: a tile of longer columns would leave the cache."""


_MOST_CLASSES_BACK = 2048
"""The same of the backward passes."""


def rows_or_columns(logits: Floating, axis: int) -> Floating:
    """A view (outer, K, inner) where the class axis is not the last of plain memory, else rows."""
    shape = logits.shape
    if axis == len(shape) - 1 or shape[axis] > _MOST_CLASSES_IN_COLUMNS:
        return as_rows(logits, axis)
    return _columns(logits, axis) if is_plain(logits) else as_rows(logits, axis)


def layouts(axis: int, *arrays: Floating) -> tuple[Floating, ...]:
    """Arrays of one shape for a backward pass: all of them columns, or all of them rows."""
    shape = arrays[0].shape
    last = axis == len(shape) - 1
    if last or shape[axis] > _MOST_CLASSES_BACK or not all(map(is_plain, arrays)):
        return tuple(as_rows(array, axis) for array in arrays)
    return tuple(_columns(array, axis) for array in arrays)


def _columns(array: Floating, axis: int) -> Floating:
    shape = array.shape
    return array.reshape(math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]))


def masked_rows(
    logits: Floating, axis: int, where: ArrayLike | None
) -> tuple[Floating, Array | None]:
    """Rows with -inf where a class is masked, and which rows have no class left.

    Without a mask: rows or columns of the logits as they are, and None.
    """
    mask = None if where is None else as_class_mask(where, logits.shape, axis)
    if mask is None:
        return rows_or_columns(logits, axis), None
    rows = as_rows(logits, axis)
    empty = np.broadcast_to(~mask.any(axis=-1), (len(rows),))
    return np.where(mask, rows, rows.dtype.type(-np.inf)), empty


def destination(
    out: Array | None, like: Floating, axis: int, rows: Array, *others: Array
) -> Floating:
    """Rows or columns for a kernel to write: memory of ``out`` where that is safe, else new.

    A kernel may write over ``rows``, its first argument, but over nothing else that it reads.
    """
    if out is None:
        return np.empty(rows.shape, like.dtype)
    if out is not like or not out.flags.writeable:  # nothing else is to be checked in place
        as_output(out, like.shape, like.dtype)
    in_order = axis == like.ndim - 1 or rows.ndim == 3
    if out is rows or (in_order and is_plain(out)):
        result = out if out.ndim == rows.ndim == 2 else out.reshape(rows.shape)
        if _may_write(result, rows):
            for other in others:
                if not _apart(result, other):
                    break
            else:
                return result
    return np.empty(rows.shape, like.dtype)


def row_values(out: Array | None, shape: tuple[int, ...], rows: Floating) -> Floating:
    """One value a row for a kernel to write: memory of ``out`` where that is safe, else new."""
    if out is not None:
        as_output(out, shape, rows.dtype)
        if is_plain(out) and _apart(out, rows):
            return out.reshape(-1)
    return np.empty(math.prod(shape), rows.dtype)


def _may_write(result: Array, rows: Array) -> bool:
    """Whether the result is the rows themselves, or shares nothing with them."""
    if result is rows or _apart(result, rows):
        return True
    return result.__array_interface__["data"][0] == rows.__array_interface__["data"][0]


def _apart(one: Array, other: Array) -> bool:
    """Whether two arrays share no memory; two that own theirs cannot, which is quickly seen."""
    if one is not other and one.flags.owndata and other.flags.owndata:
        return True
    return not np.may_share_memory(one, other)


def deliver(result: Floating, out: Array | None, shape: tuple[int, ...], axis: int) -> Floating:
    """What a kernel has written, in the caller's shape and, where given, in ``out``."""
    if axis == len(shape) - 1 or result.ndim == 3:
        if out is None:
            return result if result.shape == shape else result.reshape(shape)
        if result is not out and _apart(result, out):
            out[...] = result.reshape(shape)
        return out
    if out is None:
        out = np.empty(shape, result.dtype)
    moved = np.moveaxis(out, axis, -1)
    moved[...] = result.reshape(moved.shape)
    return out


def scalar_or_array(values: Floating, shape: tuple[int, ...], out: Array | None = None) -> Floating:
    """One value a row in the caller's shape: a NumPy scalar where that shape is ()."""
    if out is None:
        return values.reshape(shape)[()]
    as_output(out, shape, values.dtype)
    if np.may_share_memory(values, out):
        return out
    out[...] = values.reshape(shape)
    return out
