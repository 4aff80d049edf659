"""Errors counted in units in the last place of the result's dtype."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ._reference import Truth, exact, mp


class Format(NamedTuple):
    """A binary floating-point format: bits of significand, exponents of its normal range."""

    precision: int
    smallest: int  # smallest normal number is 2**smallest
    largest: int  # finite numbers are below 2**(largest + 1)


FORMATS = {
    "float16": Format(11, -14, 15),
    "bfloat16": Format(8, -126, 127),
    "float32": Format(24, -126, 127),
    "float64": Format(53, -1022, 1023),
}


class Worst(NamedTuple):
    """The entry furthest off: its error and its limit in ulp, its place, what was due and came."""

    ulp: float
    allowed: float
    entry: tuple[int, ...]
    expected: float
    got: float


def format_of(dtype: np.dtype) -> Format:
    """The format of a floating dtype, bfloat16 included."""
    try:
        return FORMATS[np.dtype(dtype).name]
    except KeyError:
        raise TypeError(
            f"errors in ulp need a floating dtype, got {np.dtype(dtype).name}"
        ) from None


def ulp_error(got: np.ndarray, truth: Truth) -> np.ndarray:
    """|got - value| in ulp of `scale`, entry by entry, as float64.

    An infinity counts as the number after the largest finite one; a NaN or an infinity that is due
    must come exactly (error 0), and anything else in its place, or one that is not due, is inf off.
    """
    form = format_of(got.dtype)
    value, scale = np.broadcast_arrays(truth.value, truth.scale)
    if got.shape != value.shape:
        raise ValueError(f"expected an array of shape {value.shape}, got {got.shape}")
    errors = np.empty(got.shape)
    numbers = exact(got)
    with mp.workdps(30):
        for index, number in np.ndenumerate(numbers):
            errors[index] = _error(number, value[index], scale[index], form)
    return errors


def _error(got, value, scale, form: Format) -> float:
    """The error of one number."""
    if mp.isnan(value) or mp.isnan(got):
        return 0.0 if mp.isnan(value) and mp.isnan(got) else math.inf
    if mp.isinf(value):
        return 0.0 if got == value else math.inf
    limit = mp.ldexp(1, form.largest + 1)
    got, value = max(min(got, limit), -limit), max(min(value, limit), -limit)
    if got == value:
        return 0.0
    magnitude = min(max(abs(scale), abs(value)), limit / 2)
    exponent = mp.frexp(magnitude)[1] - 1 if magnitude else form.smallest
    unit = mp.ldexp(1, max(int(exponent), form.smallest) - form.precision + 1)
    return float(abs(got - value) / unit)


def worst(got: np.ndarray, truth: Truth, allowed: float | np.ndarray = math.inf) -> Worst:
    """The largest error of an array, and where it is; no error for an empty array.

    Where errors are beyond what is `allowed`, entry by entry, it is the largest among those.
    """
    errors = ulp_error(got, truth)
    if not errors.size:
        return Worst(0.0, math.nan, (), math.nan, math.nan)
    limits = np.broadcast_to(allowed, errors.shape)
    beyond = errors > limits
    counted = np.where(beyond, errors, -1.0) if beyond.any() else errors
    index = np.unravel_index(int(np.argmax(counted)), errors.shape)
    where = tuple(int(i) for i in index)
    value, came = float(truth.value[where]), float(got[where])
    return Worst(float(errors[where]), float(limits[where]), where, value, came)
