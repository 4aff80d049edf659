"""Sums of matrix products, of operands of any real dtype, in pieces that fit a scratch memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from ... import _kernels
from ..._typing import Array, Floating

__all__ = [
    "LEAST_SCRATCH",
    "Pair",
    "Product",
    "Products",
    "best_product",
    "is_ready",
    "numpy_product",
    "own_product",
]

Product: TypeAlias = Callable[[Floating, Floating, Floating], object]
"""``product(a, b, out)`` writes the matrix product a b into out; all three have one dtype."""

Pair: TypeAlias = tuple[Array, Array]
"""Two matrices (m, c) and (c, p) to be multiplied."""

LEAST_SCRATCH = 4
"""Elements: one of each operand, of a product and of a sum."""


def numpy_product(a: Floating, b: Floating, out: Floating) -> None:
    """The matrix product of NumPy's BLAS."""
    np.matmul(a, b, out=out)


def own_product(a: Floating, b: Floating, out: Floating) -> None:
    """The compiled kernels' matrix product: it reads any steps, and `Products` lets it add."""
    _kernels.matrix_product(a, b, out, None, False)


best_product: Product = numpy_product if _kernels.KERNELS == "numpy" else own_product


class Products:
    """``out = start + sum of a b`` and ``out += sum of a b``.

    What the product does not do - another dtype; a BLAS also an odd layout, and adding to what is
    there - is done piece by piece in a scratch memory.

    Parameters
    ----------
    product : Product
    dtype : numpy.dtype
        What is computed in: operands of another dtype are converted, results rounded once.
    scratch : int
        Elements of ``dtype`` for pieces of operands and of products; `LEAST_SCRATCH` or more.
    in_order : bool
        With `own_product`: each number is one sum over its terms, however these are divided.
    """

    def __init__(
        self, product: Product, dtype: np.dtype[Any], scratch: int, in_order: bool = False
    ) -> None:
        self._product, self.dtype, self._size = product, dtype, scratch
        self._own, self._in_order = product is own_product, in_order

    @cached_property
    def _memory(self) -> Floating:
        return np.empty(self._size, self.dtype)

    def into(self, out: Array, *pairs: Pair, add: bool = False, start: Array | None = None) -> None:
        """Out (m, p) = start (p,) + sum of a b, or += where ``out`` has the dtype computed in."""
        if out.dtype != self.dtype:
            self._by_pieces(out, pairs, add=False)
            return
        begin = out if add else None
        if start is not None and pairs and self._begins_with(start):
            begin, start = np.broadcast_to(start, out.shape), None
        elif not pairs and not add:
            out[...] = 0
        for a, b in pairs:
            if self._reads(a) and self._reads(b) and (self._own or begin is None):
                self._write(a, b, out, begin)
            else:
                if begin is not None and begin is not out:
                    out[...] = begin
                self._by_pieces(out, [(a, b)], add=begin is not None)
            begin = out
        if start is not None:
            out += start

    def _begins_with(self, start: Array) -> bool:
        return self._own and self._reads(start) and start.flags.c_contiguous

    def _reads(self, array: Array) -> bool:
        if self._own:
            return array.dtype == self.dtype and array.flags.aligned
        return is_ready(array, self.dtype)

    def _write(self, a: Array, b: Array, out: Array, begin: Array | None) -> None:
        """Out = a b, with the compiled kernel begin + a b."""
        if self._own:
            _kernels.matrix_product(a, b, out, begin, self._in_order)
        else:
            self._product(a, b, out)

    def _by_pieces(self, out: Array, pairs: Sequence[Pair], add: bool) -> None:
        copied = tuple(any(not self._reads(pair[side]) for pair in pairs) for side in (0, 1))
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
        part = total if self._own else memory.take(out.shape)  # the kernel adds by itself
        start = memory.used
        if not pairs and not add:
            total[...] = 0
        for a, b in pairs:
            memory.used = start
            left = memory.like(a) if copied[0] else a
            right = memory.like(b) if copied[1] else b
            if add and not self._own:
                self._write(left, right, part, None)
                total += part
            else:
                self._write(left, right, total, total if add else None)
            add = True
        if total is not out:
            out[...] = total

    def _tile(
        self, shape: tuple[int, int, int], copied: tuple[bool, ...], narrow: bool
    ) -> tuple[int, int, int]:
        """Height, depth and width of pieces that fit: what is longest and counts is halved."""
        m, p, c = (max(1, size) for size in shape)
        results = narrow + (not self._own)
        while copied[0] * m * c + copied[1] * c * p + results * m * p > self._size:
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
