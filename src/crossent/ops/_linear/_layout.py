"""How a workspace is divided: blocks of logits and copies of inputs, sums, scratch for products."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..._arguments import as_workspace, target_row_bytes
from ._heuristics import PRODUCT_ELEMENTS, default_workspace, most_block_rows
from ._problem import LinearProblem

__all__ = ["Demand", "Layout", "layout_of"]

_NUMBERS_OF_A_ROW = 160  # bytes: its index, label, weight, loss and the like
_LEAST_SCRATCH = 64


class Demand(NamedTuple):
    """What a call needs beside its arguments and results."""

    matrices: int  # (R, K) arrays, in the dtype computed in
    copies: int  # (R, n) arrays
    weight: bool = False  # whether a gradient of W is summed up
    bias: bool = False  # whether one of b is


class Layout(NamedTuple):
    """How the workspace is divided; sizes in elements of the dtype computed in."""

    block_rows: int
    copy_inputs: bool  # whether there is room for (R, n) copies
    scratch: int  # for pieces of products
    sums: int  # of a gradient of W that is narrower than what is computed in


def layout_of(problem: LinearProblem, demand: Demand) -> Layout:
    """Divide the workspace; an error says how much is needed at least."""
    n_features, itemsize = problem.layer.inputs.shape[1], problem.dtype.itemsize
    n_classes, narrow = problem.n_classes, problem.dtype != problem.layer.inputs.dtype
    row = _row_bytes(problem, demand)
    fixed = _LEAST_SCRATCH + narrow * (demand.bias * n_classes + demand.weight * _LEAST_SCRATCH)
    sums = narrow * demand.weight * n_classes * n_features
    given = as_workspace(
        problem.workspace_bytes,
        default_workspace(row) + sums * itemsize,
        row + fixed * itemsize,
    )
    sums = min(sums, given // 2 // itemsize)
    given -= sums * itemsize + narrow * demand.bias * n_classes * itemsize
    whole = row + demand.copies * n_features * itemsize
    fitting = given * 3 // 4 // whole
    rows = max(1, min(fitting, problem.n_rows, most_block_rows(n_features, n_classes)))
    scratch = (given - rows * (whole if fitting else row)) // itemsize
    return Layout(rows, fitting > 0, max(_LEAST_SCRATCH, min(scratch, PRODUCT_ELEMENTS)), sums)


def _row_bytes(problem: LinearProblem, demand: Demand) -> int:
    """What one row takes at least, its inputs not copied."""
    target, mask = problem.loss.target, problem.loss.options.mask
    gathered = problem.loss.row_weight is not None
    per_class = demand.matrices * problem.dtype.itemsize
    if isinstance(target, np.ndarray) and target.ndim == 2 and gathered:
        per_class += target.itemsize
    if mask is not None and mask.ndim == 2 and gathered:
        per_class += mask.itemsize
    targets = target_row_bytes(target, problem.dtype)
    return problem.n_classes * per_class + targets + _NUMBERS_OF_A_ROW
