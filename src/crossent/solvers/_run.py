"""What every solver does beside its steps: counting, watching, and saying why it ended."""

from __future__ import annotations

import math

import numpy as np

from .._typing import Array, Objective
from .._vectors import dot
from ._line_search import Point
from ._result import Callback, Criterion, Progress, Result, Stop

__all__ = ["Run"]

_STALLED_ITERATIONS = 10
_STALLED_DECREASE = 1e-15
_ROUNDING = 1e-15


class Run:
    """One run: counts, the last point accepted, and why it ended."""

    def __init__(
        self, objective: Objective, criterion: Criterion, callback: Callback | None
    ) -> None:
        self._objective, self._criterion, self._callback = objective, criterion, callback
        self.rounding = float(getattr(objective, "rounding", _ROUNDING))
        self._n_evaluations = 0
        self._stalled = 0
        self._stop: Stop | None = None
        self._by_callback = False
        self._at = Progress(0, np.inf, np.inf, np.empty(0))
        self._norms: list[float] = []  # of the gradient, after each iteration

    @property
    def has_ended(self) -> bool:
        """Whether there is a reason to stop."""
        return self._stop is not None

    def evaluate(self, x: Array) -> Point:
        """Value and gradient at a point."""
        self._n_evaluations += 1
        return Point(x, *self._objective.value_and_grad(x))

    def begin(self, start: Array) -> Point:
        """Look at the start."""
        at = self.evaluate(start)
        if not at.is_finite:
            raise ValueError(
                "the objective at the starting point is not a finite number: scale the data, "
                "or compute in float64"
            )
        self._at = Progress(0, at.value, math.sqrt(dot(at.gradient, at.gradient)), start)
        self._stop = self._criterion(self._at)
        return at

    def accept(self, at: Point) -> None:
        """Take a point as the end of an iteration, and see whether to stop there."""
        fall = self._at.value - at.value
        self._stalled = self._stalled + 1 if fall <= _STALLED_DECREASE * abs(at.value) else 0
        n_iteration = self._at.n_iteration + 1
        norm = math.sqrt(dot(at.gradient, at.gradient))
        self._at = Progress(n_iteration, at.value, norm, at.parameters)
        self._stop = self._criterion(self._at)
        self._at = self._at._replace(gap=self._gap())
        self._norms.append(norm)
        if self._stop is None and self._stalled >= _STALLED_ITERATIONS:
            self._stop = _no_lower(self._at, _state(self._at, self._gap()))
        if self._callback is not None and self._callback(self._at) is True and self._stop is None:
            self._by_callback = True
            self._stop = Stop(
                False, f"stopped by the callback after {self._at.n_iteration} iterations"
            )

    def result(self, max_iter: int, remedy: str) -> Result:
        """What was reached, and why it ended there."""
        at = self._at
        settle = getattr(self._criterion, "settle", None)
        if self._stop is None and settle is not None:
            settle(at)
        gap = self._gap()
        if self._stop is None:
            state = _state(at, gap)
            if at.n_iteration >= max_iter:
                self._stop = _too_few(max_iter, state, self._remedy(remedy))
            else:
                self._stop = _no_lower(at, state)
        return Result(
            at.parameters,
            at.value,
            at.gradient_norm,
            at.n_iteration,
            self._n_evaluations,
            *self._stop,
            gap=gap,
            stopped_by_callback=self._by_callback,
        )

    def _gap(self) -> float:
        """The relative gap certified last; NaN where the criterion knows none."""
        return float(getattr(self._criterion, "last", float("nan")))

    def _remedy(self, remedy: str) -> str:
        """The advice, and the iterations it takes if the gap falls as the gradient's square did."""
        tol, after = float(getattr(self._criterion, "tol", 0.0)), self._gap()
        last, first = self._at.n_iteration, (self._at.n_iteration + 1) // 2
        if not (0.0 < tol < after < math.inf and first < last and self._norms[-1] > 0.0):
            return remedy
        rate = 2.0 * math.log(self._norms[first - 1] / self._norms[-1]) / (last - first)
        if not rate * 20 * self._at.n_iteration > math.log(after / tol):
            return remedy  # slower than any max_iter worth naming
        needed = last + 1.5 * math.log(after / tol) / rate
        unit = 10 ** max(0, math.floor(math.log10(needed)) - 1)
        number = math.ceil(needed / unit) * unit
        return remedy.replace("raise max_iter", f"raise max_iter to about {number}", 1)


def _state(at: Progress, gap: float) -> str:
    """Where it stands, in words: the certified gap, where there is one, and the gradient."""
    certified = f"relative gap at most {gap:.1e}, " if np.isfinite(gap) else ""
    return f"{certified}gradient norm {at.gradient_norm:.1e}"


def _too_few(max_iter: int, state: str, remedy: str) -> Stop:
    return Stop(False, f"did not converge in {max_iter} iterations: {state}; {remedy}")


def _no_lower(at: Progress, state: str) -> Stop:
    return Stop(
        False,
        f"stopped after {at.n_iteration} iterations at the limit of the arithmetic, as no lower "
        f"point was found: {state}; raise tol, scale the data, or compute in float64 if it is not",
    )
