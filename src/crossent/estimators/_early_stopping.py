"""Ending a fit where rows held out are predicted no better."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import train_test_split

from .._typing import Array
from ..objective import Network, NetworkObjective
from ..solvers import Criterion, Progress, Stop
from ._problem import Problem

__all__ = ["HeldOut", "held_out"]


class HeldOut:
    """A criterion that is also content once the held-out loss has not fallen for a while.

    Parameters
    ----------
    criterion : Criterion
        What else may end the run.
    training, held_out : NetworkObjective
        What is minimised, and the same loss on rows held out.
    patience : int
        Iterations without a lower held-out loss.

    Attributes
    ----------
    best : Network
        The network of the lowest held-out loss.
    lowest : float
    """

    def __init__(
        self,
        criterion: Criterion,
        training: NetworkObjective,
        held_out: NetworkObjective,
        patience: int,
    ) -> None:
        self._criterion, self._training, self._held_out = criterion, training, held_out
        self._patience, self._since = patience, 0
        self.best: Network | None = None
        self.lowest = float("inf")

    @property
    def last(self) -> float:
        """The relative gap that the other criterion knows."""
        return float(getattr(self._criterion, "last", float("nan")))

    def __call__(self, progress: Progress) -> Stop | None:
        network = self._training.unpack(progress.parameters)
        loss = self._held_out.loss_and_grad(network)[0]
        if loss < self.lowest:
            self.lowest, self._since = loss, 0
            self.best = Network(*(part.copy() for part in network))
        else:
            self._since += 1
        if self._since >= self._patience:
            return Stop(
                True,
                "stopped early: the loss of the rows held out was lowest, "
                f"{self.lowest:.6g}, after "
                f"{progress.n_iteration - self._since} iterations, {self._since} before the last",
            )
        return self._criterion(progress)


def held_out(problem: Problem, fraction: float, random_state: object) -> Problem:
    """The rows to train on, with a share of them held out, every class in both where it can be.

    Raises
    ------
    ValueError
        If too few rows would be left, or a class would have no row to train on.
    """
    numbers, target = np.arange(problem.inputs.shape[0]), problem.target
    labels = target if target.ndim == 1 else None
    if labels is not None and np.bincount(labels, minlength=len(problem.mass)).min() < 2:
        labels = None
    try:
        rows, others = train_test_split(
            numbers, test_size=fraction, stratify=labels, random_state=random_state
        )
    except ValueError as error:
        raise ValueError(
            f"early_stopping cannot hold out validation_fraction={fraction} of {len(numbers)} "
            f"rows: {error}; give more rows, another fraction, or early_stopping=False"
        ) from None
    held = _part(problem, np.sort(others))
    return _part(problem, np.sort(rows))._replace(held=held)


def _part(problem: Problem, rows: Array) -> Problem:
    weight, target = problem.sample_weight, problem.target[rows]
    weight = None if weight is None else weight[rows]
    each = np.ones(len(rows)) if weight is None else weight
    if target.ndim == 1:
        mass = np.bincount(target, weights=each, minlength=len(problem.mass))
    else:
        mass = each @ target
    return problem._replace(
        inputs=problem.inputs[rows], target=target, sample_weight=weight, mass=mass
    )
