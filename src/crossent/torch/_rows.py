"""The loss of rows of logits in torch's operations: on any device, the classes on one rank or many.

Each rank goes through its own classes once and keeps nine numbers a row, ``Partials``; summed over
the ranks these are all that the loss needs and, with the logits, all that the gradient needs. One
rank alone is the case of a sum of one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from ._loss import LossArguments

__all__ = [
    "FewTargets",
    "Partials",
    "RowLoss",
    "RowStatistics",
    "combined",
    "curvature",
    "gradient",
    "partials",
]

Reduce = Callable[[torch.Tensor], torch.Tensor]


class FewTargets(NamedTuple):
    """Targets of some rows by a few classes of each, which may be on other ranks."""

    indices: torch.Tensor  # (R, m), counted from this rank's first class
    probabilities: torch.Tensor  # (R, m)
    share: torch.Tensor  # (R,), of each other class that is there

    def rows(self, rows: slice) -> FewTargets:
        """Some of the rows."""
        return FewTargets(*(column[rows] for column in self))

    def dense(self, like: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Those of this rank's classes (R, K); what is elsewhere goes into a column too many."""
        n_rows, n_classes = like.shape
        share = self.share.to(like.dtype).unsqueeze(1)
        y = share.expand(n_rows, n_classes + 1).clone()
        if mask is not None:
            y[:, :n_classes] *= mask
        here = (self.indices >= 0) & (self.indices < n_classes)
        at = torch.where(here, self.indices, n_classes)
        return y.scatter_(1, at, self.probabilities.to(like.dtype))[:, :n_classes]


class RowLoss(NamedTuple):
    """Some rows: their truth, as this rank's classes see it, and what bends the loss."""

    owner: torch.Tensor | None  # (R,) bool: this rank has the label; None with targets
    truth: torch.Tensor | FewTargets  # labels (R,) from this rank's first class, targets (R, K)
    row_weight: torch.Tensor  # (R,) float64, 0 where a row is absent
    class_weight: torch.Tensor | None  # (K,)
    mask: torch.Tensor | None  # (R, K) or (K,), True where a class counts
    options: LossArguments

    def rows(self, rows: slice) -> RowLoss:
        """Some of the rows."""
        mask = self.mask if self.mask is None or self.mask.ndim == 1 else self.mask[rows]
        owner = None if self.owner is None else self.owner[rows]
        truth = self.truth
        truth = truth.rows(rows) if isinstance(truth, FewTargets) else truth[rows]
        return self._replace(owner=owner, truth=truth, row_weight=self.row_weight[rows], mask=mask)

    def targets(self, like: torch.Tensor) -> torch.Tensor:
        """Targets y (R, K), with a one where a label is."""
        if isinstance(self.truth, FewTargets):
            return self.truth.dense(like, self.mask)
        if self.owner is None:
            return self.truth.to(like.dtype)
        y = torch.zeros_like(like)
        y.scatter_(1, self.truth.unsqueeze(1), self.owner.to(like.dtype).unsqueeze(1))
        return y


class Partials(NamedTuple):
    """What one rank's classes add, each (R,): relative to their own maximum."""

    top: torch.Tensor  # a, the maximum
    others: torch.Tensor  # sum of exp(m - a), one maximum left out
    distance: torch.Tensor  # sum of w y (a - m)
    distance_of_all: torch.Tensor  # sum of w (a - m), of what smoothing spreads
    weighted: torch.Tensor  # sum of w y
    weight: torch.Tensor  # sum of w
    mass: torch.Tensor  # s, the sum of y
    n_classes: torch.Tensor  # unmasked
    masked_mass: torch.Tensor  # sum of y where a class is masked: an error, if the row counts


class RowStatistics(NamedTuple):
    """What is known of each row once all classes are summed, each (R,) float64."""

    loss: torch.Tensor  # E before the row's weight
    top: torch.Tensor  # a over all classes
    rest: torch.Tensor  # sum of exp(m - a) without one maximum
    lse: torch.Tensor
    mass: torch.Tensor  # s'', of the targets as smoothed and weighted
    spread: torch.Tensor  # e s / K, what smoothing gives to each class
    weight_of_target: torch.Tensor  # o
    n_classes: torch.Tensor
    masked_mass: torch.Tensor
    targets: torch.Tensor  # the sum of y, before smoothing and class weights


def _bent(z: torch.Tensor, row_loss: RowLoss) -> tuple[torch.Tensor, torch.Tensor | float]:
    """The logits m that the softmax sees, and dm/dz; -inf where a class is masked."""
    options, mask = row_loss.options, row_loss.mask
    m, slope = z / options.temperature, 1.0 / options.temperature
    if options.softcap is not None:
        ratio = torch.tanh(m / options.softcap)
        m, slope = options.softcap * ratio, (1.0 - ratio * ratio) * slope
    return (m if mask is None else m.masked_fill(~mask, -torch.inf)), slope


def partials(z: torch.Tensor, row_loss: RowLoss) -> Partials:
    """Go through this rank's logits (R, K) once."""
    m, _ = _bent(z, row_loss)
    top, where_top = m.max(dim=1)
    distances = torch.where(top == -torch.inf, 0.0, top).unsqueeze(1) - m
    exponentials = torch.exp(-distances).scatter(1, where_top.unsqueeze(1), 0.0)
    w = torch.ones_like(m[0]) if row_loss.class_weight is None else row_loss.class_weight
    y = row_loss.targets(z)
    counted = torch.ones_like(y) if row_loss.mask is None else row_loss.mask.expand(y.shape).to(y)
    of_all = torch.zeros_like(top)
    if row_loss.options.label_smoothing > 0.0:
        of_all = _sum(_product(w * counted, distances))
    return Partials(
        top=top.double(),
        others=_sum(exponentials),
        distance=_sum(_product(w * y, distances)),
        distance_of_all=of_all.double(),
        weighted=_sum(w * y),
        weight=_sum(w * counted),
        mass=_sum(y),
        n_classes=_sum(counted),
        masked_mass=_sum(y * (1.0 - counted)),
    )


