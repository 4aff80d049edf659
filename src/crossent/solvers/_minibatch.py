"""Adam on rows drawn at random, in passes over all of them, with steps that fall to zero."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from .._typing import Array, Objective
from ._adam import Adam, Cosine
from ._result import Callback, Criterion, Progress, Result, Stop

__all__ = ["Passes", "Sampled", "minibatch"]

_RISING = 0.05
"""Share of the steps that rise: Adam's first ones rest on means of few gradients."""


class Sampled(Objective, Protocol):
    """An objective over rows that can also be seen on some of them."""

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        ...

    def rows_value_and_grad(self, parameters: Array, rows: Array) -> tuple[float, Array]:
        """Value and gradient (P,) as the rows of these numbers show them."""
        ...


class Passes(NamedTuple):
    """How the rows are gone through: ``n_passes`` times, ``batch_rows`` a step, in drawn orders.

    ``step_size`` is the largest step, of about that size in every parameter.
    """

    n_passes: int
    batch_rows: int
    step_size: float
    random_state: np.random.RandomState


def minibatch(
    objective: Sampled,
    start: Array,
    criterion: Criterion,
    *,
    passes: Passes,
    max_iter: int,
    callback: Callback | None = None,
    remedy: str = "raise max_iter",
) -> Result:
    """Lower an objective by steps that see a few rows each; an iteration is a pass over all.

    Steps rise for a twentieth of the way and fall to zero along a cosine, so that the last ones
    average the scatter away (see `Adam`, `Cosine`). No minimum is certified.

    Parameters
    ----------
    objective : Sampled
    start : floating (P,)
        Its dtype is computed in.
    criterion : Criterion
        Asked after every pass, with the mean of the values that the pass saw; may end the run.
    passes : Passes
    max_iter : int
        Passes at most. Where ``passes`` plans more, the steps fall to zero sooner, and the result
        is not called converged.
    callback, remedy
        As in `lbfgs`; the callback is called after every pass.

    Returns
    -------
    Result
        Value and gradient norm are the whole objective's, at the end.

    Raises
    ------
    ValueError
        If a gradient is not finite.

    Examples
    --------
    >>> class Mean:
    ...     places, n_samples = np.arange(40.0), 40
    ...     def value_and_grad(self, x):
    ...         return self.rows_value_and_grad(x, np.arange(40))
    ...     def rows_value_and_grad(self, x, rows):
    ...         d = x - self.places[rows]
    ...         return float(d @ d) / len(d), 2.0 * d.mean(keepdims=True)
    >>> plan = Passes(50, 4, 1.0, np.random.RandomState(0))
    >>> found = minibatch(Mean(), np.zeros(1), lambda at: None, passes=plan, max_iter=100)
    >>> found.n_iterations, bool(abs(found.parameters[0] - 19.5) < 0.5)
    (50, True)
    """
    n_passes = min(passes.n_passes, max_iter)
    n_batches = -(-objective.n_samples // passes.batch_rows)
    n_steps = n_passes * n_batches
    adam = Adam(start, Cosine(passes.step_size, n_steps, int(_RISING * n_steps)))
    stop, by_callback, n_done = None, False, 0
    while n_done < n_passes and stop is None:
        value, slope = _one_pass(objective, adam, passes, n_batches)
        n_done += 1
        at = Progress(n_done, value, slope, adam.parameters.copy())
        stop = criterion(at)
        if callback is not None and callback(at) is True and stop is None:
            by_callback = True
            stop = Stop(False, f"stopped by the callback after {n_done} passes over the rows")
    value, gradient = objective.value_and_grad(adam.parameters)
    slope = float(np.linalg.norm(gradient))
    stop = stop or _end(n_done, passes.n_passes, f"objective {value:.3g}", remedy)
    return Result(
        adam.parameters,
        float(value),
        slope,
        n_done,
        n_done + 1,
        *stop,
        stopped_by_callback=by_callback,
    )


def _one_pass(
    objective: Sampled, adam: Adam, passes: Passes, n_batches: int
) -> tuple[float, float]:
    """Step through all rows in a drawn order; mean value, and the norm of the mean gradient."""
    order = passes.random_state.permutation(objective.n_samples)
    total, mean = 0.0, np.zeros(len(adam.parameters))
    for rows in np.array_split(order, n_batches):
        rows.sort()  # rows of a file are read in their order
        value, gradient = objective.rows_value_and_grad(adam.parameters, rows)
        total += value
        mean += gradient
        adam.step(gradient)
    return total / n_batches, float(np.linalg.norm(mean)) / n_batches


def _end(n_done: int, n_planned: int, state: str, remedy: str) -> Stop:
    """Why the last pass was the last."""
    if n_done < n_planned:
        return Stop(
            False,
            f"did not converge in {n_done} passes over the rows, where {n_planned} were planned: "
            f"{state}; {remedy}",
        )
    return Stop(
        True,
        f"finished {n_done} passes over the rows with steps that fell to zero: {state} "
        "(no certificate: the objective has many minima)",
    )
