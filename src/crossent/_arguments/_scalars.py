"""Checks of numbers and words."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = [
    "as_count",
    "as_index",
    "as_normalizer",
    "as_number",
    "as_positive",
    "as_rng",
    "as_size",
    "as_thread_count",
    "check_choice",
    "empty_mean",
]

_MOST_THREADS = 1024


def as_number(value: Any, name: str) -> float:
    """A real number as a float."""
    if type(value) is float:
        return value
    if isinstance(value, (bool, np.bool_, str, bytes)) or np.ndim(value) > 0:
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, got {value!r}") from None


def as_index(value: Any, name: str) -> int:
    """An integer of any integer type."""
    if not isinstance(value, (bool, np.bool_)):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise TypeError(f"{name} must be one integer, got {value!r}")


def as_count(value: Any, most: int, name: str) -> int:
    """An integer in 0 ... most."""
    count = as_index(value, name)
    if not 0 <= count <= most:
        raise ValueError(f"{name} must be in 0 ... {most}, got {count}")
    return count


def as_positive(value: Any, name: str) -> float:
    """A positive finite number as a float."""
    number = value if type(value) is float else as_number(value, name)
    if not (0.0 < number < math.inf):
        raise ValueError(f"{name} must be positive and finite, got {value!r}")
    return number


def check_choice(value: object, choices: tuple[str, ...], name: str) -> None:
    """One of a few words."""
    if value not in choices:
        words = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {words}, got {value!r}")


def as_normalizer(normalizer: str | float) -> str | float:
    """What a mean divides by: "weight", "count", or a positive number."""
    if isinstance(normalizer, str):
        check_choice(normalizer, ("weight", "count"), "normalizer")
        return normalizer
    return as_positive(normalizer, "normalizer")


def as_thread_count(n: int) -> int:
    """A positive number of threads."""
    count = as_index(n, "the number of threads")
    if not 1 <= count <= _MOST_THREADS:
        raise ValueError(f"the number of threads must be in 1 ... {_MOST_THREADS}, got {count}")
    return count


def as_size(size: int | Sequence[int] | None) -> tuple[int, ...]:
    """The axes of repeated draws: a number or a tuple of them; None is no axis."""
    if size is None:
        return ()
    given = size if isinstance(size, (tuple, list)) else (size,)
    axes = tuple(as_index(n, "each of size") for n in given)
    if any(n < 0 for n in axes):
        raise ValueError(f"size must not be negative, got {size!r}")
    return axes


def as_rng(rng: Any) -> np.random.Generator:
    """A generator, or a new one from a seed; None makes one that is different each time."""
    if isinstance(rng, np.random.Generator):
        return rng
    try:
        seed = None if rng is None else as_index(rng, "rng")
    except TypeError:
        raise TypeError(
            f"rng must be a numpy.random.Generator, an integer as its seed, or None, got {rng!r}"
        ) from None
    if seed is not None and seed < 0:
        raise ValueError(f"rng is the seed {seed}, but a seed must not be negative")
    return np.random.default_rng(seed)


def empty_mean(empty: str, divisor: float) -> float | None:
    """The value of a mean over nothing; None where there is something to divide by."""
    if divisor > 0.0:
        return None
    if empty == "raise":
        raise ValueError(
            "the mean is over no rows: all are ignored, masked or of zero weight, or there are "
            'none; pass empty="zero" or empty="nan" to get a value, or reduction="sum"'
        )
    return math.nan if empty == "nan" else 0.0
