"""Newton's method with the whole Hessian, for a convex objective of few parameters."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from .._typing import Array, Objective
from ._line_search import lower_point
from ._result import Callback, Criterion, Result
from ._run import Run

__all__ = ["CurvedObjective", "newton"]

_DAMPING = 1e-11


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
    at = run.begin(start)
    for _ in range(max_iter):
        if run.has_ended:
            break
        direction = _newton_step(objective.hessian(at.parameters), at.gradient)
        there = lower_point(run.evaluate, at, direction, rounding=run.rounding)
        if there is None:
            break
        at = there
        run.accept(at)
    return run.result(max_iter, remedy)


def _newton_step(hessian: Array, gradient: Array) -> Array:
    """-H^-1 g; a little damping stands for directions without curvature, which g does not have."""
    scale = float(hessian.diagonal().max())
    damping = _DAMPING
    while True:
        try:
            damped = hessian + damping * scale * np.eye(len(gradient))
            root = np.linalg.cholesky(damped)
            return -np.linalg.solve(root.T, np.linalg.solve(root, gradient))
        except np.linalg.LinAlgError:
            damping *= 100.0
