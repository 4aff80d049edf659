"""The loss of a linear layer's logits and its derivative along directions of inputs, W and b."""

from __future__ import annotations

from typing import Any, Unpack

from ..._arguments import TopKTargets, as_tangents
from ..._typing import ArrayLike
from .._loss import LossKeywords
from ._layout import Demand, layout_of
from ._logits import logits_of
from ._one_order import one_order
from ._problem import LinearGradients, LinearProblem, linear_problem
from ._row_sums import RowSums

__all__ = ["linear_cross_entropy_jvp"]


def linear_cross_entropy_jvp(
    inputs: ArrayLike,
    weight: ArrayLike,
    target: ArrayLike | TopKTargets,
    *,
    tangents: LinearGradients,
    bias: ArrayLike | None = None,
    workspace_bytes: int | None = None,
    deterministic: bool = False,
    **options: Unpack[LossKeywords],
) -> tuple[Any, Any]:
    """Cross-entropy of a linear layer's logits, and its derivative along a direction.

    ``<G, dz>`` with ``dz = dinputs weight^T + inputs dweight^T + dbias``, a block of rows at a
    time and without a gradient being stored.

    Parameters
    ----------
    inputs, weight, target, bias, workspace_bytes, deterministic
        As in :func:`linear_cross_entropy`.
    tangents : LinearGradients
        The directions in which inputs, weight and bias move, each of its argument's shape; None
        for what does not move, which costs nothing.
    **options
        The options of :func:`cross_entropy`; ``where`` may be (K,).

    Returns
    -------
    loss : scalar, or ndarray of one loss a row
    loss_tangent : the same
        The derivative of ``loss`` along ``tangents``.

    Raises
    ------
    TypeError, ValueError
        As :func:`linear_cross_entropy`, and where a tangent has another shape than its argument.

    Examples
    --------
    >>> import crossent as ce
    >>> along = ce.LinearGradients(inputs=None, weight=[[0.0], [1.0]], bias=None)
    >>> loss, slope = ce.linear_cross_entropy_jvp([[1.0]], [[0.0], [0.0]], [1], tangents=along)
    >>> float(slope)
    -0.5
    """
    problem = linear_problem(
        inputs, weight, target, bias, workspace_bytes, options, deterministic=deterministic
    )
    along = LinearGradients(*as_tangents(tangents, problem.layer))
    with one_order(deterministic and problem.by_blas):
        return jvp(problem, along)


def jvp(problem: LinearProblem, tangents: LinearGradients) -> tuple[Any, Any]:
    """The loss and its tangent."""
    layout = layout_of(problem, Demand(matrices=2, copies=2))
    logits = logits_of(problem, layout, problem.products(layout.scratch))
    reduction = problem.loss.reduction
    losses, slopes = (
        RowSums(reduction, problem.n_rows, in_order=problem.deterministic) for _ in range(2)
    )
    for block in problem.blocks(layout.block_rows, copy_inputs=layout.copy_inputs):
        loss, slope = logits.jvp(block, tangents)
        losses.add(block, loss, float(loss.sum()))
        slopes.add(block, slope, float(slope.sum()))
    return losses.result(), slopes.result()
