"""How a workspace is divided: blocks of logits and copies of inputs, sums, scratch for products."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..._arguments import TopKRows, as_workspace, target_row_bytes
from ._heuristics import PRODUCT_ELEMENTS, default_workspace, most_block_rows
from ._problem import LinearProblem
from ._products import is_ready

__all__ = ["Demand", "Layout", "layout_of"]

# Bytes: of any row its loss and the loss's tangent; with weights its index, label and the like.
_NUMBERS_OF_A_ROW, _NUMBERS_OF_A_WEIGHED_ROW = 32, 160
_LEAST_SCRATCH = 64

# Of a block of classes: float64 arrays of the formulas, what one row keeps between blocks, and what
# many small arrays take beside their numbers.
_FORMULAS, _SUMS_OF_A_ROW, _SMALL_ARRAYS = 17, 400, 8192
_LEAST_CLASSES, _MOST_CLASS_ROWS, _LEAST_SUMS = 128, 64, 4096


class Demand(NamedTuple):
    """What a call needs beside its arguments and results."""

    matrices: int  # (R, K) arrays, in the dtype computed in
    copies: int  # (R, n) arrays
    weight: bool = False  # whether a gradient of W is summed up
    bias: bool = False  # whether one of b is
    row_bytes: int = 0  # what else a row takes
    two_pairs: bool = False  # whether two products of each block are added to the gradient of W


class Layout(NamedTuple):
    """How the workspace is divided; sizes in elements of the dtype computed in."""

    block_rows: int
    class_block: int  # K, or fewer where not even one row of logits fits
    copy_inputs: bool  # whether there is room for (R, n) copies; or rows must be neighbours
    scratch: int  # for pieces of products
    sums: int  # of a gradient of W that is narrower than what is computed in


def layout_of(problem: LinearProblem, demand: Demand) -> Layout:
    """Divide the workspace; an error says how much is needed at least."""
    itemsize, n_classes = problem.dtype.itemsize, problem.n_classes
    narrow = problem.dtype != problem.layer.inputs.dtype
    row, block_of_classes = _row_bytes(problem, demand), _class_block_bytes(problem, demand)
    fixed = _LEAST_SCRATCH + narrow * (demand.bias * n_classes + demand.weight * _LEAST_SCRATCH)
    fixed *= itemsize
    sums = narrow * demand.weight * n_classes * problem.layer.inputs.shape[1]
    default = default_workspace(row) + sums * itemsize
    least = fixed + min(row, block_of_classes(1, _LEAST_CLASSES))
    why = "one row of logits, or a few classes of it"
    if problem.deterministic:
        least, why = _always_enough(problem), "deterministic=True keeps to whole rows of logits"
    given = as_workspace(problem.workspace_bytes, max(default, least), least, why)
    if problem.deterministic and (problem.by_blas or demand.two_pairs):
        given = least  # one block size
    whole_rows = given >= fixed + row
    least_sums = _LEAST_SCRATCH if whole_rows else _LEAST_SUMS
    kept = 0 if whole_rows else block_of_classes(1, _LEAST_CLASSES)
    sums = min(sums, max(least_sums, (given - fixed - kept) // 2 // itemsize))
    given -= sums * itemsize + narrow * demand.bias * n_classes * itemsize
    if whole_rows:
        return _of_whole_rows(problem, demand, row, given, sums)
    return _of_class_blocks(problem, block_of_classes, given, sums)


def _always_enough(problem: LinearProblem) -> int:
    """The workspace that is documented to be enough for every call."""
    return max(4096, 64 * problem.n_classes * problem.layer.inputs.dtype.itemsize)


def _of_class_blocks(
    problem: LinearProblem, size: Callable[[int, int], int], given: int, sums: int
) -> Layout:
    """A quarter for products; many classes of a few rows rather than a few classes of many."""
    itemsize = problem.dtype.itemsize
    room = max(given * 3 // 4, size(1, _LEAST_CLASSES))
    rows, classes = max(1, min(problem.n_rows, _MOST_CLASS_ROWS)), _LEAST_CLASSES
    while rows > 1 and size(rows, 8 * _LEAST_CLASSES) > room:
        rows //= 2
    while classes < problem.n_classes and size(rows, 2 * classes) <= room:
        classes *= 2
    scratch = max(_LEAST_SCRATCH, min((given - room) // itemsize, PRODUCT_ELEMENTS))
    return Layout(rows, min(classes, problem.n_classes), True, scratch, sums)


def _of_whole_rows(
    problem: LinearProblem, demand: Demand, row: int, given: int, sums: int
) -> Layout:
    """Copies of inputs where they leave half as many rows, or more, as there are without."""
    n_features, itemsize = problem.layer.inputs.shape[1], problem.dtype.itemsize
    copies = demand.copies * n_features * itemsize * _needs_copies(problem)
    most = min(problem.n_rows, most_block_rows(n_features, problem.n_classes))
    copied, bare = (min(given * 3 // 4 // size, most) for size in (row + copies, row))
    copy_inputs = 2 * copied >= bare > 0
    rows = max(1, copied if copy_inputs else bare)
    scratch = (given - rows * (row + copies * copy_inputs)) // itemsize
    scratch = max(_LEAST_SCRATCH, min(scratch, PRODUCT_ELEMENTS))
    return Layout(rows, problem.n_classes, copy_inputs, scratch, sums)


def _needs_copies(problem: LinearProblem) -> bool:
    """Whether rows may be picked out, or must be made ready for a BLAS."""
    return problem.loss.row_weight is not None or not is_ready(problem.layer.inputs, problem.dtype)


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
    numbers = _NUMBERS_OF_A_WEIGHED_ROW if gathered else _NUMBERS_OF_A_ROW
    return problem.n_classes * per_class + targets + demand.row_bytes + numbers


def _class_block_bytes(problem: LinearProblem, demand: Demand) -> Callable[[int, int], int]:
    """What some rows take whose classes come so many at a time."""
    itemsize, n_features = problem.dtype.itemsize, problem.layer.inputs.shape[1]
    of_row = _NUMBERS_OF_A_WEIGHED_ROW + _SUMS_OF_A_ROW + demand.row_bytes
    of_row += demand.copies * n_features * itemsize
    if isinstance(problem.loss.target, TopKRows):
        of_row += target_row_bytes(problem.loss.target, problem.dtype)
        of_row -= problem.n_classes * itemsize
    narrow = problem.dtype != problem.layer.inputs.dtype
    alike = _SMALL_ARRAYS + narrow * demand.weight * _LEAST_SUMS * itemsize
    of_class = 8 * _FORMULAS + (demand.matrices + 1) * itemsize + 1
    return lambda rows, classes: alike + rows * (of_row + classes * of_class)
