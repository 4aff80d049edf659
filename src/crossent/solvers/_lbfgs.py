"""Limited-memory BFGS, for objectives that may change their coordinates on the way."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

import numpy as np

from .._typing import Array, Objective
from ._line_search import Point, lower_point
from ._memory import Memory
from ._result import Callback, Criterion, Result
from ._run import Run

__all__ = ["RefinedObjective", "lbfgs"]

_PAIRS = 10


class RefinedObjective(Objective, Protocol):
    """An objective that can take better coordinates from what it is like at a point."""

    def refined(self, parameters: Array) -> Array:
        """Change the coordinates, and return those of the same point."""
        ...


def lbfgs(
    objective: Objective | RefinedObjective,
    start: Array,
    criterion: Criterion,
    *,
    max_iter: int,
    callback: Callback | None = None,
    remedy: str = "raise max_iter",
    refine_after: Collection[int] = (),
    refine_unsure: bool = False,
) -> Result:
    """Lower an objective until a criterion is content.

    Parameters
    ----------
    objective : Objective
        A `RefinedObjective` where ``refine_after`` names iterations. Its ``rounding``, where it has
        one, is the relative error of its values; float64's without.
    start : float64 (P,)
    criterion : Criterion
        The only thing that can say "converged".
    max_iter : int
        Iterations at most.
    callback : callable, optional
        Gets a `Progress` after every iteration; ends the run by returning True.
    remedy : str
        What the sentence about too few iterations advises.
    refine_after : collection of int
        Numbers of iterations after which the objective takes better coordinates. After each one,
        if they come from the whole Hessian, this is Newton's method.
    refine_unsure : bool, default=False
        Also after iterations that leave the criterion ``unsure``: f hardly falls, and yet a
        certificate asks for a smaller gradient, which a step of Newton's gives.

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
    >>> from crossent.solvers import SmallDecrease
    >>> lbfgs(Bowl(), np.ones(2), SmallDecrease(1e-4), max_iter=50).value
    0.0
    """
    run = Run(objective, criterion, callback)
    at = run.begin(start)
    memory: Memory | None = None
    for n_iteration in range(max_iter):
        if run.has_ended:
            break
        unsure = refine_unsure and getattr(criterion, "unsure", False)
        if n_iteration in refine_after or unsure:
            at = _refined(objective, at)
            memory = None
        memory = memory or Memory(_PAIRS, len(start))
        there = _step(run, at, memory)
        if there is None:
            break
        at = there
        run.accept(at)
    return run.result(max_iter, remedy)


def _refined(objective: Any, at: Point) -> Point:
    """The same point in the objective's better coordinates."""
    parameters = objective.refined(at.parameters)
    return Point(parameters, *objective.value_and_grad(parameters))


def _step(run: Run, at: Point, memory: Memory) -> Point | None:
    """The next point; once more without memory where with it there is none."""
    for attempt in range(2):
        if attempt:
            memory.clear()
        direction = memory.direction(at.gradient)
        if not float(at.gradient @ direction) < 0.0:
            continue
        there = lower_point(run.evaluate, at, direction, rounding=run.rounding)
        if there is not None and np.any(there.parameters != at.parameters):
            memory.add(there.parameters - at.parameters, there.gradient - at.gradient)
            return there
    return None
