"""What L-BFGS remembers: pairs of steps and changes of the gradient, and the direction they give.

In matrices that a BLAS goes through once a product, by the compact form of Byrd, Nocedal and
Schnabel (1994), rather than vector by vector.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .._typing import Array
from ._line_search import Point

__all__ = ["Memory"]

_LARGE = 1 << 18
"""Parameters from which the pairs are kept in float32: they only shape the direction."""

_PIECE = 1 << 15
"""Numbers of a vector that are gone through at a time, so that what is made of them stays in a
cache: vectors of a million numbers or more are read and written no oftener than need be."""


class Memory:
    """The last pairs (s, y), and products with the inverse Hessian they stand for.

    ``H g = gamma g + S a - gamma Y c`` with ``R c = S^T g`` and
    ``R^T a = (D + gamma Y^T Y) c - gamma Y^T g``, where R is the upper triangle of ``S^T Y``, D its
    diagonal and ``gamma = s^T y / y^T y`` of the last pair.

    Parameters
    ----------
    size : int
        Pairs at most.
    n_parameters : int
    """

    def __init__(self, size: int, n_parameters: int) -> None:
        dtype = np.float32 if n_parameters >= _LARGE else np.float64
        self._pairs = np.empty((2, size, n_parameters), dtype)  # S and Y, in a ring
        self._sy, self._yy = np.zeros((size, size)), np.zeros((size, size))
        self._products = np.zeros((2, size))  # S^T g and Y^T g, for the gradient last seen
        self._order: list[int] = []
        self._is_new = False

    def clear(self) -> None:
        """Forget all pairs."""
        self._order.clear()

    def add(self, start: Point, end: Point) -> None:
        """Remember the step between two points, and forget the oldest.

        Left out is one without positive curvature, or whose squares are beyond a float64.
        """
        own = square = 0.0
        for piece in self._pieces():
            step, change = _difference(start, end, piece)
            own += _dot(step, change)
            square += _dot(change, change)
        number = np.finfo(np.float64)
        if not (own > number.eps * square and number.tiny * own < square < np.inf):
            return
        size = len(self._sy)
        place = self._order.pop(0) if len(self._order) == size else len(self._order)
        self._order.append(place)
        self._scale = 1.0 / np.sqrt(own)  # s^T y = 1: nothing under- or overflows in float32
        for piece in self._pieces():
            for pairs, vector in zip(self._pairs, _difference(start, end, piece), strict=True):
                pairs[place, piece] = self._scale * vector
        self._sy[place, place], self._yy[place, place] = 1.0, square / own
        self._is_new = True

    def direction(self, gradient: Array) -> Array:
        """-H g, float64 (P,); -g where nothing is remembered."""
        if not self._order:
            return -gradient
        products, size = self._products_with(gradient)
        order = np.array(self._order)
        gamma = 1.0 / float(self._yy[order[-1], order[-1]])
        upper = np.triu(self._sy[np.ix_(order, order)])
        inner = gamma * self._yy[np.ix_(order, order)] + np.diag(upper.diagonal())
        back = np.linalg.solve(upper, products[0, order])
        weights = np.zeros_like(products)
        weights[0, order] = np.linalg.solve(upper.T, inner @ back - gamma * products[1, order])
        weights[1, order] = -gamma * back
        used, dtype = slice(0, len(order)), self._pairs.dtype
        weights = (weights / size).astype(dtype)
        along = [row[used] @ pairs[used] for row, pairs in zip(weights, self._pairs, strict=True)]
        direction = np.empty_like(gradient)
        for piece in self._pieces():
            found = size * (along[0][piece] + along[1][piece])
            direction[piece] = gradient[piece] * -gamma - found
        return direction

    def _pieces(self) -> Iterator[slice]:
        n_parameters = self._pairs.shape[2]
        return (slice(i, i + _PIECE) for i in range(0, n_parameters, _PIECE))

    def _products_with(self, gradient: Array) -> tuple[Array, float]:
        """S^T g and Y^T g, float64 (2, m), and the size of g.

        The newest pair's products with the others are differences of these: y is the change of g.
        """
        used = slice(0, len(self._order))
        size = float(np.linalg.norm(gradient)) or 1.0
        g = np.empty(len(gradient), self._pairs.dtype)
        for piece in self._pieces():
            g[piece] = gradient[piece] / size
        products = np.zeros_like(self._products)
        for row, pairs in zip(products, self._pairs, strict=True):
            row[used] = size * (pairs[used] @ g).astype(np.float64)
        if self._is_new:
            place, others = self._order[-1], self._order[:-1]
            changes = self._scale * (products - self._products)
            self._sy[others, place] = changes[0, others]
            self._yy[others, place] = self._yy[place, others] = changes[1, others]
            self._is_new = False
        self._products = products
        return products, size


def _dot(a: Array, b: Array) -> float:
    """a b of a piece, without the threads that a BLAS would wake for each."""
    return float(np.einsum("i,i", a, b))


def _difference(start: Point, end: Point, piece: slice) -> tuple[Array, Array]:
    """A piece of the step from one point to another, and of the change of the gradient."""
    step = end.parameters[piece] - start.parameters[piece]
    return step, end.gradient[piece] - start.gradient[piece]
