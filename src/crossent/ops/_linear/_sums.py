"""What a block of rows adds to the gradients of inputs, weight and bias."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..._typing import Floating
from ._layout import Layout
from ._problem import Block, LinearGradients, LinearProblem
from ._products import Pair, Products

__all__ = ["LayerSums"]


class LayerSums:
    """Gradients in the dtype of the inputs, summed over rows in the dtype computed in.

    16-bit gradients of W are summed in float32: a part of W at a time, as large as there is room
    for, and all rows are gone through for each part.

    Parameters
    ----------
    problem : LinearProblem
    layout : Layout
    products : Products
    wanted : tuple of str
        Which of ``LinearGradients`` are summed up.
    """

    def __init__(
        self, problem: LinearProblem, layout: Layout, products: Products, wanted: Sequence[str]
    ) -> None:
        layer, dtype = problem.layer, problem.layer.inputs.dtype
        self._shape, self._layout, self._products = layer.weight.shape, layout, products
        self._inputs: Floating | None = None
        if "inputs" in wanted:
            self._inputs = np.empty(layer.inputs.shape, dtype)
        if self._inputs is not None and problem.loss.row_weight is not None:
            self._inputs.fill(0)  # of rows that do not count
        self._weight = np.empty(layer.weight.shape, dtype) if "weight" in wanted else None
        with_bias = "bias" in wanted and layer.bias is not None
        self._bias = np.zeros((1, problem.n_classes), problem.dtype) if with_bias else None
        self._narrow = dtype != problem.dtype
        self.first_pass = True

    def passes(self) -> Iterator[None]:
        """Go through all rows once for each part of W."""
        for classes, features in self._parts():
            self._part = classes, features
            if self._weight is not None:
                part = self._weight[classes, features]
                self._total = np.empty(part.shape, self._products.dtype) if self._narrow else part
            self._fresh = True
            yield
            if self._weight is not None:
                if self._fresh:  # there was no row that counts
                    self._total.fill(0)
                if self._narrow:
                    self._weight[classes, features] = self._total
            self.first_pass = False

    def _parts(self) -> Iterator[tuple[slice, slice]]:
        n_classes, n_features = self._shape
        width = height = max(1, n_classes, n_features)
        if self._weight is not None and self._narrow:
            width = max(1, min(n_features, self._layout.sums))
            height = max(1, self._layout.sums // width)
        for top in range(0, n_classes, height):
            for left in range(0, max(1, n_features), width):
                yield slice(top, min(top + height, n_classes)), slice(left, left + width)

    def add(
        self,
        block: Block,
        classes: slice,
        by_weight: Sequence[Pair],
        by_inputs: Sequence[Pair],
        by_bias: Floating,
    ) -> None:
        """Add the share of some classes of a block; its classes come in order.

        ``by_inputs``: pairs (G, W) of (R, C) and (C, n); ``by_weight``: pairs (G, phi) of (R, C)
        and (R, n); ``by_bias``, G (R, C), is summed over its rows.
        """
        if self._weight is not None:
            self._add_weight(classes, by_weight)
            self._fresh = self._fresh and classes.stop < self._shape[0]
        if not self.first_pass:
            return
        if self._bias is not None:
            ones = np.ones((1, len(by_bias)), by_bias.dtype)
            self._products.into(self._bias[:, classes], (ones, by_bias), add=True)
        if self._inputs is not None:
            self._add_inputs(block, classes, by_inputs)

    def _add_weight(self, classes: slice, pairs: Sequence[Pair]) -> None:
        part, features = self._part
        start, stop = max(part.start, classes.start), min(part.stop, classes.stop)
        if start < stop:
            here = slice(start - classes.start, stop - classes.start)
            total = self._total[start - part.start : stop - part.start]
            shares = [(g[:, here].T, x[:, features]) for g, x in pairs]
            self._products.into(total, *shares, add=not self._fresh)

    def _add_inputs(self, block: Block, classes: slice, pairs: Sequence[Pair]) -> None:
        """Into their place, or beside it where that is narrow or its rows are no neighbours."""
        assert self._inputs is not None
        first, last = classes.start == 0, classes.stop == self._shape[0]
        if isinstance(block.rows, slice) and (not self._narrow or (first and last)):
            self._products.into(self._inputs[block.rows], *pairs, add=not first)
            return
        if first:
            shape = len(block.inputs), self._shape[1]
            self._share = np.empty(shape, self._products.dtype)
        self._products.into(self._share, *pairs, add=not first)
        if last:
            self._inputs[block.rows] = self._share

    def gradients(self, problem: LinearProblem) -> LinearGradients:
        """The sums, as they are returned."""
        inputs, weight, bias = self._inputs, self._weight, self._bias
        for gradient in (inputs, weight, bias):
            if gradient is not None:
                problem.loss.reduction.of_gradient(gradient)
        if inputs is not None:
            inputs = inputs.reshape(*problem.layer.shape, inputs.shape[1])
        if bias is not None:
            bias = bias[0].astype(problem.layer.inputs.dtype, copy=False)
        return LinearGradients(inputs, weight, bias)
