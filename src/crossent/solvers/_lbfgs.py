"""Limited-memory BFGS: SciPy's L-BFGS-B behind our stopping rules."""

from __future__ import annotations

from typing import Any

from scipy.optimize import minimize

from .._typing import Array, Objective
from ._result import Callback, Criterion, Result
from ._run import Run

__all__ = ["lbfgs"]

_MEMORY = 10


def lbfgs(
    objective: Objective,
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
    if run.begin(start) is None:
        _minimize(run, start, max_iter)
    return run.result(max_iter, remedy)


def _minimize(run: Run, start: Array, max_iter: int) -> None:
    """SciPy's loop with its own stopping rules off, but for the number of iterations."""

    def after_iteration(intermediate_result: Any) -> None:
        if run.accept(intermediate_result.x) is not None:
            raise StopIteration

    minimize(
        run.evaluate,
        start,
        jac=True,
        method="L-BFGS-B",
        callback=after_iteration,
        options={
            "maxiter": max_iter,
            "maxfun": 10**9,
            "maxcor": _MEMORY,
            "maxls": 40,
            "ftol": 0.0,
            "gtol": 0.0,
        },
    )
