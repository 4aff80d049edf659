"""The process groups of a module, and the classes that a rank's module holds."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist

from ._ranks import Ranks

__all__ = ["ModuleGroups", "classes_here", "layer_of_own", "take_part"]


class ModuleGroups:
    """The groups of a module: a copy of the module shares them, since they cannot be copied."""

    def __init__(self, process_group: Any, data_group: Any) -> None:
        self.process_group, self.data_group = process_group, data_group

    def __deepcopy__(self, memo: dict[int, Any]) -> ModuleGroups:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self.process_group is not None or self.data_group is not None:
            raise TypeError(
                "a module with a process group cannot be pickled, as the group cannot: save its "
                "state_dict() on each rank, and load it into a module made with the same groups"
            )
        return ModuleGroups, (None, None)

    @property
    def keywords(self) -> dict[str, Any]:
        """As the functions take them."""
        return {"process_group": self.process_group, "data_group": self.data_group}


def classes_here(num_classes: int, group: Any, local_classes: int | None, device: Any) -> slice:
    """The classes that this rank holds: as even a split as can be, or as many as it likes."""
    if group is None:
        if local_classes not in (None, num_classes):
            raise ValueError(
                f"local_classes is {local_classes}, but without process_group all {num_classes} "
                "classes are here: pass the group they are split over"
            )
        return slice(0, num_classes)
    if local_classes is None:
        rank, size = dist.get_rank(group), dist.get_world_size(group)
        each, more = divmod(num_classes, size)
        if each == 0:
            raise ValueError(
                f"{num_classes} classes cannot be split over {size} ranks, each of which must "
                "hold one at least: pass a smaller process_group"
            )
        start = rank * each + min(rank, more)
        return slice(start, start + each + (rank < more))
    ranks = Ranks(local_classes, group, torch.device(device or torch.get_default_device()))
    if ranks.n_classes != num_classes:
        raise ValueError(
            f"the ranks' local_classes sum to {ranks.n_classes}, but num_classes is {num_classes}: "
            "each class must be on one rank"
        )
    return slice(ranks.offset, ranks.offset + local_classes)


def layer_of_own(n_features: int, here: slice, group: Any, **options: Any) -> torch.nn.Linear:
    """A new layer of the classes that are here, drawn anew on each rank, as a whole one would be.

    Ranks that all have one seed would otherwise draw the same rows.
    """
    n_classes = here.stop - here.start
    if group is None:
        return torch.nn.Linear(n_features, n_classes, **options)
    seed = int(torch.randint(2**62, ()))
    with torch.random.fork_rng():
        torch.manual_seed(seed + dist.get_rank(group))
        return torch.nn.Linear(n_features, n_classes, **options)


def take_part(module: Any, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Of the state of a module that holds all classes, take those that are here."""
    here, n_classes = module.classes, module.num_classes
    if here.stop - here.start == n_classes:
        return
    for name in ("linear.weight", "linear.bias", "weight"):
        tensor = state.get(prefix + name)
        if tensor is not None and tensor.shape[0] == n_classes:
            state[prefix + name] = tensor[here]
