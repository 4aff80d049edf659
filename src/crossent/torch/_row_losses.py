"""Losses in torch's operations, a block of rows at a time: on any device, and over ranks."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from .._arguments import empty_mean
from ._gradients import Needs, Tensors
from ._loss import LossArguments
from ._ranks import OneRank, mean_over_ranks
from ._row_arguments import row_loss_of
from ._row_blocks import RowSource, blocks
from ._rows import Partials, RowStatistics, combined, curvature, gradient, partials

__all__ = ["Rows"]


class _Reduction(NamedTuple):
    """How losses of the rows become what is returned."""

    divisor: float
    empty: float | None  # the value of a mean over nothing

    def factor(self, g: torch.Tensor, loss: LossArguments, n_rows: int) -> torch.Tensor:
        """What each row's gradient is multiplied by, (N,)."""
        rows = g.reshape(-1) if loss.reduction == "none" else g.expand(n_rows)
        return rows.double() / (self.divisor if self.empty is None else 1.0)


class Rows:
    """One loss of rows: the statistics of all of them, from which all derivatives follow."""

    def __init__(
        self, source: RowSource, loss: LossArguments, ranks: OneRank, data_group: Any = None
    ) -> None:
        self.source, self.loss, self.ranks = source, loss, ranks
        self.row_loss = row_loss_of(source, loss, ranks)
        source.absent = self.row_loss.row_weight == 0.0
        self.known = self._statistics()
        self._refuse_masked_targets()
        if ranks.size > 1 and self.row_loss.owner is not None:
            self._refuse_labels_of_ranks_own()
        self.reduction = self._reduction(data_group)

    def _blocks(self) -> Any:
        """As many on every rank, however many classes it has: some take a collective each."""
        return blocks(self.source.n_rows, self.ranks.most_classes)

    def _statistics(self) -> RowStatistics:
        pieces = [
            partials(self.source.logits(rows), self.row_loss.rows(rows)) for rows in self._blocks()
        ]
        here = Partials(*map(torch.cat, zip(*pieces, strict=True)))
        known = combined(here, self.loss, self.ranks.maximum, self.ranks.total)
        weight = torch.where(known.n_classes > 0.0, self.row_loss.row_weight, 0.0)
        self.row_loss = self.row_loss._replace(row_weight=weight)
        return known

    def _refuse_masked_targets(self) -> None:
        wrong = (self.known.masked_mass > 0.0) & (self.row_loss.row_weight > 0.0)
        if wrong.any():
            raise ValueError(
                f"the target of row {int(wrong.int().argmax())} is on a class that `where` masks "
                "in that row: unmask the class, or leave the row out by ignore_index"
            )

    def _refuse_labels_of_ranks_own(self) -> None:
        """Each row's label is on one rank if all have the same labels, and else on none or more."""
        wrong = (self.known.targets != 1.0) & (self.row_loss.row_weight > 0.0)
        if wrong.any():
            raise ValueError(
                f"the label of row {int(wrong.int().argmax())} is not that of the other ranks of "
                "process_group, which must have the same rows and labels: pass rows that are each "
                "rank's own with data_group instead, and gather a weight sharded for storage "
                "(as FSDP's is outside of forward) before"
            )

    def _reduction(self, data_group: Any) -> _Reduction:
        if self.loss.reduction != "mean":
            return _Reduction(1.0, None)
        divisor = self.loss.divisor
        if divisor is None:
            weight = self.row_loss.row_weight
            if self.loss.normalizer == "count":
                here = (self._counted & (self.known.n_classes > 0.0)).sum()
            elif self.row_loss.class_weight is None:
                here = weight.sum()
            else:
                here = (weight * self.known.weight_of_target).sum()
            divisor = float(here)
            if data_group is not None:
                divisor = mean_over_ranks(divisor, data_group, weight.device)
        return _Reduction(divisor, empty_mean(self.loss.empty, divisor))

    @property
    def _counted(self) -> torch.Tensor:
        """Rows that are not ignored, whatever their weight."""
        target, index = self.loss.target, self.loss.ignore_index
        if index is None or self.row_loss.owner is None:
            return torch.ones_like(self.row_loss.row_weight, dtype=torch.bool)
        return (target != index).reshape(-1)

    def value(self) -> torch.Tensor:
        """The losses of the rows, reduced."""
        weight, source = self.row_loss.row_weight, self.source
        losses = torch.where(weight > 0.0, weight * self.known.loss, 0.0)
        return self._reduced(losses, source)

    def _reduced(self, values: torch.Tensor, source: RowSource) -> torch.Tensor:
        if self.reduction.empty is not None:
            values, divisor = values.new_full((1,), self.reduction.empty), 1.0
        else:
            divisor = self.reduction.divisor
        return self.loss.reduced(values, source.logits_like, divisor)

    def vjp(self, g: torch.Tensor, needs: Needs) -> Tensors:
        """The gradients of what the logits are made of, times a cotangent of the value."""
        self.source.start(needs)
        factor = self.reduction.factor(g, self.loss, self.source.n_rows)
        for rows in self._blocks():
            self.source.add(rows, self._gradient(rows, factor))
        return self._of_empty(self.source.gradients(), g)

    def _gradient(self, rows: slice, factor: torch.Tensor) -> torch.Tensor:
        known, z = self._known(rows), self.source.logits(rows)
        return gradient(z, self.row_loss.rows(rows), known, factor[rows])

    def _known(self, rows: slice) -> RowStatistics:
        return RowStatistics(*(column[rows] for column in self.known))

    def _of_empty(self, gradients: Tensors, g: torch.Tensor) -> Tensors:
        """The gradient of a mean over nothing is as its value is."""
        if self.reduction.empty is None:
            return gradients
        value = self.reduction.empty
        return tuple(None if made is None else torch.full_like(made, value) for made in gradients)

    def jvp(self, tangents: Tensors) -> torch.Tensor:
        """The derivative of the value along tangents of what the logits are made of."""
        ones = torch.ones_like(self.row_loss.row_weight)
        slopes = [
            (self._gradient(rows, ones) * self.source.tangent(rows, tangents)).sum(
                dim=1, dtype=torch.float64
            )
            for rows in self._blocks()
        ]
        return self._reduced(self.ranks.total(torch.cat(slopes)), self.source)

    def bend(self, tangents: Tensors, directions: Tensors) -> torch.Tensor:
        """The second derivative of the value along both."""
        ones, slopes = torch.ones_like(self.row_loss.row_weight), []
        for rows in self._blocks():
            z, dz = self.source.logits(rows), self.source.tangent(rows, directions)
            known, row_loss, factor = self._known(rows), self.row_loss.rows(rows), ones[rows]
            along = self.source.tangent(rows, tangents)
            bent = curvature(z, along, row_loss, known, factor, self.ranks.total) * dz
            moved = self.source.second_tangent(rows, tangents, directions)
            if moved is not None:
                bent = bent + gradient(z, row_loss, known, factor) * moved
            slopes.append(bent.sum(dim=1, dtype=torch.float64))
        return self._reduced(self.ranks.total(torch.cat(slopes)), self.source)

    def hvp(self, tangents: Tensors, g: torch.Tensor, needs: Needs) -> Tensors:
        """The Hessian's product with tangents, times a cotangent of the value."""
        self.source.start(needs)
        factor = self.reduction.factor(g, self.loss, self.source.n_rows)
        for rows in self._blocks():
            z, dz = self.source.logits(rows), self.source.tangent(rows, tangents)
            known, row_loss = self._known(rows), self.row_loss.rows(rows)
            bent = curvature(z, dz, row_loss, known, factor[rows], self.ranks.total)
            self.source.add(rows, bent)
            moved = gradient(z, row_loss, known, factor[rows])
            self.source.add_moved(rows, moved, tangents)
        return self._of_empty(self.source.gradients(), g)
