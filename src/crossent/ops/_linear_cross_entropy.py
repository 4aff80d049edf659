"""Linear layer and cross-entropy as one: z = phi W^T + b, dW = G^T phi, db = sum_i G_i, dphi = G W.

The logits exist for one block of rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Unpack

import numpy as np

from .. import _kernels
from .._arguments import (
    Linear,
    TopKTargets,
    as_cotangent,
    as_linear,
    as_needs,
    as_workspace,
    compute_dtype,
    target_rows,
)
from .._typing import Array, ArrayLike, Floating
from ._loss import LossKeywords, LossRows, plan_loss

__all__ = [
    "LinearGradients",
    "linear_cross_entropy",
    "linear_cross_entropy_value_and_grad",
]

_DEFAULT_WORKSPACE = 64 << 20


class LinearGradients(NamedTuple):
    """Gradients in inputs, weight and bias, each of its argument's shape; None where not needed."""

    inputs: Floating | None
    weight: Floating | None
    bias: Floating | None


class _Blocks(NamedTuple):
    """Memory to work in: logits of a block of rows, and a piece of a matrix product."""

    logits: Floating  # (rows, K)
    product: Floating | None  # flat; None where there is one block of rows


def linear_cross_entropy(
    inputs: ArrayLike,
    weight: ArrayLike,
    target: ArrayLike | TopKTargets,
    *,
    bias: ArrayLike | None = None,
    workspace_bytes: int | None = None,
    **options: Unpack[LossKeywords],
) -> Any:
    """Cross-entropy of a linear layer's logits, held for a block of rows at a time.

    ``z = inputs weight^T + bias``, then :func:`cross_entropy` of z.

    Parameters
    ----------
    inputs : array_like, shape (..., n)
    weight : array_like, shape (K, n)
    target : array_like
        Labels, shape (...), or targets, shape (..., K) or :class:`TopKTargets`, as in
        :func:`cross_entropy`.
    bias : array_like, shape (K,), optional
    workspace_bytes : int, optional
        Memory for blocks of logits and products, never more; by default 64 MiB, or one row if
        that is more.
        16-bit weights are held once more in float32 beside it, and the NumPy kernels take
        about 2 MB, or 16 rows of float64, for their formulas.
    **options
        The options of :func:`cross_entropy`; ``where`` may be (K,).

    Returns
    -------
    scalar, or ndarray of one loss a row
        A scalar has the dtype of the inputs (float32 for 16-bit inputs).

    Raises
    ------
    TypeError, ValueError
        As :func:`cross_entropy`; also where shapes do not fit or the workspace is too small for
        one row of logits.

    Examples
    --------
    >>> import crossent as ce
    >>> float(ce.linear_cross_entropy([[1.0, 0.0]], [[2.0, 0.0], [0.0, 0.0]], [0]))
    0.12692801104297...
    """
    layer = as_linear(inputs, weight, bias)
    plan = _plan(layer, target, options)
    losses, _ = _run(layer, plan, workspace_bytes, LinearGradients(None, None, None), None)
    return losses


def linear_cross_entropy_value_and_grad(
    inputs: ArrayLike,
    weight: ArrayLike,
    target: ArrayLike | TopKTargets,
    *,
    bias: ArrayLike | None = None,
    workspace_bytes: int | None = None,
    needs: Sequence[str] = ("inputs", "weight", "bias"),
    cotangent: ArrayLike | None = None,
    **options: Unpack[LossKeywords],
) -> tuple[Any, LinearGradients]:
    """Cross-entropy of a linear layer's logits, and its gradients in inputs, weight and bias.

    With ``G = dE/dz`` of a block of rows: ``dW = G^T inputs``, ``db = sum_i G_i``,
    ``dinputs = G weight``.

    Parameters
    ----------
    inputs, weight, target, bias, workspace_bytes
        As in :func:`linear_cross_entropy`.
    needs : sequence of {"inputs", "weight", "bias"}
        Which gradients to compute; the others are None.
    cotangent : array_like, shape (...), optional
        With ``reduction="none"`` only, and needed there: what each row's loss is multiplied by
        in the gradients, of any sign.
    **options
        The options of :func:`cross_entropy`; ``where`` may be (K,).

    Returns
    -------
    loss : scalar, or ndarray of one loss a row
    gradients : LinearGradients
        ``inputs``, ``weight`` and ``bias``, in the inputs' dtype; ``bias`` is None without one.

    Raises
    ------
    TypeError, ValueError
        As :func:`linear_cross_entropy`, and for unknown names in ``needs``.

    Examples
    --------
    >>> import crossent as ce
    >>> loss, gradients = ce.linear_cross_entropy_value_and_grad([[1.0]], [[0.0], [0.0]], [1])
    >>> gradients.weight
    array([[ 0.5],
           [-0.5]])
    """
    layer = as_linear(inputs, weight, bias)
    plan = _plan(layer, target, options)
    wanted = as_needs(needs, LinearGradients._fields)
    factors = as_cotangent(cotangent, layer.shape, plan.reduction.kind)
    wide = compute_dtype(layer.inputs.dtype)
    gradients = LinearGradients(
        np.empty(layer.inputs.shape, layer.inputs.dtype) if "inputs" in wanted else None,
        np.zeros(layer.weight.shape, wide) if "weight" in wanted else None,
        np.zeros(len(layer.weight), wide) if "bias" in wanted and layer.bias is not None else None,
    )
    loss, gradients = _run(layer, plan, workspace_bytes, gradients, factors)
    if gradients.inputs is not None:
        shaped = gradients.inputs.reshape(*layer.shape, layer.inputs.shape[1])
        gradients = gradients._replace(inputs=shaped)
    return loss, gradients


