"""The same objective as some rows at a time show it, for steps that look at few rows each."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ._typing import Array, Batch, Batches
from .objective import NetworkObjective
from .ops import cross_entropy_value_and_grad

__all__ = ["SampledBatches", "SampledObjective"]


class SampledBatches(Batches, Protocol):
    """Batches from which any rows can be taken."""

    def take(self, rows: Array) -> Batch:
        """A batch of the rows of these numbers, int64 (B,)."""
        ...


class SampledObjective(NetworkObjective):
    """A `NetworkObjective` that also shows itself on rows drawn from it."""

    _batches: SampledBatches

    @property
    def n_samples(self) -> int:
        """Number of rows N to draw from."""
        return self._batches.n_samples

    def rows_value_and_grad(self, parameters: Array, rows: Array) -> tuple[float, Array]:
        """f and its gradient as these rows show them: on the mean over all draws, f's own.

        Parameters
        ----------
        parameters : floating (P,)
        rows : int64 (B,)
            Numbers of rows, drawn from all with the same chance each.

        Returns
        -------
        float, ndarray (P,)
            The gradient has the dtype of the parameters.
        """
        network, batch = self.unpack(parameters), self._batches.take(rows)
        phi, pull = self.features.forward(network.features, batch.inputs)
        weight, bias = self._logit_rows(network, phi.dtype)
        logits = phi @ weight.T
        logits += bias
        loss, back = cross_entropy_value_and_grad(
            logits, batch.target, out=logits, **self._loss_options(batch)
        )
        share = self.n_samples / (len(rows) * self._total)
        back *= share
        of_features = pull(back @ weight)
        back = back[:, -self.n_rows :]
        weight = network.weight
        value = float(loss) * share + 0.5 * self.ridge * float(np.vdot(weight, weight))
        of_weight = self.ridge * weight
        of_weight += back.T @ phi
        u_grad, v_grad = self.coordinates.vjp(of_weight, back.sum(axis=0))
        return value, self._flat(u_grad, v_grad, of_features).astype(parameters.dtype, copy=False)
