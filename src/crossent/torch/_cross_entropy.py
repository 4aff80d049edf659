"""Cross-entropy of tensors: of logits, and of one logit a row for two classes."""

from __future__ import annotations

from functools import partial
from typing import Any, Unpack

import torch

from .._arguments import TopKTargets
from .._typing import ArrayLike
from ._device_losses import DeviceBinaryCrossEntropy, DeviceCrossEntropy
from ._loss import (
    BinaryLossKeywords,
    LossArguments,
    LossKeywords,
    loss_arguments,
    plain_loss_arguments,
)
from ._loss_operators import LossOperators
from ._numpy_losses import BinaryCrossEntropy, CrossEntropy
from ._over_ranks import loss_over_ranks, with_common_divisor
from ._row_blocks import GivenLogits
from ._sharded import local_part
from ._tensors import check_tensor

__all__ = ["CROSS_ENTROPY", "binary_cross_entropy", "cross_entropy"]

CROSS_ENTROPY = LossOperators("cross_entropy", ("logits",), CrossEntropy(), DeviceCrossEntropy())
_BINARY = LossOperators(
    "binary_cross_entropy", ("logits",), BinaryCrossEntropy(), DeviceBinaryCrossEntropy()
)


def cross_entropy(
    logits: torch.Tensor,
    target: torch.Tensor | ArrayLike | TopKTargets,
    *,
    axis: int = -1,
    process_group: Any = None,
    data_group: Any = None,
    **options: Unpack[LossKeywords],
) -> torch.Tensor:
    """Cross-entropy of a tensor of logits: :func:`crossent.cross_entropy`, differentiable twice.

    ``E_i = l_i - z_it`` for a label t; ``E_i = sum_k y_ik (l_i - z_ik)`` for targets y.

    Parameters
    ----------
    logits : Tensor, shape (..., K, ...)
        float16, bfloat16, float32 or float64.
    target : Tensor
        Labels of any integer dtype, shape of ``logits`` without the class axis; or targets,
        non-negative, of the shape of ``logits`` or :class:`crossent.TopKTargets` of tensors.
        Nothing is differentiated in them.
    axis : int
        The class axis: the last by default, where torch's own is 1.
    process_group : torch.distributed.ProcessGroup, optional
        Its ranks hold the classes between them, in order, each its own part of ``logits`` (and of
        targets, ``class_weight`` and ``where``); labels and row weights are those of all. Every
        rank gets the loss of all, and the gradient of its part. A DTensor of logits that is
        sharded along its classes has its own.
    data_group : torch.distributed.ProcessGroup, optional
        Its ranks hold rows of their own. A mean is then over the rows of all: each rank divides by
        the mean of their normalizers, so that the mean of the ranks' losses and gradients, which
        DistributedDataParallel takes, is that of all rows.
    **options
        The options of :func:`crossent.cross_entropy`; arrays among them are tensors.

    Returns
    -------
    Tensor
        A scalar has the dtype of the logits (float32 for 16-bit logits); with
        ``reduction="none"`` one loss a row.

    Raises
    ------
    TypeError, ValueError
        As :func:`crossent.cross_entropy`, before anything is computed; also where another tensor
        than the logits asks for a gradient.
    NotImplementedError
        For third derivatives; inside ``torch.compile(fullgraph=True)`` for forward mode and
        ``torch.func.grad``.

    Notes
    -----
    Where the logits ask for a gradient, it is computed in the forward pass, in the same sweep as
    the loss; the backward pass scales it. A second derivative is a product with the Hessian. Over
    a process group both are in torch's operations, by backward only: three collectives forward.

    Examples
    --------
    >>> import torch
    >>> from crossent.torch import cross_entropy
    >>> z = torch.tensor([[20.0, 0.0]], requires_grad=True)
    >>> cross_entropy(z, torch.tensor([0])).backward()
    >>> z.grad
    tensor([[-2.0612e-09,  2.0612e-09]])
    """
    check_tensor(logits, "logits")
    logits, process_group = local_part(logits, axis, process_group, data_group)
    loss = (
        loss_arguments(logits, target, axis, **options)
        if options
        else plain_loss_arguments(logits, target, axis)
    )
    if process_group is not None:
        source_of = partial(GivenLogits, axis=axis)
        return loss_over_ranks(source_of, (logits,), loss, process_group, data_group)
    if data_group is not None:
        loss = with_common_divisor(loss, tuple(logits.shape), data_group)
    return _value(CROSS_ENTROPY, logits, loss)


def binary_cross_entropy(
    logits: torch.Tensor,
    target: torch.Tensor | ArrayLike,
    **options: Unpack[BinaryLossKeywords],
) -> torch.Tensor:
    """Cross-entropy of two classes from one logit a row: of a tensor, differentiable twice.

    ``E = y softplus(-u) + (1 - y) softplus(u)``: :func:`crossent.binary_cross_entropy`.

    Parameters
    ----------
    logits : Tensor, any shape
        The logit of class 1 against class 0.
    target : Tensor, the same shape
        Labels 0 and 1 of any integer dtype (or bool), or probabilities of class 1.
    **options
        The options of :func:`crossent.binary_cross_entropy`; arrays among them are tensors.

    Returns
    -------
    Tensor
        A scalar, or with ``reduction="none"`` one loss a row.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        As :func:`crossent.torch.cross_entropy`.

    Examples
    --------
    >>> import torch
    >>> from crossent.torch import binary_cross_entropy
    >>> u = torch.tensor([0.0], requires_grad=True)
    >>> binary_cross_entropy(u, torch.tensor([1])).backward()
    >>> u.grad
    tensor([-0.5000])
    """
    check_tensor(logits, "logits")
    return _value(_BINARY, logits, loss_arguments(logits, target, -1, **options))


def _value(operators: LossOperators, logits: torch.Tensor, loss: LossArguments) -> Any:
    """The loss, and where it will be wanted its gradient, in one pass."""
    wanted = logits.requires_grad and torch.is_grad_enabled()
    # in float16 the cotangent must be known: see folded
    early = wanted and (logits.dtype != torch.float16 or loss.reduction != "mean")
    return operators.loss((logits,), loss, [early], wanted)
