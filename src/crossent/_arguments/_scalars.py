"""Checks of numbers and words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = [
    "as_normalizer",
    "as_number",
    "as_positive",
    "as_thread_count",
    "check_choice",
]


def as_number(value: Any, name: str) -> float:
    """A real number as a float."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, got {value!r}") from None


def as_positive(value: Any, name: str) -> float:
    """A positive finite number as a float."""
    number = as_number(value, name)
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
    try:
        count = n.__index__()
    except AttributeError:
        raise TypeError(f"the number of threads must be an integer, got {n!r}") from None
    if count < 1:
        raise ValueError(f"the number of threads must be at least 1, got {count}")
    return count
