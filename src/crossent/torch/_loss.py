"""What every loss of tensors takes beside its logits, flat as torch's operators want it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypedDict

import torch

from .._arguments import TopKTargets
from .._typing import ArrayLike
from ._tensors import array_of, as_tensor, float_dtype, optional_array, optional_tensor

__all__ = [
    "BinaryLossKeywords",
    "LossArguments",
    "LossKeywords",
    "has_labels",
    "loss_arguments",
    "plain_loss_arguments",
    "truth_of",
    "truth_tensors",
]


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
    indices: torch.Tensor | None  # of top-k targets, whose probabilities are the target then
    class_weight: torch.Tensor | None
    sample_weight: torch.Tensor | None
    where: torch.Tensor | None
    axis: int
    tail: str  # of top-k targets
    ignore_index: int | None
    label_smoothing: float
    temperature: float
    softcap: float | None
    z_loss: float
    reduction: str
    normalizer: str
    divisor: float | None  # where the normalizer is a number
    empty: str
    workspace_bytes: int | None  # of the linear layer, as is the next
    deterministic: bool

    N_TENSORS = 5
    SCHEMA = (
        "Tensor target, Tensor? indices, Tensor? class_weight, Tensor? sample_weight, "
        "Tensor? where, int axis, str tail, int? ignore_index, float label_smoothing, "
        "float temperature, float? softcap, float z_loss, str reduction, str normalizer, "
        "float? divisor, str empty, int? workspace_bytes, bool deterministic"
    )

    @property
    def truth(self) -> Any:
        """Labels or targets as the functions on arrays take them."""
        return truth_of(self.target, self.indices, self.tail)

    @property
    def is_plain(self) -> bool:
        """Whether labels have no option but those of which rows count, and the divisor."""
        plain = self[8:12] == _PLAIN[1:5] and self[1] is self[2] is self[3] is self[4] is None
        said = self.reduction in ("none", "sum", "mean") and self.normalizer in ("weight", "count")
        return plain and said and (self.divisor is None or 0.0 < self.divisor < math.inf)

    @property
    def options(self) -> Any:
        """Keyword arguments of the functions on arrays, all but the class axis; {} where plain."""
        if self[7:16] == _PLAIN and self[2] is self[3] is self[4] is None:
            return {}  # which is checked sooner
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

    def rows_of(self, logits: torch.Tensor) -> tuple[int, ...]:
        """The shape of logits without their class axis."""
        shape = list(logits.shape)
        del shape[self.axis]
        return tuple(shape)

    def reduced(
        self, losses: torch.Tensor, logits_like: torch.Tensor, divisor: float
    ) -> torch.Tensor:
        """Losses of the rows, (N,) in float64, as they are returned."""
        rows = self.rows_of(logits_like)
        dtype = self.losses_like(logits_like.to("meta"), rows).dtype
        if self.reduction == "none":
            return losses.reshape(rows).to(dtype)
        return (losses.sum() / divisor).to(dtype)

    def losses_like(self, logits: torch.Tensor, rows: tuple[int, ...]) -> torch.Tensor:
        """Memory for the reduced loss: float32 for the mean or sum of 16-bit logits."""
        dtype = float_dtype(logits)
        if self.reduction == "none":
            return logits.new_empty(rows, dtype=dtype)
        return logits.new_empty((), dtype=torch.float32 if dtype.itemsize == 2 else dtype)


_PLAIN = (None, 0.0, 1.0, None, 0.0, "mean", "weight", None, "nan")  # of ignore_index to empty
_NONE = (None, None, None)  # of class_weight to where


def truth_of(target: torch.Tensor, indices: torch.Tensor | None, tail: str) -> Any:
    """Labels or targets on the CPU as the functions on arrays take them."""
    values = array_of(target)
    return values if indices is None else TopKTargets(array_of(indices), values, tail)


def truth_tensors(
    target: torch.Tensor | ArrayLike | TopKTargets, like: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor | None, str]:
    """Labels, targets or the probabilities of top-k targets; indices and tail of the latter."""
    if not isinstance(target, TopKTargets):
        return as_tensor(target, like, "target"), None, "zero"
    indices, probabilities, tail = target
    return (
        as_tensor(probabilities, like, "probabilities"),
        as_tensor(indices, like, "indices"),
        tail,
    )


def has_labels(target: torch.Tensor | TopKTargets, logits: torch.Tensor) -> bool:
    """Whether a target has no class axis, which the logits (or a layer's inputs) have."""
    return not isinstance(target, TopKTargets) and target.ndim < logits.ndim


def plain_loss_arguments(
    like: torch.Tensor, target: torch.Tensor | ArrayLike | TopKTargets, axis: int
) -> LossArguments:
    """Those without options, of which none need be looked at: a small call is mostly its plan."""
    truth, indices, tail = truth_tensors(target, like)
    return LossArguments(truth, indices, *_NONE, axis, tail, *_PLAIN, None, False)


def loss_arguments(
    like: torch.Tensor,
    target: torch.Tensor | ArrayLike | TopKTargets,
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
    deterministic: bool = False,
) -> LossArguments:
    """Bring the options into the form that an operator takes; values are checked within it."""
    truth, indices, tail = truth_tensors(target, like)
    named = isinstance(normalizer, str)
    return LossArguments(
        truth,
        indices,
        optional_tensor(class_weight, like, "class_weight"),
        optional_tensor(sample_weight, like, "sample_weight"),
        optional_tensor(where, like, "where"),
        axis,
        tail,
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
        deterministic,
    )
