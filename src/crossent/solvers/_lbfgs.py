"""Limited-memory BFGS, for objectives that may change their coordinates on the way."""

from __future__ import annotations

from typing import Any, Protocol

from .._typing import Array, Objective
from .._vectors import are_equal
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

    def is_due(self, n_iterations: int, n_since: int, *, unsure: bool) -> bool:
        """Whether to do so after these many iterations, and these many since the last time.

        ``unsure`` says that f hardly falls, and yet a certificate asks for a smaller gradient.
        """
        ...


def lbfgs(
    objective: Objective | RefinedObjective,
    start: Array,
    criterion: Criterion,
    *,
    max_iter: int,
    callback: Callback | None = None,
    remedy: str = "raise max_iter",
) -> Result:
    """Lower an objective until a criterion is content.

    Parameters
    ----------
    objective : Objective
        A `RefinedObjective` says when it takes other coordinates: after every iteration, from the
        whole Hessian, this is Newton's method. Its ``rounding``, where it has one, is the relative
        error of its values; float64's without.
    start : float64 (P,)
    criterion : Criterion
        The only thing that can say "converged".
    max_iter : int
        Iterations at most.
    callback : callable, optional
        Gets a `Progress` after every iteration; ends the run by returning True.
    remedy : str
        What the sentence about too few iterations advises.

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
    n_refined, is_due = 0, getattr(objective, "is_due", None)
    for n_iteration in range(max_iter):
        if run.has_ended:
            break
        unsure = bool(getattr(criterion, "unsure", False))
        if is_due is not None and is_due(n_iteration, n_iteration - n_refined, unsure=unsure):
            at, memory, n_refined = _refined(objective, at), None, n_iteration
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
        step = lower_point(run.evaluate, at, direction, rounding=run.rounding)
        if step is not None and not are_equal(step.end.parameters, at.parameters):
            memory.add(step)
            return step.end
    return None
