"""The loss of labels without options: what most training asks of a device, in few operations.

One softmax p of a block of rows gives all, and nothing cancels: 1 - p_t is the sum of the other
classes' p, ``E = -log p_t``, and G is p but for ``G_t = -(1 - p_t)``.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ._gradients import Needs, Tensors
from ._loss import LossArguments
from ._row_blocks import RowSource, blocks

__all__ = ["PlainLabels", "plain_labels"]

# A block is as large as eight of the rows with options, which hold some twenty at a time, and takes
# as much memory as a gradient of weights, which is added to once a block.
_BLOCKS = 8


def plain_labels(source: RowSource, loss: LossArguments) -> PlainLabels | None:
    """The loss, or None where it has options, or any argument that must be refused by name."""
    if not loss.is_plain:
        return None
    target, rows = loss.target, loss.rows_of(source.logits_like)
    if target.dtype.is_floating_point or target.dtype == torch.bool or target.shape != rows:
        return None
    labels, absent = target.reshape(-1).long(), None
    if loss.ignore_index is not None:
        absent = labels == loss.ignore_index
        labels = labels.masked_fill(absent, 0)
    if not len(labels):
        return None
    numbers = [*torch.aminmax(labels)] + ([] if absent is None else [absent.sum()])
    least, most, *n_absent = torch.stack(numbers).tolist()  # all that the device is waited for
    n_counted = len(labels) - sum(n_absent)
    if least < 0 or most >= source.n_classes or n_counted == 0:
        return None
    divisor = 1.0
    if loss.reduction == "mean":
        divisor = n_counted if loss.divisor is None else loss.divisor
    return PlainLabels(source, loss, labels, absent if n_counted < len(labels) else None, divisor)


class PlainLabels:
    """E and g G of rows with labels."""

    def __init__(
        self,
        source: RowSource,
        loss: LossArguments,
        labels: torch.Tensor,
        absent: torch.Tensor | None,
        divisor: float,
    ) -> None:
        self.source, self.loss, self.absent, self.divisor = source, loss, absent, divisor
        self.labels = labels  # 0 where a row is absent
        source.absent = absent

    def value_and_grad(self, needs: Needs) -> tuple[torch.Tensor, Tensors]:
        """E, and G from the same pass."""
        self.source.start(needs, 1.0 / self.divisor)
        losses = torch.cat([self._block(rows, any(needs)) for rows in self._blocks()])
        if self.absent is not None:
            losses = losses.masked_fill(self.absent, 0.0)
        value = self.loss.reduced(losses, self.source.logits_like, self.divisor)
        return value, self.source.gradients()

    def vjp(self, g: torch.Tensor, needs: Needs) -> Tensors:
        """g G: each row's share of the largest g, and that at the end."""
        g = g.reshape(-1).double()
        relative = None
        if self.loss.reduction == "none":
            top = g.abs().nan_to_num(0.0, 0.0).amax().clamp(min=torch.finfo(g.dtype).tiny)
            relative, g = g / top, top
        self.source.start(needs, g.squeeze() / self.divisor)
        for rows in self._blocks():
            self._block(rows, True, relative)
        return self.source.gradients()

    def _blocks(self) -> Iterator[slice]:
        source = self.source
        return blocks(source.n_rows, source.n_classes, max(_BLOCKS, source.blocks_of_weights // 4))

    def _block(
        self, rows: slice, wanted: bool, relative: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The losses of some rows (R,) in float64; their gradient goes to what they are made of."""
        z, label = self.source.logits(rows), self.labels[rows].unsqueeze(1)
        top, where_top = z.max(dim=1, keepdim=True)
        of_label = z.gather(1, label)
        p = torch.softmax(z, dim=1)
        of_top = p.gather(1, where_top)
        others = p.scatter_(1, label, 0.0).sum(dim=1, keepdim=True)  # 1 - p_t
        if wanted:
            self._pass_on(rows, p.scatter_(1, label, -others), relative)
        top, of_label, of_top, others = (t.double() for t in (top, of_label, of_top, others))
        far = (top - of_label) - torch.log(of_top)
        return torch.where(others < 0.5, -torch.log1p(-others), far).squeeze(1)

    def _pass_on(self, rows: slice, gradient: torch.Tensor, relative: torch.Tensor | None) -> None:
        if relative is not None:
            gradient.mul_(relative[rows].unsqueeze(1))
        if self.absent is not None:
            gradient.masked_fill_(self.absent[rows].unsqueeze(1), 0.0)
        self.source.add(rows, gradient)
