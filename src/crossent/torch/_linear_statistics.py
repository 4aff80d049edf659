"""What is known of each row of a linear layer's logits, of tensors and over ranks."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from .. import ops
from .._arguments import TopKTargets
from .._typing import ArrayLike
from ._joined import joined, joined_or_none
from ._loss import loss_arguments, truth_of, truth_tensors
from ._operator import Operator
from ._ranks import OneRank, ranks_of
from ._row_blocks import LayerLogits, blocks
from ._row_losses import Rows
from ._sharded import local_part, refuse_dtensors
from ._tensors import array_of, check_device, check_tensor, float_dtype, parameter_array, tensor_of

__all__ = ["LinearStatistics", "linear_statistics"]


class LinearStatistics(NamedTuple):
    """What `linear_statistics` finds of each row; all have the rows' shape, the last two k more."""

    lse: torch.Tensor
    log_probability: torch.Tensor | None
    entropy: torch.Tensor
    argmax: torch.Tensor
    top_indices: torch.Tensor
    top_probabilities: torch.Tensor


def linear_statistics(
    inputs: torch.Tensor,
    weight: torch.Tensor,
    target: torch.Tensor | ArrayLike | TopKTargets | None = None,
    *,
    bias: torch.Tensor | None = None,
    top_k: int = 0,
    workspace_bytes: int | None = None,
    process_group: Any = None,
) -> LinearStatistics:
    """What is known of each row of a linear layer's logits, without the logits, of tensors.

    ``l = log sum_k exp(z_k)``, ``sum_k y_k log p_k`` and ``-sum_k p_k log p_k``:
    :func:`crossent.linear_statistics`.

    Parameters
    ----------
    inputs : Tensor, shape (..., n)
    weight : Tensor, shape (K, n)
    target : Tensor, optional
        Labels, shape (...), or targets, shape (..., K) or :class:`crossent.TopKTargets`.
    bias : Tensor, shape (K,), optional
    top_k : int
        How many of the most probable classes to return.
    workspace_bytes : int, optional
        As in :func:`crossent.linear_cross_entropy`.
    process_group : torch.distributed.ProcessGroup, optional
        As in :func:`crossent.torch.linear_cross_entropy`; classes are counted over all ranks.

    Returns
    -------
    LinearStatistics
        ``lse``, ``log_probability`` (None without a target) and ``entropy`` in the dtype of the
        inputs, ``argmax`` as int64, each of shape (...); ``top_indices`` and
        ``top_probabilities``, shape (..., top_k), the most probable first.

    Raises
    ------
    TypeError, ValueError
        As :func:`crossent.linear_statistics`.
    NotImplementedError
        Where a derivative is asked for: use :func:`crossent.torch.linear_cross_entropy`.

    Examples
    --------
    >>> import torch
    >>> from crossent.torch import linear_statistics
    >>> found = linear_statistics(torch.ones(1, 1), torch.tensor([[0.0], [2.0], [1.0]]), top_k=2)
    >>> found.argmax, found.top_indices
    (tensor([1]), tensor([[1, 2]]))
    """
    check_tensor(inputs, "inputs")
    refuse_dtensors(inputs=inputs, target=target)
    weight, process_group = local_part(weight, 0, process_group, None)
    check_device(weight, inputs, "weight")
    if bias is not None:
        bias, _ = local_part(bias, 0, process_group, None)
        check_device(bias, inputs, "bias")
    truth, indices, tail = None, None, "zero"
    if target is not None:
        truth, indices, tail = truth_tensors(target, inputs)
    arguments = (inputs, weight, bias, truth, indices, tail, top_k)
    if process_group is None:
        found = LinearStatistics(*_linear_statistics(*arguments, workspace_bytes))
    else:
        with torch.no_grad():
            found = _over_ranks(*arguments, process_group)
    return found if target is not None else found._replace(log_probability=None)


