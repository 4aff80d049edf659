"""The loss of a linear layer's logits; dW = G^T phi, db = sum_i G_i, dphi = G W."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from ..._arguments import TopKTargets, as_cotangent, as_needs
from ..._typing import Array, ArrayLike
from .._loss import LossKeywords
from ._few_classes import by_rows, goes_by_rows
from ._layout import Demand, layout_of
from ._logits import logits_of
from ._one_order import one_order
from ._problem import LinearGradients, LinearProblem, linear_problem
from ._row_sums import RowSums
from ._sums import LayerSums

__all__ = ["linear_cross_entropy", "linear_cross_entropy_value_and_grad"]


def linear_cross_entropy(
    inputs: ArrayLike,
    weight: ArrayLike,
    target: ArrayLike | TopKTargets,
    *,
    bias: ArrayLike | None = None,
    workspace_bytes: int | None = None,
    deterministic: bool = False,
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
        Memory for blocks of logits, copies and products, never more; less than one row of logits
        is enough, at the price of computing them twice. By default 64 MiB, and up to 256 MiB
        where that holds fewer than 256 rows of logits; max(4096, 64 K itemsize) always lets whole
        rows fit. Beside it there are only numbers of each row (labels as int64 and weights as
        float64, where they are not given so), arguments of whole numbers as float64, and what
        the NumPy kernels take for their formulas: about 2 MB, or 20 rows of float64.
    deterministic : bool
        Give the same bits for any workspace from max(4096, 64 K itemsize) bytes on and any number
        of threads. The compiled kernels sum each gradient in one order, which costs next to
        nothing and rounds a little more over many rows. Without them blocks are those of the
        least workspace, and the products have one BLAS thread, set for the whole process by
        threadpoolctl (the extra "threads") while the call lasts.
    **options
        The options of :func:`cross_entropy`; ``where`` may be (K,).

    Returns
    -------
    scalar, or ndarray of one loss a row
        A scalar has the dtype of the inputs (float32 for 16-bit inputs).

    Raises
    ------
    TypeError, ValueError
        As :func:`cross_entropy`; also where shapes do not fit or the workspace is too small.

    Notes
    -----
    Rows that do not count - ignored, wholly masked, of weight 0 - take no part in any matrix
    product, whatever they hold.

    Examples
    --------
    >>> import crossent as ce
    >>> float(ce.linear_cross_entropy([[1.0, 0.0]], [[2.0, 0.0], [0.0, 0.0]], [0]))
    0.12692801104297...
    """
    problem = linear_problem(
        inputs, weight, target, bias, workspace_bytes, options, deterministic=deterministic
    )
    with one_order(deterministic and problem.by_blas):
        return value_and_grad(problem, (), None)[0]


def linear_cross_entropy_value_and_grad(
    inputs: ArrayLike,
    weight: ArrayLike,
    target: ArrayLike | TopKTargets,
    *,
    bias: ArrayLike | None = None,
    workspace_bytes: int | None = None,
    deterministic: bool = False,
    needs: Sequence[str] = ("inputs", "weight", "bias"),
    cotangent: ArrayLike | None = None,
    **options: Unpack[LossKeywords],
) -> tuple[Any, LinearGradients]:
    """Cross-entropy of a linear layer's logits, and its gradients in inputs, weight and bias.

    With ``G = dE/dz`` of a block of rows: ``dW = G^T inputs``, ``db = sum_i G_i``,
    ``dinputs = G weight``.

    Parameters
    ----------
    inputs, weight, target, bias, workspace_bytes, deterministic
        As in :func:`linear_cross_entropy`. The default workspace of 16-bit weights holds their
        gradient in float32 too; in less, the logits are computed once for each part of it.
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
    problem = linear_problem(
        inputs, weight, target, bias, workspace_bytes, options, deterministic=deterministic
    )
    wanted = as_needs(needs, LinearGradients._fields)
    factors = as_cotangent(cotangent, problem.layer.shape, problem.loss.reduction.kind)
    with one_order(deterministic and problem.by_blas):
        return value_and_grad(problem, wanted, factors)


def value_and_grad(
    problem: LinearProblem, wanted: Sequence[str], cotangent: Array | None
) -> tuple[Any, LinearGradients]:
    """The loss, and the gradients that are wanted."""
    if goes_by_rows(problem, cotangent):
        return by_rows(problem, wanted)
    copies = 1 + ("inputs" in wanted)
    layout = layout_of(problem, Demand(1, copies, "weight" in wanted, "bias" in wanted))
    products = problem.products(layout.scratch)
    logits = logits_of(problem, layout, products)
    losses = RowSums(problem.loss.reduction, problem.n_rows, in_order=problem.deterministic)
    if not wanted:
        for block in problem.blocks(layout.block_rows, copy_inputs=layout.copy_inputs):
            each = losses.memory(block)
            losses.add(block, each, logits.loss(block, each))
        return losses.result(), LinearGradients(None, None, None)
    sums = LayerSums(problem, layout, products, wanted)
    for _ in sums.passes():
        for block in problem.blocks(layout.block_rows, copy_inputs=layout.copy_inputs):
            each = losses.memory(block) if sums.first_pass else None
            total, gradient = logits.gradient(block, each)
            if sums.first_pass:
                losses.add(block, each, total)
            for classes, g in gradient:
                if cotangent is not None:
                    g *= cotangent[block.rows, None]
                weight = problem.layer.weight[classes]
                sums.add(block, classes, [(g, block.inputs)], [(g, weight)], g)
    return losses.result(), sums.gradients(problem)
