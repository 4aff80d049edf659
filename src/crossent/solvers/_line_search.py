"""How far to go along a direction, most often the whole way, for one evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .._typing import Array
from .._vectors import combined, dot

__all__ = ["Point", "Step", "lower_point"]

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


class Step(NamedTuple):
    """From one point to another; ``curvature`` is that of the step with the gradient's change."""

    start: Point
    end: Point
    curvature: float


def lower_point(
    evaluate: Callable[[Array], Point], start: Point, direction: Array, *, rounding: float
) -> Step | None:
    """The step to a point that meets Wolfe's conditions, or the lowest of those tried, or None.

    Parameters
    ----------
    evaluate : callable
    start : Point
    direction : float64 (P,)
        A direction that does not lead down has no such point.
    rounding : float
        Relative error of a value. Where it hides the decrease, slopes decide, as in the approximate
        conditions of Hager and Zhang (2005).
    """
    slope = dot(start.gradient, direction)
    if not slope < 0.0:
        return None
    noise = rounding * abs(start.value)
    low, high, length = 0.0, np.inf, _first_length(start.value, slope)
    best: Step | None = None
    for _ in range(_TRIALS):
        there = evaluate(combined(1.0, start.parameters, np.array([length]), direction[None])[0])
        found = dot(there.gradient, direction)  # no number where one of the gradient is none
        step = Step(start, there, length * (found - slope))
        lower = there.value <= start.value + _ENOUGH * length * slope
        level = there.value <= start.value + noise and found <= (2.0 * _ENOUGH - 1.0) * slope
        if not (np.isfinite(there.value) and np.isfinite(found) and (lower or level)):
            high = length
        elif found < _FLAT * slope:
            best, low = step, length
        else:
            return step
        length = _next_length(low, high, length, start.value, there.value, slope)
    return best


def _first_length(value: float, slope: float) -> float:
    """The whole way; less where a parabola lowest there would be below 0, as no loss is."""
    return min(1.0, 2.0 * value / -slope) if value > 0.0 else 1.0


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
