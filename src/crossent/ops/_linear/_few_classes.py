"""Few classes: all rows through one kernel, which reads their inputs from memory once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import _kernels
from ..._arguments import as_index
from ..._typing import Array, Floating
from ._heuristics import FEW_CLASSES, MOST_FEW_BYTES
from ._problem import Block, LinearGradients, LinearProblem
from ._row_sums import RowSums

__all__ = ["by_rows", "goes_by_rows"]


def goes_by_rows(problem: LinearProblem, cotangent: Array | None) -> bool:
    """Whether the kernel knows such a problem, and its memory fits into the workspace."""
    layer, loss = problem.layer, problem.loss
    arrays = [layer.inputs, layer.weight, *([] if layer.bias is None else [layer.bias])]
    return (
        not (problem.by_blas or problem.deterministic or cotangent is not None)
        and 0 < problem.n_classes <= FEW_CLASSES
        and problem.n_rows * layer.inputs.size > 0
        and all(
            a.dtype == problem.dtype and a.flags.c_contiguous and a.flags.aligned for a in arrays
        )
        and loss.row_weight is None
        and isinstance(loss.target, np.ndarray)
        and loss.target.ndim == 1
        and _fits(problem)
    )


def by_rows(problem: LinearProblem, wanted: Sequence[str]) -> tuple[Any, LinearGradients]:
    """The loss, and the gradients that are wanted."""
    layer, loss = problem.layer, problem.loss
    every = Block(slice(0, problem.n_rows), layer.inputs, None)
    losses = RowSums(loss.reduction, problem.n_rows)
    each = losses.memory(every)

    def room(name: str, like: Floating | None) -> Floating | None:
        return None if like is None or name not in wanted else np.empty(like.shape, problem.dtype)

    out = LinearGradients(*(room(name, getattr(layer, name)) for name in LinearGradients._fields))
    total = _kernels.linear_cross_entropy_rows(
        layer.inputs, layer.weight, layer.bias, loss.target, loss.reduction.gradient_factor,
        loss.options, each, *out, np.empty(_memory(problem), problem.dtype),
    )  # fmt: skip
    losses.add(every, each, total)
    for gradient in out:
        if gradient is not None:
            loss.reduction.of_gradient(gradient)
    inputs = out.inputs if out.inputs is None else out.inputs.reshape(*layer.shape, -1)
    return losses.result(), out._replace(inputs=inputs)


def _memory(problem: LinearProblem) -> int:
    """Numbers that the kernel works in at most."""
    return 32 * problem.n_classes * (problem.layer.inputs.shape[1] + 1024)


def _fits(problem: LinearProblem) -> bool:
    given = MOST_FEW_BYTES
    if problem.workspace_bytes is not None:
        given = as_index(problem.workspace_bytes, "workspace_bytes")
    return _memory(problem) * problem.dtype.itemsize <= given
