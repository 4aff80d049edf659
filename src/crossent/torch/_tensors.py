"""Between tensors and arrays, over the same memory."""

from __future__ import annotations

import numpy as np
import torch
from torch._C import _functorch  # pyright: ignore[reportAttributeAccessIssue]

from .._typing import Array, ArrayLike

__all__ = [
    "array_of",
    "as_tensor",
    "empty_like",
    "float_dtype",
    "is_plain",
    "not_differentiated",
    "optional_array",
    "tensor_of",
]

_PLAIN = (torch.Tensor, torch.nn.Parameter)
_is_batched = _functorch.is_legacy_batchedtensor


def is_plain(*tensors: torch.Tensor | None) -> bool:
    """Whether all of them hold numbers in this process's memory: no fakes, no batches."""
    for tensor in tensors:  # a loop: it stands in the way of every small call
        if tensor is not None and (type(tensor) not in _PLAIN or _is_batched(tensor)):
            return False
    return True


def array_of(tensor: torch.Tensor) -> Array:
    """A view of a CPU tensor; NumPy knows bfloat16 by ml_dtypes."""
    tensor = tensor.detach() if tensor.requires_grad else tensor
    if tensor.dtype is torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(_bfloat16())
    return tensor.numpy()


def optional_array(tensor: torch.Tensor | None) -> Array | None:
    """``array_of``, or None for None."""
    return None if tensor is None else array_of(tensor)


def tensor_of(array: ArrayLike) -> torch.Tensor:
    """A tensor over the memory of an array that nobody else keeps."""
    array = np.asarray(array)
    if array.dtype.kind == "V":  # bfloat16, the only such dtype that results have
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def empty_like(tensor: torch.Tensor) -> torch.Tensor:
    """New memory for a CPU tensor, from NumPy: it asks for large pages, which torch does not."""
    memory = np.empty(tensor.shape, f"i{tensor.dtype.itemsize}")
    return torch.from_numpy(memory).view(tensor.dtype)


def _bfloat16() -> np.dtype:
    try:
        import ml_dtypes
    except ModuleNotFoundError as error:
        raise ImportError(
            'bfloat16 tensors need ml_dtypes, which is not installed: pip install "crossent[torch]"'
        ) from error
    return np.dtype(ml_dtypes.bfloat16)


def as_tensor(
    value: torch.Tensor | ArrayLike | None, like: torch.Tensor, name: str
) -> torch.Tensor | None:
    """What stands beside the logits, as a tensor on their device; nothing is differentiated in it.

    A zero instead of its gradient would be silent and wrong, so one that asks for it is an error.
    """
    if value is None:
        return None
    if not isinstance(value, torch.Tensor):
        return torch.as_tensor(value, device=like.device)
    if value.requires_grad and torch.is_grad_enabled():
        raise not_differentiated(name)
    return value


def not_differentiated(name: str) -> ValueError:
    """The error for a derivative in what stands beside the logits."""
    return ValueError(
        f"a derivative in {name} is asked for, but the loss is differentiated in its logits or "
        f"layer only: pass {name}.detach()"
    )


def float_dtype(tensor: torch.Tensor) -> torch.dtype:
    """The dtype of a result: that of the tensor, float64 for integers and bool."""
    return tensor.dtype if tensor.dtype.is_floating_point else torch.float64
