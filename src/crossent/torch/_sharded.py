"""Of a DTensor the part that this rank holds, and the group over which its classes are sharded."""

from __future__ import annotations

import sys
from typing import Any

import torch

__all__ = ["local_part", "refuse_dtensors"]


def _is_dtensor(value: Any) -> bool:
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(value, module.DTensor)


def local_part(
    tensor: torch.Tensor, axis: int, group: Any, data_group: Any
) -> tuple[torch.Tensor, Any]:
    """A DTensor's part on this rank, and the group of its classes, which lie along an axis.

    On a mesh of data x classes the ranks along the data's dimension hold the same part and rows of
    their own, so the gradient is the mean over ``data_group``, which must be that dimension's.
    """
    if not _is_dtensor(tensor):
        return tensor, group
    dtensor: Any = tensor
    mesh, axis = dtensor.device_mesh, axis % tensor.ndim
    sharded = [i for i, placed in enumerate(dtensor.placements) if placed.is_shard(axis)]
    copied = [i for i, placed in enumerate(dtensor.placements) if placed.is_replicate()]
    if len(sharded) > 1 or len(sharded) + len(copied) < mesh.ndim:
        raise ValueError(
            f"a DTensor must be sharded along its classes, axis {axis}, in one dimension of its "
            f"mesh and replicated in the others, but its placements are {dtensor.placements}: "
            "redistribute it"
        )
    if sharded:
        group = mesh.get_group(sharded[0])
    differentiated = tensor.requires_grad and torch.is_grad_enabled()
    if differentiated and (mesh.ndim > 1 or data_group is not None):
        return _of_common(dtensor, copied, data_group), group
    return dtensor.to_local(), group


def _of_common(dtensor: Any, copied: list[int], data_group: Any) -> torch.Tensor:
    """The part of a DTensor that several ranks have alike; the gradient is the mean of theirs."""
    from torch.distributed.tensor import Partial

    mesh, placements = dtensor.device_mesh, list(dtensor.placements)
    for i in copied:
        if mesh.size(i) == 1:
            continue
        due = torch.distributed.get_process_group_ranks(mesh.get_group(i))
        ranks = (
            None if data_group is None else torch.distributed.get_process_group_ranks(data_group)
        )
        if ranks != due:
            raise ValueError(
                f"a DTensor is replicated along dimension {i} of its mesh, where ranks {due} have "
                f"rows of their own, but data_group {_said(ranks)}: pass "
                f"data_group=mesh.get_group({i}), or the DTensor's to_local() if all have the "
                "same rows"
            )
        placements[i] = Partial("avg")
    return dtensor.to_local(grad_placements=placements)


def _said(ranks: list[int] | None) -> str:
    return "is None" if ranks is None else f"has the ranks {ranks}"


def refuse_dtensors(**tensors: Any) -> None:
    """What has rows is each rank's own: as a DTensor it would be mixed with plain tensors."""
    for name, tensor in tensors.items():
        if _is_dtensor(tensor):
            raise TypeError(
                f"{name} must be a plain tensor, each rank's own rows, but it is a DTensor: pass "
                "its to_local()"
            )
