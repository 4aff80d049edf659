"""What a solver tells while it runs, and what it hands back."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .._typing import Array

__all__ = ["Callback", "Criterion", "Progress", "Result", "Stop"]


class Progress(NamedTuple):
    """Where a solver stands after an iteration; what a callback gets.

    ``gap`` is the relative gap certified so far; NaN or infinite where none is.
    """

    n_iteration: int
    value: float
    gradient_norm: float
    parameters: Array
    gap: float = float("nan")


class Stop(NamedTuple):
    """Why to stop: whether that is what was asked for, and one sentence with its remedy."""

    converged: bool
    reason: str


class Result(NamedTuple):
    """Where a solver ended.

    ``gap`` bounds (f - f*) / f* where a bound is known, and is NaN where none is.
    ``stopped_by_callback`` is True where it was the caller who ended it.
    """

    parameters: Array
    value: float
    gradient_norm: float
    n_iterations: int
    n_evaluations: int
    converged: bool
    reason: str
    gap: float = float("nan")
    stopped_by_callback: bool = False


Callback = Callable[[Progress], object]
"""Called after every iteration; True ends the run."""

Criterion = Callable[[Progress], "Stop | None"]
"""Asked before the first iteration and after each one."""
