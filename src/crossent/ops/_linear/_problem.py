"""One call: a linear layer and the loss of its logits, checked, and the rows that count."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from ..._arguments import (
    Linear,
    TopKTargets,
    as_linear,
    compute_dtype,
)
from ..._typing import Array, ArrayLike, Floating
from .._loss import LossKeywords, LossRows, plan_loss
from ._one_order import check_one_order
from ._products import Product, Products, best_product, is_ready, own_product

__all__ = ["Block", "LinearGradients", "LinearProblem", "linear_problem"]


class LinearGradients(NamedTuple):
    """Gradients in inputs, weight and bias, each of its argument's shape; None where not needed.

    Directions in which the three move have the same form; None is one that does not move.
    """

    inputs: Floating | None
    weight: Floating | None
    bias: Floating | None


class Block(NamedTuple):
    """Some rows that count: their indices, or a slice where they are neighbours."""

    rows: slice | Array
    inputs: Floating  # (R, n)
    row_weight: Array | None  # float64 (R,)


class LinearProblem(NamedTuple):
    """A linear layer, the loss of its logits, and what may be used to compute it."""

    layer: Linear
    loss: LossRows
    workspace_bytes: int | None
    product: Product
    deterministic: bool = False  # whether only the data may decide on the bits of results

    @property
    def dtype(self) -> np.dtype[Any]:
        """What is computed in."""
        return compute_dtype(self.layer.inputs.dtype)

    @property
    def n_rows(self) -> int:
        """How many rows there are, those that do not count too."""
        return len(self.layer.inputs)

    @property
    def n_classes(self) -> int:
        """K."""
        return len(self.layer.weight)

    @property
    def by_blas(self) -> bool:
        """Whether a BLAS makes the products, in an order of its own."""
        return self.product is not own_product

    def products(self, scratch: int) -> Products:
        """The products of this call, with so many elements to work in."""
        return Products(self.product, self.dtype, scratch, self.deterministic)

    def blocks(self, block_rows: int, *, copy_inputs: bool) -> Iterator[Block]:
        """The rows that count, a block at a time, their inputs ready for a BLAS if copied.

        Where they may not be copied, a block's rows are neighbours.
        """
        row_weight = self.loss.row_weight
        found = _present_rows(row_weight, self.n_rows, block_rows)
        for rows in found if copy_inputs else chain.from_iterable(map(_neighbours, found)):
            x = self.layer.inputs[rows]
            if copy_inputs and not is_ready(x, self.dtype):
                x = x.astype(self.dtype)
            yield Block(rows, x, None if row_weight is None else row_weight[rows])


def linear_problem(
    inputs: ArrayLike,
    weight: ArrayLike,
    target: ArrayLike | TopKTargets,
    bias: ArrayLike | None,
    workspace_bytes: int | None,
    options: LossKeywords,
    product: Product = best_product,
    *,
    deterministic: bool = False,
) -> LinearProblem:
    """Check every argument that the functions of this package share."""
    if deterministic and product is not own_product:
        check_one_order()
    layer = as_linear(inputs, weight, bias)
    shape = (*layer.shape, len(layer.weight))
    loss = plan_loss(shape, len(shape) - 1, layer.inputs.dtype, target, **options)
    return LinearProblem(layer, loss, workspace_bytes, product, deterministic)


def _present_rows(
    row_weight: Array | None, n_rows: int, block_rows: int
) -> Iterator[slice | Array]:
    """The rows whose weight is not 0, ``block_rows`` of them at a time."""
    if row_weight is None:
        for start in range(0, n_rows, block_rows):
            yield slice(start, min(start + block_rows, n_rows))
        return
    waiting = np.empty(0, np.intp)
    for start in range(0, n_rows, block_rows):
        found = np.flatnonzero(row_weight[start : start + block_rows])
        found += start
        waiting = np.concatenate([waiting, found]) if len(waiting) else found
        if len(waiting) >= block_rows:
            yield _as_slice(waiting[:block_rows])
            waiting = waiting[block_rows:]
    if len(waiting):
        yield _as_slice(waiting)


def _neighbours(rows: slice | Array) -> Iterator[slice | Array]:
    """The runs of rows that lie one after the other."""
    if isinstance(rows, slice):
        yield rows
        return
    for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
        yield _as_slice(run)


def _as_slice(indices: Array) -> slice | Array:
    first, last = int(indices[0]), int(indices[-1])
    return slice(first, last + 1) if last - first + 1 == len(indices) else indices
