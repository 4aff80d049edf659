"""Steps on rows that come a part at a time, each seen once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np

from .._typing import Array, Features
from ..data import ArrayBatches, class_mass
from ..features import Coordinates
from ..objective import Network, NetworkLoss, NetworkObjective
from ..solvers import Adam

__all__ = ["Steps", "Stream"]


class Steps(NamedTuple):
    """Rows a step, and the size of step t, which falls as 1 / sqrt(1 + t / slower_after)."""

    batch_rows: int
    size: float
    slower_after: int

    def __call__(self, n_before: int) -> float:
        """The size of the step after this many."""
        return self.size / float(np.sqrt(1.0 + n_before / self.slower_after))


class Stream:
    """Adam's steps on a network, and their mean, in which later ones count more.

    Each step descends the penalised mean loss of a few rows, the penalty being that of
    ``C sum_i r_i E_i + penalty |W|^2 / 2`` over all rows seen so far. What is held does not grow:
    five arrays of the parameters' size.

    Parameters
    ----------
    loss : NetworkLoss
    features : Features
    coordinates : Coordinates
        In which the steps are about as large in every direction.
    start : Network
        Where to begin.
    steps : Steps
    penalty : float, default=1.0
    prepared : callable, optional
        What each step's inputs go through; it can be pickled.
    dtype : dtype, default=float64
        Of the steps.
    """

    def __init__(
        self,
        loss: NetworkLoss,
        features: Features,
        coordinates: Coordinates,
        start: Network,
        steps: Steps,
        *,
        penalty: float = 1.0,
        prepared: Callable[[Array], Array] | None = None,
        dtype: Any = np.float64,
    ) -> None:
        self.features, self.prepared = features, prepared
        self._coordinates, self._steps, self._penalty = coordinates, steps, penalty
        self.mass = np.zeros(loss.n_classes)
        nothing = ArrayBatches(np.zeros((1, 1), dtype), np.zeros(1, dtype=np.int64))
        self._packed = self._objective(loss, nothing, np.eye(1, loss.n_classes)[0])
        self._adam = Adam(self._packed.pack(start).astype(dtype), step_size=steps)
        self._mean = self._adam.parameters.astype(np.float64)

    @property
    def n_steps(self) -> int:
        """Steps taken."""
        return self._adam.n_steps

    def see(self, loss: NetworkLoss, inputs: Any, target: Array, weight: Array) -> Self:
        """Take the steps of more rows, in their order, each of positive weight."""
        for start in range(0, len(target), self._steps.batch_rows):
            rows = slice(start, start + self._steps.batch_rows)
            some = inputs[rows] if self.prepared is None else self.prepared(inputs[rows])
            batches = ArrayBatches(some, target[rows], weight[rows])
            mass = class_mass(batches, loss.n_classes)
            if not mass.any():
                continue
            self.mass += mass
            share = float(self.mass.sum() / mass.sum())
            objective = self._objective(loss._replace(C=loss.C * share), batches, mass)
            here = self._adam.step(objective.value_and_grad(self._adam.parameters)[1])
            self._mean += (2.0 / (self.n_steps + 1.0)) * (here - self._mean)
        return self

    def network(self) -> Network:
        """The network of the mean."""
        return self._packed.unpack(self._mean)

    def _objective(self, loss: NetworkLoss, batches: ArrayBatches, mass: Array) -> NetworkObjective:
        loss = loss._replace(C=loss.C / self._penalty)
        start = np.empty(0)
        return NetworkObjective(batches, self.features, loss, start, mass, self._coordinates)
