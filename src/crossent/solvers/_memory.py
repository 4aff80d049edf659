"""What L-BFGS remembers: pairs of steps and changes of the gradient, and the direction they give.

By the compact form of Byrd, Nocedal and Schnabel (1994): all pairs are gone through once for their
products with a gradient, and once for the direction.
"""

from __future__ import annotations

import numpy as np

from .._typing import Array
from .._vectors import combined, products
from ._line_search import Step

__all__ = ["Memory"]

_LARGE = 1 << 18
"""Parameters from which the pairs are kept in float32: they only shape the direction."""


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
        self._pairs = np.empty((size, 2, n_parameters), dtype)  # s and y of each, in a ring
        self._sy, self._yy = np.zeros((size, size)), np.zeros((size, size))
        self._products = np.zeros((size, 2))  # s^T g and y^T g, for the gradient last seen
        self._order: list[int] = []
        self._is_new = False

    def clear(self) -> None:
        """Forget all pairs."""
        self._order.clear()

    def add(self, step: Step) -> None:
        """Remember a step and the change of the gradient on it, and forget the oldest.

        Left out is one without positive curvature, or whose squares are beyond a float64.
        """
        if not step.curvature > 0.0:
            return
        is_full = len(self._order) == len(self._sy)
        place = self._order.pop(0) if is_full else len(self._order)
        (start, end, curvature), (s, y) = step, self._pairs[place]
        scale = 1.0 / np.sqrt(curvature)  # s^T y = 1: nothing under- or overflows in float32
        back = np.array([-scale])
        combined(scale, end.parameters, back, start.parameters[None], s)
        square = combined(scale, end.gradient, back, start.gradient[None], y)[1]
        number = np.finfo(np.float64)
        if not number.tiny < square < 1.0 / number.eps:
            if is_full:
                self.clear()  # as the place of the oldest may hold anything
            return
        self._order.append(place)
        self._scale, self._is_new = scale, True
        self._sy[place, place], self._yy[place, place] = 1.0, square

    def direction(self, gradient: Array) -> Array:
        """-H g, float64 (P,); -g where nothing is remembered."""
        if not self._order:
            return -gradient
        found = self._products_with(gradient)
        order = np.array(self._order)
        gamma = 1.0 / float(self._yy[order[-1], order[-1]])
        upper = np.triu(self._sy[np.ix_(order, order)])
        inner = gamma * self._yy[np.ix_(order, order)] + np.diag(upper.diagonal())
        back = np.linalg.solve(upper, found[order, 0])
        weights = np.zeros_like(found)
        weights[order, 0] = np.linalg.solve(upper.T, inner @ back - gamma * found[order, 1])
        weights[order, 1] = -gamma * back
        return combined(-gamma, gradient, -weights[: len(order)].ravel(), self._rows())[0]

    def _rows(self) -> Array:
        """s, y, s, y ... of the pairs there are."""
        used = self._pairs[: len(self._order)]
        return used.reshape(-1, used.shape[2])

    def _products_with(self, gradient: Array) -> Array:
        """s^T g and y^T g, float64 (m, 2).

        The newest pair's products with the others are differences of these: y is the change of g.
        """
        found = np.zeros_like(self._products)
        found[: len(self._order)] = products(self._rows(), gradient).reshape(-1, 2)
        if self._is_new:
            place, others = self._order[-1], self._order[:-1]
            changes = self._scale * (found - self._products)
            self._sy[others, place] = changes[others, 0]
            self._yy[others, place] = self._yy[place, others] = changes[others, 1]
            self._is_new = False
        self._products = found
        return found
