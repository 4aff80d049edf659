"""Between tensors and arrays, over the same memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch._C import _functorch  # pyright: ignore[reportAttributeAccessIssue]

from .._typing import Array, ArrayLike

__all__ = [
    "array_of",
    "as_tensor",
    "check_device",
    "check_tensor",
    "empty_like",
    "float_dtype",
    "has_numbers",
    "is_plain",
    "not_differentiated",
    "optional_array",
    "optional_tensor",
    "parameter_array",
    "tensor_of",
]

_PLAIN = (torch.Tensor, torch.nn.Parameter)
_BFLOAT16 = torch.bfloat16
_is_batched = _functorch.is_legacy_batchedtensor


def is_plain(*tensors: torch.Tensor | None) -> bool:
    """Whether all of them hold numbers: no fakes, no batches, nothing on device "meta"."""
    for tensor in tensors:  # a loop: it stands in the way of every small call
        if tensor is not None and (
            type(tensor) not in _PLAIN or tensor.is_meta or _is_batched(tensor)
        ):
            return False
    return True


def has_numbers(tensor: torch.Tensor) -> bool:
    """Whether a number may be read from a tensor, which is no fake, no batch, nor traced."""
    return is_plain(tensor) and not _functorch.is_functorch_wrapped_tensor(tensor)


def array_of(tensor: torch.Tensor) -> Array:
    """A view of a CPU tensor; NumPy knows bfloat16 by ml_dtypes."""
    if tensor.dtype is _BFLOAT16:
        return tensor.detach().view(torch.int16).numpy().view(_bfloat16())
    return tensor.numpy(force=tensor.requires_grad)  # which detaches, and copies nothing here


def parameter_array(tensor: torch.Tensor | None) -> Any:
    """``array_of`` a parameter, whose memory others may want to free while it is not used.

    ``numpy()`` makes a storage one that cannot be resized, and FullyShardedDataParallel frees the
    weights that it has gathered by resizing them to nothing.
    """
    if tensor is None:
        return None
    tensor = tensor.detach()
    if tensor.dtype is _BFLOAT16:
        return np.from_dlpack(tensor.view(torch.int16)).view(_bfloat16())
    return np.from_dlpack(tensor)


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


def as_tensor(value: torch.Tensor | ArrayLike, like: torch.Tensor, name: str) -> torch.Tensor:
    """What stands beside the logits, as a tensor on their device; nothing is differentiated in it.

    A zero instead of its gradient would be silent and wrong, so one that asks for it is an error.
    """
    if not isinstance(value, torch.Tensor):
        return torch.as_tensor(value, device=like.device)
    check_device(value, like, name)
    if value.requires_grad and torch.is_grad_enabled():
        raise not_differentiated(name)
    return value


def optional_tensor(
    value: torch.Tensor | ArrayLike | None, like: torch.Tensor, name: str
) -> torch.Tensor | None:
    """``as_tensor``, or None for None."""
    return None if value is None else as_tensor(value, like, name)


def check_tensor(value: object, name: str) -> None:
    """Refuse an array or a list where a tensor is what the result is made like."""
    if not isinstance(value, torch.Tensor):
        raise TypeError(
            f"{name} must be a torch.Tensor, got {type(value).__name__}: pass "
            f"torch.as_tensor({name}), or call crossent's function of arrays"
        )


def check_device(value: torch.Tensor, like: torch.Tensor, name: str) -> None:
    """Refuse what is no tensor, or one that is elsewhere than the logits or inputs are."""
    check_tensor(value, name)
    if value.device != like.device:
        raise ValueError(
            f"{name} is on device {value.device}, but what it belongs to is on {like.device}: pass "
            f'{name}.to("{like.device}")'
        )


def not_differentiated(name: str) -> ValueError:
    """The error for a derivative in what stands beside the logits."""
    return ValueError(
        f"a derivative in {name} is asked for, but the loss is differentiated in its logits or "
        f"layer only: pass {name}.detach()"
    )


def float_dtype(tensor: torch.Tensor) -> torch.dtype:
    """The dtype of a result: that of the tensor, float64 for integers and bool."""
    return tensor.dtype if tensor.dtype.is_floating_point else torch.float64