def _plan(layer: Linear, target: ArrayLike | TopKTargets, options: LossKeywords) -> LossRows:
    shape = (*layer.shape, len(layer.weight))
    return plan_loss(shape, len(shape) - 1, layer.inputs.dtype, target, **options)


def _run(
    layer: Linear,
    plan: LossRows,
    workspace_bytes: int | None,
    gradients: LinearGradients,
    cotangent: Array | None,
) -> tuple[Any, LinearGradients]:
    """Sum loss and gradients over blocks of rows."""
    dtype = layer.inputs.dtype
    wide = compute_dtype(dtype)
    weight = layer.weight.astype(wide, copy=False)
    blocks = _allocate(layer, plan, wide, workspace_bytes)
    with_gradient = any(gradient is not None for gradient in gradients)
    losses = plan.reduction.memory()
    total = 0.0
    for rows in _row_blocks(len(layer.inputs), len(blocks.logits)):
        x = _zero_where_absent(layer.inputs[rows].astype(wide, copy=False), plan, rows)
        z = blocks.logits[: len(x)]
        np.matmul(x, weight.T, out=z)
        if layer.bias is not None:
            z += layer.bias
        total += _loss_of_block(z, plan, rows, with_gradient, losses)
        if with_gradient:
            if cotangent is not None:
                z *= _zero_where_absent(cotangent[rows, None], plan, rows)
            _add_gradients(z, x, weight, rows, gradients, blocks.product)
    loss = plan.reduction.of_losses(losses, total)
    for gradient in gradients:
        if gradient is not None:
            plan.reduction.of_gradient(gradient)
    narrow = (None if g is None else g.astype(dtype, copy=False) for g in gradients)
    return loss, LinearGradients(*narrow)


def _allocate(
    layer: Linear, plan: LossRows, dtype: np.dtype[Any], workspace_bytes: int | None
) -> _Blocks:
    """Split the workspace: three quarters for logits and copies of inputs, the rest for dW."""
    n_rows, n_classes = len(layer.inputs), len(layer.weight)
    copies = int(plan.row_weight is not None) + 2 * int(dtype != layer.inputs.dtype)
    columns = n_classes + copies * layer.inputs.shape[1]
    least = columns * dtype.itemsize + 1024
    elements = as_workspace(workspace_bytes, _DEFAULT_WORKSPACE, least) // dtype.itemsize
    block_rows = max(1, min(n_rows, elements * 3 // 4 // columns))
    logits = np.empty((block_rows, n_classes), dtype)
    if block_rows >= n_rows:
        return _Blocks(logits, None)
    rest = max(1, elements - block_rows * columns)
    return _Blocks(logits, np.empty(min(rest, layer.weight.size), dtype))


def _zero_where_absent(x: Array, plan: LossRows, rows: slice) -> Array:
    """The rows of a block with zeros where a row is absent: 0 x NaN is 0 there."""
    if plan.row_weight is None:
        return x
    absent = plan.row_weight[rows] == 0.0
    return np.where(absent[:, None], x.dtype.type(0), x) if absent.any() else x


def _row_blocks(n_rows: int, block_rows: int) -> Iterator[slice]:
    for start in range(0, n_rows, block_rows):
        yield slice(start, min(start + block_rows, n_rows))


def _loss_of_block(
    z: Floating, plan: LossRows, rows: slice, with_gradient: bool, losses: Array | None
) -> float:
    """The loss of a block of logits; its gradient takes the place of the logits."""
    options = plan.options
    if options.mask is not None and options.mask.ndim == 2:
        options = options._replace(mask=options.mask[rows])
    return _kernels.cross_entropy_rows(
        z,
        target_rows(plan.target, rows, z.dtype),
        None if plan.row_weight is None else plan.row_weight[rows],
        plan.reduction.gradient_factor,
        options,
        None if losses is None else losses[rows],
        z if with_gradient else None,
    )


def _add_gradients(
    g: Floating,
    x: Floating,
    weight: Floating,
    rows: slice,
    gradients: LinearGradients,
    scratch: Floating | None,
) -> None:
    """dphi = G W into its rows; G^T phi and sum_i G_i onto what other blocks have left."""
    if gradients.inputs is not None:
        if gradients.inputs.dtype == g.dtype:
            np.matmul(g, weight, out=gradients.inputs[rows])
        else:
            gradients.inputs[rows] = g @ weight
    if gradients.weight is not None:
        _add_product(g.T, x, gradients.weight, scratch)
    if gradients.bias is not None:
        np.add(gradients.bias, g.sum(axis=0), out=gradients.bias)


def _add_product(a: Floating, b: Floating, total: Floating, scratch: Floating | None) -> None:
    """total += a b, in pieces of the product that fit the scratch memory."""
    if scratch is None:  # the only block of rows: nothing to add to
        np.matmul(a, b, out=total)
        return
    if total.size == 0:
        return
    width = min(total.shape[1], len(scratch))
    height = max(1, len(scratch) // width)
    for top in range(0, total.shape[0], height):
        for left in range(0, total.shape[1], width):
            piece = total[top : top + height, left : left + width]
            product = scratch[: piece.size].reshape(piece.shape)
            np.matmul(a[top : top + height], b[:, left : left + width], out=product)
            piece += product
