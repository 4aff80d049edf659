"""What every solver does beside its steps: counting, watching, and saying why it ended."""

from __future__ import annotations

import numpy as np

from .._typing import Array, Objective
from ._result import Callback, Criterion, Progress, Result, Stop

__all__ = ["Run"]

_STALLED_ITERATIONS = 10
_STALLED_DECREASE = 1e-15


class Run:
    """One run: counts, the lowest point accepted, and why it ended."""

    def __init__(
        self, objective: Objective, criterion: Criterion, callback: Callback | None
    ) -> None:
        self._objective, self._criterion, self._callback = objective, criterion, callback
        self._n_evaluations = 0
        self._stalled = 0
        self._stop: Stop | None = None
        self._by_callback = False
        self._last: tuple[Array, float, Array] | None = None
        self._at = Progress(0, np.inf, np.inf, np.empty(0))

    def evaluate(self, x: Array) -> tuple[float, Array]:
        """Value and gradient; the last point is remembered, as it is asked for again."""
        if self._last is not None and np.array_equal(self._last[0], x):
            return self._last[1], self._last[2]
        value, gradient = self._objective.value_and_grad(x)
        self._n_evaluations += 1
        if self._last is not None and not _is_finite(value, gradient):
            # A step too far: the line search must come back, and knows only numbers.
            value, gradient = 1e3 * (1.0 + abs(self._at.value)), np.zeros_like(gradient)
        self._last = (x.copy(), value, gradient)
        return value, gradient

    def begin(self, start: Array) -> Stop | None:
        """Look at the start."""
        value, gradient = self.evaluate(start)
        if not _is_finite(value, gradient):
            raise ValueError(
                "the objective at the starting point is not a finite number: scale the data, "
                "or compute in float64"
            )
        self._at = Progress(0, value, float(np.linalg.norm(gradient)), start)
        self._stop = self._criterion(self._at)
        return self._stop

    def accept(self, x: Array) -> Stop | None:
        """Take a point as the end of an iteration; why to stop there, or None."""
        value, gradient = self.evaluate(x)
        fall = self._at.value - value
        self._stalled = self._stalled + 1 if fall <= _STALLED_DECREASE * abs(value) else 0
        self._at = Progress(
            self._at.n_iteration + 1, value, float(np.linalg.norm(gradient)), x.copy()
        )
        self._stop = self._criterion(self._at)
        if self._stop is None and self._stalled >= _STALLED_ITERATIONS:
            self._stop = _no_lower(self._at, _state(self._at, self._gap()))
        if self._callback is not None and self._callback(self._at) is True and self._stop is None:
            self._by_callback = True
            self._stop = Stop(
                False, f"stopped by the callback after {self._at.n_iteration} iterations"
            )
        return self._stop

    def result(self, max_iter: int, remedy: str) -> Result:
        """What was reached, and why it ended there."""
        at = self._at
        gap = self._gap()
        if self._stop is None:
            exhausted = at.n_iteration >= max_iter
            state = _state(at, gap)
            self._stop = _too_few(max_iter, state, remedy) if exhausted else _no_lower(at, state)
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


def _is_finite(value: float, gradient: Array) -> bool:
    return bool(np.isfinite(value) and np.isfinite(gradient).all())


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
