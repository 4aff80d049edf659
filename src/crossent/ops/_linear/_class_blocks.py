"""Blocks of logits, some classes of some rows at a time: each is computed twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..._arguments import target_rows
from ..._kernels import ClassBlock, ClassSums
from ..._typing import Array, Floating
from ._layout import Layout
from ._problem import Block, LinearGradients, LinearProblem
from ._products import Products
from ._whole_rows import tangent_pairs

__all__ = ["ClassBlocks"]


class ClassBlocks:
    """As `WholeRows`, where not even one row of logits fits: sums first, then the derivatives.

    Parameters
    ----------
    problem : LinearProblem
    layout : Layout
    products : Products
    """

    def __init__(self, problem: LinearProblem, layout: Layout, products: Products) -> None:
        self._layer, self._loss, self._products = problem.layer, problem.loss, products
        self._n_classes, self._step = problem.n_classes, layout.class_block
        self._z = np.empty((layout.block_rows, layout.class_block), products.dtype)
        self._dz: Floating | None = None

    def loss(self, block: Block, losses: Array | None) -> float:
        """The losses where there is room for them, and their sum."""
        return self._losses(self.sums(block), block, losses)

    def gradient(
        self, block: Block, losses: Array | None
    ) -> tuple[float, Iterator[tuple[slice, Floating]]]:
        """As `loss`; and G = dE/dz, some classes at a time."""
        sums = self.sums(block)
        return self._losses(sums, block, losses), self._gradients(sums, block)

    def _gradients(self, sums: ClassSums, block: Block) -> Iterator[tuple[slice, Floating]]:
        factor = self._factor(block)
        for part in self.parts(block):
            yield part.classes, self._rounded(sums.gradient(part) * factor)

    def jvp(self, block: Block, tangents: LinearGradients) -> tuple[Array, Array]:
        """Losses and their tangents, float64 (R,)."""
        sums = self.sums(block)
        losses, slopes = np.empty(len(block.inputs)), np.zeros(len(block.inputs))
        self._losses(sums, block, losses)
        for part in self.parts(block, tangents):
            g, dz = sums.gradient(part), part.tangent
            assert dz is not None
            slopes += np.where(g == 0.0, 0.0, g * dz).sum(axis=1)
        return losses, slopes if block.row_weight is None else slopes * block.row_weight

    def hvp(
        self, block: Block, tangents: LinearGradients, *, gauss_newton: bool, with_gradient: bool
    ) -> Iterator[tuple[slice, Floating, Floating]]:
        """dG, the Hessian's product with dz; and G where it is asked for."""
        sums, factor = self.sums(block, tangents), self._factor(block)
        for part in self.parts(block, tangents):
            dg = self._rounded(sums.curvature(part, gauss_newton) * factor)
            g = self._rounded(sums.gradient(part) * factor) if with_gradient else dg
            yield part.classes, dg, g

    def sums(
        self,
        block: Block,
        tangents: LinearGradients | None = None,
        seen: Callable[[ClassBlock], None] | None = None,
    ) -> ClassSums:
        """What the block's losses need of all classes; ``seen`` is shown each part of them."""
        sums = ClassSums(len(block.inputs), self._loss.options, *self._row_numbers(block))
        for part in self.parts(block, tangents):
            sums.add(part)
            if seen is not None:
                seen(part)
        return sums

    def _row_numbers(self, block: Block) -> tuple[Floating, Floating]:
        """The sum s of each row's targets, and K_i, the number of its classes; (R, 1)."""
        shape = (len(block.inputs), 1)
        mass, n_present = np.ones(shape), np.full(shape, float(self._n_classes))
        smoothed, mask = self._loss.options.label_smoothing > 0.0, self._loss.options.mask
        if smoothed and self._loss.target.ndim == 2:
            mass = np.zeros(shape)
            for classes in self._steps():
                y = target_rows(self._loss.target, block.rows, self._products.dtype, classes)
                mass += y.sum(axis=1, keepdims=True, dtype=np.float64)
        if smoothed and mask is not None:
            n_present = np.zeros(shape)
            for classes in self._steps():
                here = mask[classes][None] if mask.ndim == 1 else mask[block.rows, classes]
                n_present += here.sum(axis=1, keepdims=True)
        return mass, n_present

    def parts(self, block: Block, tangents: LinearGradients | None = None) -> Iterator[ClassBlock]:
        """Logits, targets and mask of some classes after the others, and their tangents."""
        mask = self._loss.options.mask
        for classes in self._steps():
            z, bias = self._part(self._z, block, classes), self._layer.bias
            pair = block.inputs, self._layer.weight[classes].T
            self._products.into(z, pair, start=None if bias is None else bias[classes])
            yield ClassBlock(
                classes,
                z,
                target_rows(self._loss.target, block.rows, self._products.dtype, classes),
                mask if mask is None else mask[classes] if mask.ndim == 1
                else mask[block.rows, classes],
                None if tangents is None else self._tangent(block, classes, tangents),
            )  # fmt: skip

    def _tangent(self, block: Block, classes: slice, tangents: LinearGradients) -> Floating:
        """dz = dphi W^T + phi dW^T + db of some classes, (R, C)."""
        if self._dz is None:
            self._dz = np.empty_like(self._z)
        dz = self._part(self._dz, block, classes)
        pairs = tangent_pairs(block, tangents, self._layer.weight, classes)
        bias = tangents.bias
        self._products.into(dz, *pairs, start=None if bias is None else bias[classes])
        return dz

    def _part(self, memory: Floating, block: Block, classes: slice) -> Floating:
        return memory[: len(block.inputs), : classes.stop - classes.start]

    def _steps(self) -> Iterator[slice]:
        for start in range(0, self._n_classes, self._step):
            yield slice(start, min(start + self._step, self._n_classes))

    def _losses(self, sums: ClassSums, block: Block, losses: Array | None) -> float:
        found = sums.losses()
        if block.row_weight is not None:
            found = found * block.row_weight
        if losses is not None:
            losses[...] = found
        return float(found.sum())

    def _factor(self, block: Block) -> Floating | float:
        factor = self._loss.reduction.gradient_factor
        return factor if block.row_weight is None else factor * block.row_weight[:, None]

    def _rounded(self, g: Floating) -> Floating:
        return g.astype(self._products.dtype, copy=False)
