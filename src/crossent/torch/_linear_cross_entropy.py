"""Linear layer and cross-entropy of tensors as one."""

from __future__ import annotations

from typing import Any, Unpack

import torch

from .._arguments import TopKTargets
from .._typing import ArrayLike
from ._cross_entropy import CROSS_ENTROPY
from ._device_losses import DeviceLinearCrossEntropy
from ._loss import LossKeywords, loss_arguments
from ._loss_operators import LossOperators
from ._numpy_linear import LinearCrossEntropy
from ._over_ranks import loss_over_ranks, with_common_divisor
from ._row_blocks import LayerLogits
from ._sharded import local_part, refuse_dtensors
from ._tensors import check_device, check_tensor

__all__ = ["linear_cross_entropy"]

_LINEAR = LossOperators(
    "linear_cross_entropy",
    ("inputs", "weight", "bias"),
    LinearCrossEntropy(),
    DeviceLinearCrossEntropy(),
    of_logits=CROSS_ENTROPY,
)


def linear_cross_entropy(
    inputs: torch.Tensor,
    weight: torch.Tensor,
    target: torch.Tensor | ArrayLike | TopKTargets,
    *,
    bias: torch.Tensor | None = None,
    workspace_bytes: int | None = None,
    deterministic: bool = False,
    process_group: Any = None,
    data_group: Any = None,
    **options: Unpack[LossKeywords],
) -> torch.Tensor:
    """Cross-entropy of a linear layer's logits, held for a block of rows at a time, of tensors.

    ``z = inputs weight^T + bias``, then :func:`crossent.torch.cross_entropy` of z:
    :func:`crossent.linear_cross_entropy`, differentiable twice in inputs, weight and bias.

    Parameters
    ----------
    inputs : Tensor, shape (..., n)
    weight : Tensor, shape (K, n)
        Of another floating dtype than the inputs: both are converted to the wider one.
    target : Tensor
        Labels, shape (...), or targets, shape (..., K) or :class:`crossent.TopKTargets`, as in
        :func:`crossent.torch.cross_entropy`.
    bias : Tensor, shape (K,), optional
    workspace_bytes : int, optional
        As in :func:`crossent.linear_cross_entropy`.
    deterministic : bool
        As in :func:`crossent.linear_cross_entropy`: the same bits as there, for any workspace and
        any number of threads. Of CPU tensors, and without ``process_group``.
    process_group : torch.distributed.ProcessGroup, optional
        As in :func:`crossent.torch.cross_entropy`: each rank holds its rows of ``weight`` and
        ``bias``, and all have the same ``inputs``, whose gradient is summed over the ranks. A
        DTensor of weights that is sharded along dimension 0 has its own.
    data_group : torch.distributed.ProcessGroup, optional
        As in :func:`crossent.torch.cross_entropy`.
    **options
        The options of :func:`crossent.cross_entropy`; ``where`` may be (K,).

    Returns
    -------
    Tensor
        A scalar, or with ``reduction="none"`` one loss a row.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        As :func:`crossent.torch.cross_entropy`; also for tensors on two devices.

    Notes
    -----
    The gradients that are asked for are computed in the forward pass, block by block, and scaled
    in the backward pass; those of losses that are not reduced, and of float16 means, in the
    backward pass. Double backward is one product with the Hessian: no logits are stored for it.

    Examples
    --------
    >>> import torch
    >>> from crossent.torch import linear_cross_entropy
    >>> x, weight = torch.ones(1, 2), torch.zeros(3, 2, requires_grad=True)
    >>> linear_cross_entropy(x, weight, torch.tensor([2])).backward()
    >>> weight.grad
    tensor([[ 0.3333,  0.3333],
            [ 0.3333,  0.3333],
            [-0.6667, -0.6667]])
    """
    check_tensor(inputs, "inputs")
    refuse_dtensors(inputs=inputs, target=target)
    weight, process_group = local_part(weight, 0, process_group, data_group)
    if bias is not None:
        bias, _ = local_part(bias, 0, process_group, data_group)
    given = [inputs, weight, bias]
    dtype = inputs.dtype
    for name, other in (("weight", weight), ("bias", bias)):
        if other is not None:
            check_device(other, inputs, name)
            dtype = torch.promote_types(dtype, other.dtype)
    primals = [None if primal is None else primal.to(dtype) for primal in given]
    if deterministic:
        _check_one_order_is_possible(inputs, process_group)
    loss = loss_arguments(
        inputs, target, -1, workspace_bytes=workspace_bytes, deterministic=deterministic, **options
    )
    if process_group is not None:
        return loss_over_ranks(LayerLogits, tuple(primals), loss, process_group, data_group)
    if data_group is not None:
        loss = with_common_divisor(loss, (*inputs.shape[:-1], len(weight)), data_group)
    early = loss.reduction != "none" and (dtype != torch.float16 or loss.reduction == "sum")
    enabled = torch.is_grad_enabled()
    asked = [enabled and primal is not None and primal.requires_grad for primal in primals]
    return _LINEAR.loss(primals, loss, [early and ask for ask in asked], any(asked))


def _check_one_order_is_possible(inputs: torch.Tensor, process_group: Any) -> None:
    if process_group is not None or not inputs.is_cpu:
        where = "process_group" if process_group is not None else f"device {inputs.device}"
        raise NotImplementedError(
            "deterministic=True holds the order of sums of one process's CPU tensors, but got "
            f"{where}: leave it out, and see torch.use_deterministic_algorithms"
        )
