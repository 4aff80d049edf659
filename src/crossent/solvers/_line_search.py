"""How far to go along a direction, most often the whole way, for one evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .._typing import Array

__all__ = ["Point", "lower_point"]

_ENOUGH = 1e-4
_FLAT = 0.9
_TRIALS = 40


class Point(NamedTuple):
    """Parameters, and what the objective is there."""

    parameters: Array
    value: float
    gradient: Array

    @property
    def is_finite(self) -> bool:
        """Whether a value and a gradient were found."""
        return bool(np.isfinite(self.value) and np.isfinite(self.gradient).all())


def lower_point(
    evaluate: Callable[[Array], Point],
    start: Point,
    direction: Array,
    *,
    rounding: float,
    first: float = 1.0,
) -> Point | None:
    """A point on the way that meets Wolfe's conditions, or the lowest of those tried, or None.

    Parameters
    ----------
    evaluate : callable
    start : Point
    direction : float64 (P,)
        Downhill.
    rounding : float
        Relative error of a value. Where it hides the decrease, slopes decide, as in the approximate
        conditions of Hager and Zhang (2005).
    first : float
        Length that is tried first.
    """
    slope = float(start.gradient @ direction)
    noise = rounding * abs(start.value)
    low, high, length = 0.0, np.inf, first
    best: Point | None = None
    for _ in range(_TRIALS):
        step = direction if length == 1.0 else length * direction
        there = evaluate(start.parameters + step)
        found = float(there.gradient @ direction) if there.is_finite else np.nan
        lower = there.value <= start.value + _ENOUGH * length * slope
        level = there.value <= start.value + noise and found <= (2.0 * _ENOUGH - 1.0) * slope
        if not (np.isfinite(found) and (lower or level)):
            high = length
        elif found < _FLAT * slope:
            best, low = there, length
        else:
            return there
        length = _next_length(low, high, length, start.value, there.value, slope)
    return best


def _next_length(
    low: float, high: float, length: float, value: float, found: float, slope: float
) -> float:
    """Twice as far; or between the ends, where from the start a parabola has its lowest point."""
    if high == np.inf:
        return 2.0 * length
    if low > 0.0 or not np.isfinite(found):
        return 0.5 * (low + high)
    bend = 2.0 * (found - value - slope * length)
    lowest = -slope * length**2 / bend if bend > 0.0 else 0.5 * length
    return min(max(lowest, 0.1 * length), 0.5 * length)