def _sum(values: torch.Tensor) -> torch.Tensor:
    return values.sum(dim=1, dtype=torch.float64)


def _product(weights: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Where a weight is 0 the product is 0, whatever the value."""
    return torch.where(weights == 0.0, 0.0, weights * values)


def combined(
    here: Partials, options: LossArguments, maximum: Reduce, total: Reduce
) -> RowStatistics:
    """The sum over ranks: one collective for the maxima, one for all sums."""
    top = maximum(here.top)
    is_top = here.top == top
    factor = torch.where(is_top, 1.0, torch.exp(here.top - top))
    shift = top - torch.where(here.top == -torch.inf, 0.0, here.top)
    sums = torch.stack(
        [
            here.others * factor + torch.where(is_top, 0.0, factor),
            is_top.double(),
            here.distance + _product(here.weighted, shift),
            here.distance_of_all + _product(here.weight, shift),
            here.weighted,
            here.weight,
            here.mass,
            here.n_classes,
            here.masked_mass,
        ]
    )
    others, tops, distance, of_all, weighted, weight, mass, n_classes, masked = total(sums)
    rest = others + (tops - 1.0) + (top - top)  # NaN where the maximum is infinite
    log_sum = torch.log1p(rest)
    e = options.label_smoothing
    spread = e * mass / n_classes.clamp(min=1.0)
    bent_mass = (1.0 - e) * weighted + spread * weight
    loss = (1.0 - e) * distance + _product(spread, of_all) + _product(bent_mass, log_sum)
    lse = top + log_sum
    if options.z_loss > 0.0:
        loss = loss + options.z_loss * lse * lse
    of_target = torch.where(mass > 0.0, weighted / torch.where(mass > 0.0, mass, 1.0), 1.0)
    return RowStatistics(
        loss, top, rest, lse, bent_mass, spread, of_target, n_classes, masked, mass
    )


class _Slopes(NamedTuple):
    """Of a block of rows, (R, K) or (R, 1) each, in the dtype of the logits."""

    p: torch.Tensor
    g: torch.Tensor  # dE/dm, before the row's weight
    slope: torch.Tensor | float  # dm/dz
    m: torch.Tensor
    mass: torch.Tensor
    lse: torch.Tensor


def _slopes(z: torch.Tensor, row_loss: RowLoss, known: RowStatistics) -> _Slopes:
    """p, and G = p (s - y) - y (1 - p) + 2 zeta l p, in which nothing cancels."""
    options = row_loss.options
    m, slope = _bent(z, row_loss)
    top, rest, lse, mass, spread = (
        column.to(z.dtype).unsqueeze(1)
        for column in (known.top, known.rest, known.lse, known.mass, known.spread)
    )
    exponentials = torch.exp(m - top)
    p = exponentials / (1.0 + rest)
    others = torch.where(exponentials == 1.0, rest / (1.0 + rest), 1.0 - p)  # 1 - p
    y = (1.0 - options.label_smoothing) * row_loss.targets(z)
    if options.label_smoothing > 0.0:
        y = y + (spread if row_loss.mask is None else spread * row_loss.mask)
    if row_loss.class_weight is not None:
        y = y * row_loss.class_weight
    g = p * (mass - y) - y * others
    if options.z_loss > 0.0:
        g = g + 2.0 * options.z_loss * lse * p
    return _Slopes(p, g, slope, m, mass, lse)


def _of_rows_that_count(
    values: torch.Tensor, row_loss: RowLoss, factor: torch.Tensor
) -> torch.Tensor:
    """Values (R, K) times the factors of their rows; 0 where a row or a class is absent."""
    present = (row_loss.row_weight > 0.0).unsqueeze(1)
    if row_loss.mask is not None:
        present = present & row_loss.mask
    weight = (row_loss.row_weight * factor).to(values.dtype).unsqueeze(1)
    return torch.where(present, values * weight, 0.0)


def gradient(
    z: torch.Tensor, row_loss: RowLoss, known: RowStatistics, factor: torch.Tensor
) -> torch.Tensor:
    """dE/dz of this rank's logits (R, K), times one factor a row."""
    slopes = _slopes(z, row_loss, known)
    return _of_rows_that_count(slopes.g * slopes.slope, row_loss, factor)


def curvature(
    z: torch.Tensor,
    tangent: torch.Tensor,
    row_loss: RowLoss,
    known: RowStatistics,
    factor: torch.Tensor,
    total: Reduce,
) -> torch.Tensor:
    """The Hessian's product with a tangent (R, K); ``<p, dm>`` is summed over the ranks."""
    options, (p, g, slope, m, mass, lse) = row_loss.options, _slopes(z, row_loss, known)
    dm = slope * tangent
    if row_loss.mask is not None:
        dm = dm.masked_fill(~row_loss.mask, 0.0)
    mean = total((p * dm).sum(dim=1, keepdim=True))
    apart = p * (dm - mean)
    bent = mass * apart
    if options.z_loss > 0.0:
        bent = bent + 2.0 * options.z_loss * (p * mean + lse * apart)
    product = slope * bent
    if options.softcap is not None:
        second = -2.0 * m / options.softcap**2 * slope / options.temperature
        product = product + second * tangent * g
    return _of_rows_that_count(product, row_loss, factor)
