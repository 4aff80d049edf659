"""Checks of arrays, and their way to the rows (M, K) of the kernels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._typing import Array, ArrayLike, Floating
from ._scalars import as_index

__all__ = [
    "as_array",
    "as_floating",
    "as_like",
    "as_logits",
    "as_output",
    "as_rows",
    "as_vector",
    "check_same_shape",
    "compute_dtype",
    "is_plain",
    "normalized_axis",
    "refuse_undrawable",
    "row_shape",
]

_NATIVE = (np.dtype(np.float64), np.dtype(np.float32))


def compute_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype arithmetic is done in: float32 for 16-bit numbers, the dtype itself otherwise."""
    return np.dtype(np.float32) if dtype.itemsize == 2 else dtype


def as_floating(array: ArrayLike, name: str) -> Floating:
    """The array as 16-, 32- or 64-bit floats in native byte order; integers as float64."""
    if type(array) is np.ndarray and array.dtype in _NATIVE:
        return array
    result = as_array(array, name)
    dtype = result.dtype
    if dtype.kind in "biu":
        return result.astype(np.float64)
    if (dtype.kind == "f" and dtype.itemsize <= 8) or dtype.name == "bfloat16":
        return result.astype(dtype.newbyteorder("="), copy=False)
    raise TypeError(
        f"{name} must hold real numbers (float16, bfloat16, float32, float64, integers or bool), "
        f"but its dtype is {dtype}: convert it first, for example {name}.astype(float)"
    )


def as_logits(array: ArrayLike, axis: int, name: str = "logits") -> tuple[Floating, int]:
    """The floating array and its class axis as a non-negative number; K = 0 is an error."""
    logits = as_floating(array, name)
    if axis == -1 and type(axis) is int and logits.ndim:
        axis = logits.ndim - 1
    else:
        axis = normalized_axis(axis, logits.ndim, name)
    if logits.shape[axis] == 0:
        raise ValueError(
            f"{name} has shape {logits.shape}: its class axis {axis} is empty, "
            "and a softmax needs one class at least"
        )
    return logits, axis


def normalized_axis(axis: int, ndim: int, name: str) -> int:
    """The axis counted from the front."""
    if ndim == 0:
        raise ValueError(
            f"{name} is a single number: pass an array with a class axis, shape (..., K)"
        )
    index = as_index(axis, "axis")
    if not -ndim <= index < ndim:
        raise ValueError(
            f"axis is {index}, but {name} has {ndim} dimensions: "
            f"axis must be in {-ndim} ... {ndim - 1}"
        )
    return index % ndim


def as_array(array: ArrayLike, name: str) -> Array:
    """Any array_like as an array; a masked array, whose mask would be lost, is refused."""
    if type(array) is np.ndarray:
        return array
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array: pass its data, and the mask as `where`")
    if hasattr(array, "toarray"):  # a sparse matrix: NumPy would take it for one object
        raise TypeError(f"{name} is a sparse {type(array).__name__}: pass {name}.toarray()")
    try:
        return np.asarray(array)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise ValueError(
            f"{name} is no array: its rows are not all of one length; fill them up, and leave out "
            "what was filled by `where` or ignore_index"
        ) from None


def as_like(array: ArrayLike, logits: Floating, name: str, of: str = "logits") -> Floating:
    """The array in the dtype of ``logits``, of just its shape."""
    result = as_floating(array, name)
    check_same_shape(result.shape, logits.shape, name, of)
    return result if result.dtype == logits.dtype else result.astype(logits.dtype)


def check_same_shape(shape: tuple[int, ...], wanted: tuple[int, ...], name: str, of: str) -> None:
    """Shapes must be equal: nothing is broadcast in silence."""
    if shape != wanted:
        raise ValueError(f"{name} has shape {shape}, expected {wanted} for {of}")


def row_shape(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """The shape without its class axis."""
    return shape[:axis] if axis == len(shape) - 1 else shape[:axis] + shape[axis + 1 :]


def as_rows(array: Array, axis: int) -> Array:
    """The array as C-contiguous rows (M, K), a view where its memory allows."""
    if axis != array.ndim - 1:
        array = np.moveaxis(array, axis, -1)
    if array.ndim != 2:
        array = array.reshape(math.prod(array.shape[:-1]), array.shape[-1])
    return array if is_plain(array) else np.array(array, order="C")


def is_plain(array: Array) -> bool:
    flags = array.flags
    return flags.c_contiguous and flags.aligned


def as_output(
    out: Array | None, shape: tuple[int, ...], dtype: np.dtype[Any], name: str = "out"
) -> Array | None:
    """Check an array given for the result."""
    if out is None:
        return None
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise TypeError(f"{name} must be a NumPy array to write into, got {type(out).__name__}")
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(
            f"{name} has shape {out.shape} and dtype {out.dtype}, "
            f"but the result has shape {shape} and dtype {dtype}"
        )
    if not out.flags.writeable:
        raise ValueError(f"{name} is read-only: pass an array that may be written to")
    return out


def as_vector(array: Array) -> Array:
    """All entries as one C-contiguous vector, a view where the memory allows."""
    flat = array.reshape(-1)
    return flat if is_plain(flat) else flat.copy()


def refuse_undrawable(largest: Array, first_row: int) -> None:
    """Rows whose largest logit is no number have no class that could be drawn."""
    bad = ~np.isfinite(largest)
    if bad.any():
        index = int(bad.argmax())
        value = float(largest[index])
        said = "all classes are masked or at -inf" if value == -math.inf else f"it holds {value}"
        raise ValueError(
            f"row {first_row + index} of the logits has no softmax to draw from: {said}"
        )
