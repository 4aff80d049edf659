"""When to stop, one rule a class; each says why in a sentence."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import isnan

from .._typing import Array
from ._result import Progress, Stop

__all__ = ["RelativeGap", "SmallDecrease", "SmallGradient"]

_NOTHING = 1e-9
"""Of tol: what a gradient step gains, ``|g|^2 / 2`` where the curvature is one, to be nothing."""


class RelativeGap:
    """Stop once a certificate shows that (f - f*) / f* <= tol.

    The best lower bound of f* is kept, whichever point gave it. While an iteration still lowers f
    by more than tol f, no certificate is asked for: it would hardly be content.

    Parameters
    ----------
    gap : callable
        From parameters to an upper bound of f - f*.
    tol : float

    Attributes
    ----------
    tol : float
    last : float
        The relative bound last found; infinite as long as f* may be 0.
    lower : float
        The best lower bound of f*.
    unsure : bool
        Whether f hardly falls, and yet the certificate is not enough.
    """

    def __init__(self, gap: Callable[[Array], float], tol: float) -> None:
        self._gap, self.tol = gap, tol
        self.last, self.unsure = float("inf"), False
        self.lower, self._value = -float("inf"), float("nan")

    def __call__(self, progress: Progress) -> Stop | None:
        fall = self._value - progress.value
        falling = fall > self.tol * abs(progress.value)
        self._value = progress.value
        if falling:
            self._update(progress.value)
        else:
            self.settle(progress)
        self.unsure = not falling and not isnan(fall) and self.last > self.tol
        if self.last > self.tol:
            return None
        return Stop(
            True,
            f"converged: the objective is certified to be within {self.last:.1e} of its minimum, "
            f"relative to it (tol={self.tol:g})",
        )

    def settle(self, progress: Progress) -> None:
        """Ask for a certificate, however f is falling."""
        self.lower = max(self.lower, progress.value - self._gap(progress.parameters))
        self._update(progress.value)

    def _update(self, value: float) -> None:
        if self.lower > 0.0:
            self.last = max(value - self.lower, 0.0) / self.lower


class SmallDecrease:
    """Stop once an iteration lowers the objective by less than tol, on the mean of ``window``.

    For functions with many minima, where no distance from the best one can be known. A gradient
    that promises nothing ends it at once: of a table whose columns are all constant, only the
    intercepts have one, and a step or two leave nothing that could be lowered.
    """

    def __init__(self, tol: float, window: int = 10) -> None:
        self._tol, self._window = tol, window
        self._values: deque[float] = deque(maxlen=window + 1)
        self.last = float("nan")

    def __call__(self, progress: Progress) -> Stop | None:
        if progress.gradient_norm**2 / 2.0 <= _NOTHING * self._tol * abs(progress.value):
            return Stop(True, f"converged: the gradient norm is {progress.gradient_norm:.1e}")
        self._values.append(progress.value)
        if len(self._values) <= self._window:
            return None
        fall = self._values[0] - progress.value
        if fall > self._window * self._tol * abs(progress.value):
            return None
        return Stop(
            True,
            f"converged: the last {self._window} iterations lowered the objective by less than "
            f"{self._tol:g} each, relative to it (tol)",
        )


class SmallGradient:
    """Stop once the decrease a gradient promises is below tol / 1000, relative to f.

    For a loss without penalty, in coordinates where its curvature is at most about one: a gradient
    step then gains ``|g|^2 / 2``. No certificate, as nothing bounds the curvature from below.
    """

    def __init__(self, tol: float, start_value: float) -> None:
        self._tol, self._start_value = tol, start_value
        self.last = float("nan")

    def __call__(self, progress: Progress) -> Stop | None:
        if progress.value <= 1e-6 * self._start_value:
            return Stop(
                False,
                "stopped: the classes can be told apart without a single error, so that without "
                "a penalty the weights grow for ever; choose a finite C",
            )
        if progress.gradient_norm**2 / 2.0 > 1e-3 * self._tol * progress.value:
            return None
        return Stop(
            True,
            f"converged: the gradient norm is {progress.gradient_norm:.1e} "
            f"(tol={self._tol:g}; no certificate, as there is no penalty)",
        )
