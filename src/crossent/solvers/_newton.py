"""Newton's method with the whole Hessian, for a convex objective of few parameters."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from .._typing import Array, Objective
from ._result import Callback, Criterion, Result
from ._run import Run

__all__ = ["CurvedObjective", "newton"]

_DAMPING = 1e-11
_HALVINGS = 40
_ENOUGH = 1e-4


class CurvedObjective(Objective, Protocol):
    """An objective that knows its second derivatives."""

    def hessian(self, parameters: Array) -> Array:
        """Float64 (P, P), positive semidefinite."""
        ...


def newton(
    objective: CurvedObjective,
    start: Array,
    criterion: Criterion,
    *,
    max_iter: int,
    callback: Callback | None = None,
    remedy: str = "raise max_iter",
) -> Result:
    """Lower a convex objective until a criterion is content: x - t H^-1 g, t halved as needed.

    Parameters
    ----------
    objective : CurvedObjective
    start : float64 (P,)
    criterion, max_iter, callback, remedy
        As in `lbfgs`.

    Returns
    -------
    Result

    Raises
    ------
    ValueError
        If the objective at the start is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> class Bowl:
    ...     def value_and_grad(self, x):
    ...         return float(x @ x), 2.0 * x
    ...     def hessian(self, x):
    ...         return 2.0 * np.eye(len(x))
    >>> from crossent.solvers import SmallDecrease
    >>> newton(Bowl(), np.ones(2), SmallDecrease(1e-4), max_iter=50).value < 1e-20
    True
    """
    run = Run(objective, criterion, callback)
    stop = run.begin(start)
    x = start
    for _ in range(max_iter):
        if stop is not None:
            break
        lower = _lower_point(run, x, objective.hessian(x))
        if lower is None:
            break
        x = lower
        stop = run.accept(x)
    return run.result(max_iter, remedy)


def _lower_point(run: Run, x: Array, hessian: Array) -> Array | None:
    """A point on Newton's way that lowers the value as much as its slope promises, or None."""
    value, gradient = run.evaluate(x)
    step = _newton_step(hessian, gradient)
    promised, length = float(gradient @ step), 1.0
    rounding = 4.0 * np.finfo(np.float64).eps * abs(value)
    for _ in range(_HALVINGS):
        there = x + length * step
        found, _ = run.evaluate(there)
        if found <= value + _ENOUGH * length * promised + rounding:
            return there
        length *= 0.5
    return None


def _newton_step(hessian: Array, gradient: Array) -> Array:
    """-H^-1 g; a little damping stands for directions without curvature, which g does not have."""
    scale = float(hessian.diagonal().max())
    damping = _DAMPING
    while True:
        try:
            damped = hessian + damping * scale * np.eye(len(gradient))
            return -cho_solve(cho_factor(damped, lower=True, overwrite_a=True), gradient)
        except np.linalg.LinAlgError:
            damping *= 100.0
