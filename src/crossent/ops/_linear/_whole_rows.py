"""Blocks of logits, whole rows at a time, and what the kernels make of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from ... import _kernels
from ..._arguments import LossOptions, target_rows
from ..._typing import Array, Floating
from ._layout import Layout
from ._problem import Block, LinearGradients, LinearProblem
from ._products import Products

__all__ = ["WholeRows"]


class WholeRows:
    """z = phi W^T + b of one block after the other, in memory that is used again.

    What comes of a block of rows comes as pieces of some classes: here of all of them at once.

    Parameters
    ----------
    problem : LinearProblem
    layout : Layout
    products : Products
    """

    def __init__(self, problem: LinearProblem, layout: Layout, products: Products) -> None:
        self._layer, self._loss, self._products = problem.layer, problem.loss, products
        self._shape = layout.block_rows, problem.n_classes
        self._every = slice(0, problem.n_classes)

    @cached_property
    def _z(self) -> Floating:
        return np.empty(self._shape, self._products.dtype)

    @cached_property
    def _dz(self) -> Floating:
        return np.empty(self._shape, self._products.dtype)

    def logits(self, block: Block) -> Floating:
        """z (R, K)."""
        z = self._z[: len(block.inputs)]
        self._products.into(z, (block.inputs, self._layer.weight.T), start=self._layer.bias)
        return z

    def spare(self, block: Block) -> Floating:
        """More memory (R, K)."""
        return self._dz[: len(block.inputs)]

    def _tangent(self, block: Block, tangents: LinearGradients) -> Floating:
        """dz = dphi W^T + phi dW^T + db (R, K)."""
        dz = self.spare(block)
        pairs = tangent_pairs(block, tangents, self._layer.weight, self._every)
        self._products.into(dz, *pairs, start=tangents.bias)
        return dz

    def loss(self, block: Block, losses: Array | None) -> float:
        """The losses where there is room for them, and their sum."""
        return self.kernel(self.logits(block), block, losses, gradient=False)

    def gradient(
        self, block: Block, losses: Array | None
    ) -> tuple[float, Iterator[tuple[slice, Floating]]]:
        """As `loss`; and G = dE/dz."""
        z = self.logits(block)
        total = self.kernel(z, block, losses, gradient=True)
        return total, iter([(self._every, z)])

    def jvp(self, block: Block, tangents: LinearGradients) -> tuple[Array, Array]:
        """Losses and their tangents, float64 (R,)."""
        z, dz = self.logits(block), self._tangent(block, tangents)
        losses, slopes = np.empty(len(z)), np.empty(len(z))
        _kernels.cross_entropy_jvp_rows(
            z, self._target(block), dz, block.row_weight, self._options(block), losses, slopes
        )
        return losses, slopes

    def hvp(
        self, block: Block, tangents: LinearGradients, *, gauss_newton: bool, with_gradient: bool
    ) -> Iterator[tuple[slice, Floating, Floating]]:
        """dG, the Hessian's product with dz; and G where it is asked for."""
        z, dz = self.logits(block), self._tangent(block, tangents)
        _kernels.cross_entropy_hvp_rows(
            z, self._target(block), dz, block.row_weight, self._loss.reduction.gradient_factor,
            self._options(block), gauss_newton,
            *((dz, z) if with_gradient else (z,)),
        )  # fmt: skip
        yield (self._every, dz, z) if with_gradient else (self._every, z, z)

    def kernel(self, z: Floating, block: Block, losses: Array | None, *, gradient: bool) -> float:
        """The sum of the block's losses; the gradient takes the place of the logits."""
        return _kernels.cross_entropy_rows(
            z, self._target(block), block.row_weight, self._loss.reduction.gradient_factor,
            self._options(block), losses, z if gradient else None,
        )  # fmt: skip

    def _target(self, block: Block) -> Array:
        return target_rows(self._loss.target, block.rows, self._products.dtype)

    def _options(self, block: Block) -> LossOptions:
        options = self._loss.options
        if options.mask is None or options.mask.ndim == 1:
            return options
        return options._replace(mask=options.mask[block.rows])


def tangent_pairs(
    block: Block, tangents: LinearGradients, weight: Array, classes: slice
) -> Iterator[tuple[Array, Array]]:
    """The matrix products that dz is the sum of."""
    if tangents.inputs is not None:
        yield tangents.inputs[block.rows], weight[classes].T
    if tangents.weight is not None:
        yield block.inputs, tangents.weight[classes].T
