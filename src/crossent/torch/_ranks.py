"""Classes split over the ranks of a process group: three collectives forward, one backward."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist

__all__ = ["OneRank", "Ranks", "mean_over_ranks", "ranks_of"]


class OneRank:
    """All classes in one place: nothing to be exchanged."""

    rank, size = 0, 1

    def __init__(self, n_classes: int) -> None:
        self.offset = 0
        self.n_classes = self.most_classes = n_classes

    def of_each(self, *numbers: int) -> list[list[int]]:
        """Numbers that each rank has, each of all of them."""
        return [[number] for number in numbers]

    def maximum(self, values: torch.Tensor) -> torch.Tensor:
        """The values themselves."""
        return values

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """The values themselves."""
        return values


class Ranks(OneRank):
    """Each rank holds some classes, in the order of the ranks; as many as it likes."""

    def __init__(
        self, n_classes: int, group: dist.ProcessGroup, device: torch.device, n_rows: int = 0
    ) -> None:
        self.group, self.device = group, device
        self.rank, self.size = dist.get_rank(group), dist.get_world_size(group)
        counts, rows = self.of_each(n_classes, n_rows)
        self.offset, self.n_classes = sum(counts[: self.rank]), sum(counts)
        self.most_classes = max(counts)  # of one rank
        if 0 in counts:
            raise ValueError(
                f"rank {counts.index(0)} of process_group holds none of the {self.n_classes} "
                "classes, but each must hold one at least: split them over fewer ranks"
            )

        if min(rows) < max(rows):
            raise ValueError(
                f"the ranks of process_group have {rows} rows, but must have the same: pass rows "
                "that are each rank's own with data_group instead"
            )

    def of_each(self, *numbers: int) -> list[list[int]]:
        """Numbers that each rank has, each of all of them."""
        table = torch.zeros((len(numbers), self.size), dtype=torch.int64, device=self.device)
        table[:, self.rank] = torch.tensor(numbers)
        return self.total(table).tolist()

    def maximum(self, values: torch.Tensor) -> torch.Tensor:
        """The largest over the ranks; a NaN stays one."""
        missing = values.isnan()
        found = self._reduced(torch.where(missing, torch.inf, values), dist.ReduceOp.MAX)
        return torch.where(missing, torch.nan, found)

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over the ranks."""
        return self._reduced(values.clone(), dist.ReduceOp.SUM)

    def _reduced(self, values: torch.Tensor, operation: Any) -> torch.Tensor:
        return _all_reduced(values, operation, self.group, "process_group")


def _all_reduced(
    values: torch.Tensor, operation: Any, group: dist.ProcessGroup, name: str
) -> torch.Tensor:
    try:
        dist.all_reduce(values, operation, group=group)
    except RuntimeError as error:
        raise RuntimeError(
            f"a rank of {name} did not take part in the loss: it failed, left, or was called with "
            "other shapes. Look for the first error among the ranks; how long the others wait is "
            "the timeout of torch.distributed.init_process_group"
        ) from error
    return values


def ranks_of(n_classes: int, n_rows: int, group: Any, device: torch.device) -> OneRank:
    """Who holds which classes, of rows that all have."""
    return OneRank(n_classes) if group is None else Ranks(n_classes, group, device, n_rows)


def mean_over_ranks(divisor: float, group: dist.ProcessGroup, device: torch.device) -> float:
    """What each of several ranks divides by, which have rows of their own: the mean of theirs.

    Then the mean of the ranks' losses, and of their gradients as DistributedDataParallel takes it,
    is that of all rows together.
    """
    total = torch.tensor([divisor], dtype=torch.float64, device=device)
    _all_reduced(total, dist.ReduceOp.SUM, group, "data_group")
    return total.item() / dist.get_world_size(group)
