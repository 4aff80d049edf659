"""Exact numbers: arrays of floats as arrays of mpmath numbers, with digits to subtract in."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from mpmath import MPContext

# A context of our own: the caller's `mpmath.mp` keeps its precision.
mp: Any = MPContext()

DIGITS = 50
# Decimal digits between 1 and the smallest subnormal of each dtype, and a few more.
_TINY_DIGITS = {"float16": 12, "bfloat16": 45, "float32": 50}


class Truth(NamedTuple):
    """A true value, and the magnitude of the terms that were added up to make it.

    `scale` is what an unavoidable rounding error is proportional to: |value| where nothing cancels,
    more where the formula subtracts (as `g - <p, g>` does). Errors are counted in ulp of `scale`.
    """

    value: np.ndarray
    scale: np.ndarray


def truth(value: np.ndarray, scale: np.ndarray | None = None) -> Truth:
    """Pair a value with its scale (without one: its own magnitude)."""
    return Truth(value, np.abs(value) if scale is None else scale)


def exact(values: Any) -> np.ndarray:
    """Each number of an array as the mpmath number of the same value; mpmath numbers stay."""
    values = np.asarray(values)
    if values.dtype == object:
        return values
    distinct, where = np.unique(values.astype(np.float64), return_inverse=True)
    numbers = np.empty(distinct.shape, object)
    numbers[:] = [mp.mpf(float(number)) for number in distinct]
    return numbers[where.reshape(values.shape)]


def zeros(*shape: int) -> np.ndarray:
    """An array of exact zeros."""
    return np.full(shape, mp.zero, object)


def nans(*shape: int) -> np.ndarray:
    """An array of NaN."""
    return np.full(shape, mp.nan, object)


def each(function: Callable[[Any], Any], values: np.ndarray) -> np.ndarray:
    """`function` of each entry, computed once for each distinct value."""
    seen: dict[Any, Any] = {}
    out = np.empty(values.shape, object)
    for index, value in np.ndenumerate(values):
        if value not in seen:
            seen[value] = function(value)
        out[index] = seen[value]
    return out


def exp(values: np.ndarray) -> np.ndarray:
    """The exponential of each entry; no shift is needed, for the exponent has no bound here."""
    return each(mp.exp, values)


def total(values: np.ndarray) -> Any:
    """The sum of all entries (an exact zero of an empty array)."""
    return sum(values.ravel().tolist(), mp.zero)


def dot(left: np.ndarray, right: np.ndarray) -> Any:
    """The sum of the products, where 0 times anything that is no NaN is 0."""
    terms = (a * b for a, b in zip(left.ravel(), right.ravel(), strict=True) if a != 0 and b != 0)
    return sum(terms, mp.zero)


def settled(values: np.ndarray, terms: Any) -> np.ndarray:
    """Differences of terms of a size, with what is nothing but their last digits' rounding as 0.

    With the digits that `digits` gives, a true difference so small is 0 in every dtype.
    """
    noise = terms * mp.mpf(10) ** (10 - mp.dps)
    return np.where(np.abs(values) < noise, mp.zero, values)


def digits(*arrays: Any, factor: float = 1.0) -> int:
    """Digits in which differences of numbers like exp(factor * x) keep 50 correct ones.

    Two exponentials differ by up to the spread of `x` in magnitude, but what lies below the
    smallest subnormal of the dtype counts for nothing.
    """
    wanted = DIGITS
    for array in map(np.asarray, arrays):
        finite = np.abs(array.astype(np.float64))
        largest = factor * float(np.max(finite[np.isfinite(finite)], initial=0.0))
        tiny = _TINY_DIGITS.get(array.dtype.name, 340)
        spread = min(2 * largest / math.log(10), tiny)
        wanted = max(wanted, DIGITS + int(spread + math.log10(largest + 1)))
    return wanted


def fate(row: np.ndarray) -> Any:
    """What logsumexp is decided to be for a row no formula covers; None for an ordinary row.

    NaN for a NaN, +inf for a +inf, -inf where every logit is -inf (or no class is left).
    """
    if any(mp.isnan(number) for number in row):
        return mp.nan
    if any(number == mp.inf for number in row):
        return mp.inf
    return -mp.inf if all(number == -mp.inf for number in row) else None
