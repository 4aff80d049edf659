"""What every loss of tensors takes beside its logits, flat as torch's operators want it."""

from __future__ import annotations

from typing import Any, NamedTuple, TypedDict

import torch

from .._typing import ArrayLike
from ._tensors import as_tensor, float_dtype, optional_array

__all__ = ["BinaryLossKeywords", "LossArguments", "LossKeywords", "loss_arguments"]


class BinaryLossKeywords(TypedDict, total=False):
    """The options of :func:`crossent.torch.binary_cross_entropy`."""

    class_weight: torch.Tensor | ArrayLike | None
    sample_weight: torch.Tensor | ArrayLike | None
    ignore_index: int | None
    label_smoothing: float
    temperature: float
    reduction: str
    normalizer: str | float
    empty: str


class LossKeywords(BinaryLossKeywords, total=False):
    """The options of :func:`crossent.torch.cross_entropy`, taken by the linear loss too."""

    softcap: float | None
    z_loss: float
    where: torch.Tensor | ArrayLike | None


class LossArguments(NamedTuple):
    """Truth and options in the order of ``SCHEMA``: tensors first, then what torch does not see."""

    target: torch.Tensor
    class_weight: torch.Tensor | None
    sample_weight: torch.Tensor | None
    where: torch.Tensor | None
    axis: int
    ignore_index: int | None
    label_smoothing: float
    temperature: float
    softcap: float | None
    z_loss: float
    reduction: str
    normalizer: str
    divisor: float | None  # where the normalizer is a number
    empty: str
    workspace_bytes: int | None  # of the linear layer

    N_TENSORS = 4
    SCHEMA = (
        "Tensor target, Tensor? class_weight, Tensor? sample_weight, Tensor? where, int axis, "
        "int? ignore_index, float label_smoothing, float temperature, float? softcap, "
        "float z_loss, str reduction, str normalizer, float? divisor, str empty, "
        "int? workspace_bytes"
    )

    @property
    def options(self) -> Any:
        """Keyword arguments of the functions on arrays, all but the class axis."""
        return {
            "class_weight": optional_array(self.class_weight),
            "sample_weight": optional_array(self.sample_weight),
            "ignore_index": self.ignore_index,
            "label_smoothing": self.label_smoothing,
            "temperature": self.temperature,
            "softcap": self.softcap,
            "z_loss": self.z_loss,
            "where": optional_array(self.where),
            "reduction": self.reduction,
            "normalizer": self.normalizer if self.divisor is None else self.divisor,
            "empty": self.empty,
        }

    @property
    def binary_options(self) -> Any:
        """Those of them that a loss of one logit a row has."""
        absent = ("softcap", "z_loss", "where")
        return {name: value for name, value in self.options.items() if name not in absent}

    def losses_like(self, logits: torch.Tensor, rows: tuple[int, ...]) -> torch.Tensor:
        """Memory for the reduced loss: float32 for the mean or sum of 16-bit logits."""
        dtype = float_dtype(logits)
        if self.reduction == "none":
            return logits.new_empty(rows, dtype=dtype)
        return logits.new_empty((), dtype=torch.float32 if dtype.itemsize == 2 else dtype)


def loss_arguments(
    like: torch.Tensor,
    target: torch.Tensor | ArrayLike,
    axis: int,
    *,
    class_weight: torch.Tensor | ArrayLike | None = None,
    sample_weight: torch.Tensor | ArrayLike | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    temperature: float = 1.0,
    softcap: float | None = None,
    z_loss: float = 0.0,
    where: torch.Tensor | ArrayLike | None = None,
    reduction: str = "mean",
    normalizer: str | float = "weight",
    empty: str = "nan",
    workspace_bytes: int | None = None,
) -> LossArguments:
    """Bring the options into the form that an operator takes; values are checked within it."""
    truth = as_tensor(target, like, "target")
    assert truth is not None
    named = isinstance(normalizer, str)
    return LossArguments(
        truth,
        as_tensor(class_weight, like, "class_weight"),
        as_tensor(sample_weight, like, "sample_weight"),
        as_tensor(where, like, "where"),
        axis,
        ignore_index,
        label_smoothing,
        temperature,
        softcap,
        z_loss,
        reduction,
        normalizer if named else "weight",
        None if named else float(normalizer),
        empty,
        workspace_bytes,
    )