@Operator
class _linear_statistics:
    """Numbers to look at: there is no derivative, and who asks for one is told so."""

    schema = (
        "linear_statistics(Tensor inputs, Tensor weight, Tensor? bias, Tensor? target, "
        "Tensor? indices, str tail, int top_k, int? workspace_bytes) "
        "-> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)"
    )

    @staticmethod
    def compute(
        inputs: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        target: torch.Tensor | None,
        indices: torch.Tensor | None,
        tail: str,
        top_k: int,
        workspace_bytes: int | None,
    ) -> tuple[Any, ...]:
        if not inputs.is_cpu:
            return tuple(_over_ranks(inputs, weight, bias, target, indices, tail, top_k, None))
        found = ops.linear_statistics(
            array_of(inputs),
            parameter_array(weight),
            None if target is None else truth_of(target, indices, tail),
            bias=parameter_array(bias),
            top_k=top_k,
            workspace_bytes=workspace_bytes,
        )
        shape = (*inputs.shape[:-1], 0)
        most = found.top_k
        return (
            tensor_of(found.lse),
            inputs.new_empty((0,)) if target is None else tensor_of(found.log_probability),
            tensor_of(found.entropy),
            tensor_of(found.argmax),
            inputs.new_empty(shape, dtype=torch.int64) if most is None else tensor_of(most.indices),
            inputs.new_empty(shape) if most is None else tensor_of(most.probabilities),
        )

    @staticmethod
    def fake(
        inputs: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        target: torch.Tensor | None,
        indices: torch.Tensor | None,
        tail: str,
        top_k: int,
        workspace_bytes: int | None,
    ) -> tuple[torch.Tensor, ...]:
        rows, dtype = tuple(inputs.shape[:-1]), float_dtype(inputs)
        number = inputs.new_empty(rows, dtype=dtype)
        return (
            number,
            inputs.new_empty((0,), dtype=dtype) if target is None else torch.empty_like(number),
            torch.empty_like(number),
            inputs.new_empty(rows, dtype=torch.int64),
            inputs.new_empty((*rows, top_k), dtype=torch.int64),
            inputs.new_empty((*rows, top_k), dtype=dtype),
        )

    @staticmethod
    def batched(operator: Operator, size: int, in_dims: Any, args: Any) -> Any:
        """Rows of all members, where they share the layer."""
        inputs, weight, bias, target, indices, *others = args
        of_inputs, of_weight, of_bias, of_target, of_indices = in_dims[:5]
        if of_weight is not None or of_bias is not None:
            return None
        truth = (
            joined_or_none(target, of_target, size),
            joined_or_none(indices, of_indices, size),
        )
        made = operator(joined(inputs, of_inputs, size), weight, bias, *truth, *others)
        return made, (0, None if target is None else 0, 0, 0, 0, 0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:
        ctx.mark_non_differentiable(output[3], output[4])

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise NotImplementedError(_NO_DERIVATIVE)

    @staticmethod
    def jvp(ctx: Any, *_: Any) -> Any:
        raise NotImplementedError(_NO_DERIVATIVE)


_NO_DERIVATIVE = (
    "linear_statistics has no derivative: detach what it is given, or differentiate "
    "crossent.torch.linear_cross_entropy"
)


def _over_ranks(
    inputs: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    target: torch.Tensor | None,
    indices: torch.Tensor | None,
    tail: str,
    top_k: int,
    group: Any,
) -> LinearStatistics:
    """The same in torch's operations, of this rank's classes and then of all."""
    source = LayerLogits(inputs, weight, bias)
    ranks = ranks_of(source.n_classes, source.n_rows, group, inputs.device)
    if not 0 <= top_k <= ranks.n_classes:
        raise ValueError(f"top_k must be in 0 ... {ranks.n_classes}, got {top_k}")
    shape = inputs.shape[:-1]
    truth: Any = inputs.new_zeros(shape, dtype=torch.int64) if target is None else target
    if indices is not None:
        truth = TopKTargets(indices, truth, tail)
    rows = Rows(source, loss_arguments(inputs, truth, -1, reduction="none"), ranks)
    known, pieces = rows.known, []
    for block in blocks(source.n_rows, source.n_classes):
        z, top = source.logits(block), known.top[block].unsqueeze(1)
        below = z - top.to(z.dtype)
        moment = torch.where(below == -torch.inf, 0.0, below.exp() * below)
        values, indices = z.topk(min(max(1, top_k), source.n_classes), dim=1)
        pieces.append((moment.sum(dim=1, dtype=torch.float64), values, indices + ranks.offset))
    moment, values, indices = map(torch.cat, zip(*pieces, strict=True))
    values, indices = _gathered(ranks, values, indices)
    values, order = values.sort(dim=1, descending=True, stable=True)
    indices = indices.gather(1, order)
    lse = torch.where(known.top.isinf(), known.top, known.lse)
    entropy = torch.log1p(known.rest) - ranks.total(moment) / (1.0 + known.rest)
    likely = (values[:, :top_k].double() - known.top.unsqueeze(1)).exp()
    dtype = float_dtype(inputs)
    return LinearStatistics(
        lse.to(dtype).reshape(shape),
        rows.value().neg().to(dtype),
        entropy.to(dtype).reshape(shape),
        indices[:, 0].reshape(shape),
        indices[:, :top_k].reshape(*shape, top_k),
        (likely / (1.0 + known.rest).unsqueeze(1)).to(dtype).reshape(*shape, top_k),
    )


def _gathered(
    ranks: OneRank, values: torch.Tensor, indices: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The largest logits of every rank, side by side; those of lower classes first."""
    (counts,) = ranks.of_each(values.shape[1])
    before, width = sum(counts[: ranks.rank]), sum(counts)
    side = values.new_zeros((len(values), width), dtype=torch.float64)
    names = indices.new_zeros((len(values), width))
    here = slice(before, before + values.shape[1])
    side[:, here], names[:, here] = values, indices
    return ranks.total(side), ranks.total(names)
