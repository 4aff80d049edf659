"""The Hessian of a linear layer's loss, in inputs, weight and bias, times a direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from ..._arguments import TopKTargets, as_cotangent, as_needs, as_tangents
from ..._typing import Array, ArrayLike
from .._loss import LossKeywords
from ._layout import Demand, layout_of
from ._logits import logits_of
from ._one_order import one_order
from ._problem import LinearGradients, LinearProblem, linear_problem
from ._sums import LayerSums

__all__ = ["linear_cross_entropy_hvp"]


def linear_cross_entropy_hvp(
    inputs: ArrayLike,
    weight: ArrayLike,
    target: ArrayLike | TopKTargets,
    *,
    tangents: LinearGradients,
    bias: ArrayLike | None = None,
    gauss_newton: bool = False,
    workspace_bytes: int | None = None,
    deterministic: bool = False,
    needs: Sequence[str] = ("inputs", "weight", "bias"),
    cotangent: ArrayLike | None = None,
    **options: Unpack[LossKeywords],
) -> LinearGradients:
    """Product of the loss's Hessian in inputs, weight and bias with a direction.

    With G = dE/dz and dG its change along ``dz = dinputs weight^T + inputs dweight^T + dbias``:
    ``H_W = dG^T inputs + G^T dinputs``, ``H_b = sum_i dG_i``, ``H_inputs = dG weight + G dweight``.

    Parameters
    ----------
    inputs, weight, target, bias, workspace_bytes, deterministic
        As in :func:`linear_cross_entropy_value_and_grad`.
    tangents : LinearGradients
        The directions in which inputs, weight and bias move, each of its argument's shape; None
        for what does not move, which costs nothing.
    gauss_newton : bool
        Leave out the terms that can be indefinite: those with G, the softcap's curvature and the
        z-loss's ``l (diag(p) - p p^T)``. In weight and bias alone both are the same without
        softcap and z-loss.
    needs : sequence of {"inputs", "weight", "bias"}
        Which parts of the product to compute; the others are None.
    cotangent : array_like, shape (...), optional
        With ``reduction="none"`` only, and needed there: what each row's loss is multiplied by,
        of any sign.
    **options
        The options of :func:`cross_entropy`; ``where`` may be (K,).

    Returns
    -------
    LinearGradients
        ``inputs``, ``weight`` and ``bias``, in the inputs' dtype; ``bias`` is None without one.

    Raises
    ------
    TypeError, ValueError
        As :func:`linear_cross_entropy_value_and_grad`, and where a tangent has another shape than
        its argument.

    Notes
    -----
    Seven matrix products where everything moves and everything is needed, three in the weight
    alone; a gradient takes three.

    Examples
    --------
    >>> import crossent as ce
    >>> along = ce.LinearGradients(inputs=None, weight=[[1.0], [0.0]], bias=None)
    >>> ce.linear_cross_entropy_hvp(
    ...     [[1.0]], [[0.0], [0.0]], [1], tangents=along, needs=("weight",)
    ... ).weight
    array([[ 0.25],
           [-0.25]])
    """
    problem = linear_problem(
        inputs, weight, target, bias, workspace_bytes, options, deterministic=deterministic
    )
    along = LinearGradients(*as_tangents(tangents, problem.layer))
    wanted = as_needs(needs, LinearGradients._fields)
    factors = as_cotangent(cotangent, problem.layer.shape, problem.loss.reduction.kind)
    with one_order(deterministic and problem.by_blas):
        return hvp(problem, along, gauss_newton, wanted, factors)


def hvp(
    problem: LinearProblem,
    tangents: LinearGradients,
    gauss_newton: bool,
    wanted: Sequence[str],
    cotangent: Array | None,
) -> LinearGradients:
    """The parts of the product that are wanted."""
    moved = LinearGradients(None, None, None) if gauss_newton else tangents
    by_weight = "weight" in wanted and moved.inputs is not None
    by_inputs = "inputs" in wanted and moved.weight is not None
    copies = 1 + ("inputs" in wanted) + (tangents.inputs is not None)
    demand = Demand(2, copies, "weight" in wanted, "bias" in wanted, two_pairs=by_weight)
    layout = layout_of(problem, demand)
    products = problem.products(layout.scratch)
    logits = logits_of(problem, layout, products)
    sums = LayerSums(problem, layout, products, wanted)
    for _ in sums.passes():
        for block in problem.blocks(layout.block_rows, copy_inputs=layout.copy_inputs):
            for classes, dg, g in logits.hvp(
                block, tangents, gauss_newton=gauss_newton, with_gradient=by_weight or by_inputs
            ):
                weight_pairs = [(dg, block.inputs)]
                input_pairs = [(dg, problem.layer.weight[classes])]
                if by_weight and moved.inputs is not None:
                    weight_pairs.append((g, moved.inputs[block.rows]))
                if by_inputs and moved.weight is not None:
                    input_pairs.append((g, moved.weight[classes]))
                if cotangent is not None:
                    for change in (dg, g) if by_weight or by_inputs else (dg,):
                        change *= cotangent[block.rows, None]
                sums.add(block, classes, weight_pairs, input_pairs, dg)
    return sums.gradients(problem)
