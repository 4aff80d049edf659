"""Blocks of logits, whole rows at a time, and what the kernels make of them."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ... import _kernels
from ..._typing import Array, Floating
from ._layout import Layout
from ._problem import Block, LinearGradients, LinearProblem
from ._products import Products

__all__ = ["Logits"]


class Logits:
    """z = phi W^T + b of one block after the other, in memory that is used again.

    Parameters
    ----------
    problem : LinearProblem
    layout : Layout
    products : Products
    """

    def __init__(self, problem: LinearProblem, layout: Layout, products: Products) -> None:
        self._layer, self._loss, self._products = problem.layer, problem.loss, products
        self._shape = layout.block_rows, problem.n_classes

    @cached_property
    def _z(self) -> Floating:
        return np.empty(self._shape, self._products.dtype)

    @cached_property
    def _dz(self) -> Floating:
        return np.empty(self._shape, self._products.dtype)

    def of(self, block: Block) -> Floating:
        """z (R, K)."""
        z = self._z[: len(block.inputs)]
        self._products.into(z, (block.inputs, self._layer.weight.T))
        if self._layer.bias is not None:
            z += self._layer.bias
        return z

    def tangent(self, block: Block, tangents: LinearGradients) -> Floating:
        """dz = dphi W^T + phi dW^T + db (R, K)."""
        dz = self._dz[: len(block.inputs)]
        pairs = []
        if tangents.inputs is not None:
            pairs.append((tangents.inputs[block.rows], self._layer.weight.T))
        if tangents.weight is not None:
            pairs.append((block.inputs, tangents.weight.T))
        self._products.into(dz, *pairs)
        if tangents.bias is not None:
            dz += tangents.bias
        return dz

    def loss(self, z: Floating, block: Block, losses: Array | None, *, gradient: bool) -> float:
        """The sum of the block's losses; their gradient G takes the place of the logits."""
        return _kernels.cross_entropy_rows(
            z, block.target, block.row_weight, self._loss.reduction.gradient_factor,
            block.options, losses, z if gradient else None,
        )  # fmt: skip

    def curvature(self, z: Floating, dz: Floating, block: Block, gauss_newton: bool) -> None:
        """The Hessian's product with dz takes the place of dz."""
        _kernels.cross_entropy_hvp_rows(
            z, block.target, dz, block.row_weight, self._loss.reduction.gradient_factor,
            block.options, gauss_newton, dz,
        )  # fmt: skip
