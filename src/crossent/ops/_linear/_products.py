"""Sums of matrix products, of operands of any real dtype, in pieces that fit a scratch memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from ..._typing import Array, Floating

__all__ = ["LEAST_SCRATCH", "Pair", "Product", "Products", "is_ready", "numpy_product"]

Product: TypeAlias = Callable[[Floating, Floating, Floating], object]
"""``product(a, b, out)`` writes the matrix product a b into out; all three have one dtype."""

Pair: TypeAlias = tuple[Array, Array]
"""Two matrices (m, c) and (c, p) to be multiplied."""

LEAST_SCRATCH = 4
"""Elements: one of each operand, of a product and of a sum."""


def numpy_product(a: Floating, b: Floating, out: Floating) -> None:
    """The matrix product of NumPy's BLAS."""
    np.matmul(a, b, out=out)


class Products:
    """``out = sum of a b`` and ``out += sum of a b``.

    What a BLAS does not do - another dtype, an odd layout, adding to what is there - is done piece
    by piece in a scratch memory.

    Parameters
    ----------
    product : Product
    dtype : numpy.dtype
        What is computed in: operands of another dtype are converted, results rounded once.
    scratch : int
        Elements of ``dtype`` for pieces of operands and of products; `LEAST_SCRATCH` or more.
    """

    def __init__(self, product: Product, dtype: np.dtype[Any], scratch: int) -> None:
        self._product, self.dtype, self._size = product, dtype, scratch

    @cached_property
    def _memory(self) -> Floating:
        return np.empty(self._size, self.dtype)

    def into(self, out: Array, *pairs: Pair, add: bool = False) -> None:
        """Out (m, p) = sum of a b, or += where ``out`` has the dtype computed in."""
        if out.dtype != self.dtype:
            self._by_pieces(out, pairs, add=False)
            return
        if not pairs and not add:
            out[...] = 0
        for a, b in pairs:
            if add or not (is_ready(a, self.dtype) and is_ready(b, self.dtype)):
                self._by_pieces(out, [(a, b)], add)
            else:
                self._product(a, b, out)
            add = True

    def _by_pieces(self, out: Array, pairs: Sequence[Pair], add: bool) -> None:
        copied = tuple(
            any(not is_ready(pair[side], self.dtype) for pair in pairs) for side in (0, 1)
        )
        depth = pairs[0][0].shape[1] if pairs else 0
        height, depth, width = self._tile((*out.shape, depth), copied, out.dtype != self.dtype)
        for i in _steps(out.shape[0], height):
            for j in _steps(out.shape[1], width):
                here = [(a[i, k], b[k, j]) for a, b in pairs for k in _steps(a.shape[1], depth)]
                self._piece(out[i, j], here, copied, add)

    def _piece(
        self, out: Array, pairs: Sequence[Pair], copied: tuple[bool, ...], add: bool
    ) -> None:
        """One piece of the result, as a sum over pieces of what is contracted."""
        memory = _Stack(self._memory)
        total = out if out.dtype == self.dtype else memory.take(out.shape)
        part = memory.take(out.shape)
        start = memory.used
        if not pairs and not add:
            total[...] = 0
        for a, b in pairs:
            memory.used = start
            left = memory.like(a) if copied[0] else a
            right = memory.like(b) if copied[1] else b
            self._product(left, right, part if add else total)
            if add:
                total += part
            add = True
        if total is not out:
            out[...] = total

    def _tile(
        self, shape: tuple[int, int, int], copied: tuple[bool, ...], narrow: bool
    ) -> tuple[int, int, int]:
        """Height, depth and width of pieces that fit: what is longest and counts is halved."""
        m, p, c = (max(1, size) for size in shape)
        while copied[0] * m * c + copied[1] * c * p + (1 + narrow) * m * p > self._size:
            longest = max(m, p, c if any(copied) else 0)
            if longest == m:
                m = -(-m // 2)
            elif longest == p:
                p = -(-p // 2)
            else:
                c = -(-c // 2)
        return m, c, p


class _Stack:
    """Parts of a flat memory, handed out one after the other."""

    def __init__(self, memory: Floating) -> None:
        self._memory, self.used = memory, 0

    def take(self, shape: tuple[int, ...]) -> Floating:
        start, self.used = self.used, self.used + shape[0] * shape[1]
        return self._memory[start : self.used].reshape(shape)

    def like(self, array: Array) -> Floating:
        """A copy of the array; the longer of its steps stay the longer ones."""
        if abs(array.strides[0]) < abs(array.strides[1]):
            return self.like(array.T).T
        copy = self.take(array.shape)
        np.copyto(copy, array, casting="unsafe")
        return copy


def is_ready(array: Array, dtype: np.dtype[Any]) -> bool:
    """Whether a BLAS can read it as it lies: one way single steps, the other way longer ones."""
    if array.dtype != dtype or not array.flags.aligned:
        return False
    for rows in (array, array.T):
        step, unit = rows.strides
        dense = unit == dtype.itemsize or rows.shape[1] <= 1
        apart = step >= rows.shape[1] * dtype.itemsize and step % dtype.itemsize == 0
        if dense and (apart or rows.shape[0] <= 1):
            return True
    return False


def _steps(count: int, step: int) -> Iterator[slice]:
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))
