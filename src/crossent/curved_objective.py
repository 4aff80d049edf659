"""The same objective with its second derivatives, and coordinates that follow them on the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ._typing import Array
from .features import Coordinates, add_class_curvature, add_curvature
from .objective import Network, NetworkObjective
from .ops import softmax

__all__ = ["CurvedObjective"]

_HESSIAN_BYTES = 16 << 20

_JOINT_UP_TO = 1000
"""Parameters up to which `refined` measures their curvature together."""

_ROWS_A_PARAMETER = 12
"""Rows that are enough for a whole Hessian: with more, a refinement costs more than it saves."""

_CLASSES_TOGETHER = 256
"""Classes up to which `refined` measures how they are curved together; beyond, one by one."""

_DAMPING = 1e-11
_LEAF = 48  # rows of a triangle that is inverted as if it were none


class CurvedObjective(NetworkObjective):
    """A `NetworkObjective` whose curvature can be measured.

    Once `refined`, the flat vector x of few parameters stands for coordinates L x, with L the
    inverse root of the Hessian found there.
    """

    _first: Coordinates | None = None
    _joint: Array | None = None  # L
    _joint_inverse: Array | None = None

    # ------------------------------------------------------------ parameters

    def pack(self, network: Network) -> Array:
        """The flat vector of a network."""
        flat = super().pack(network)
        return flat if self._joint_inverse is None else self._joint_inverse @ flat

    def unpack(self, parameters: Array) -> Network:
        """The network of a flat vector."""
        return super().unpack(parameters if self._joint is None else self._joint @ parameters)

    def value_and_grad(self, parameters: Array) -> tuple[float, Array]:
        """f and its gradient, float64 (P,), in the flat vector."""
        value, gradient = super().value_and_grad(parameters)
        return value, gradient if self._joint is None else gradient @ self._joint

    def refined(self, parameters: Array) -> Array:
        """Take coordinates in which f is curved alike in all directions at a point; return its own.

        By the whole Hessian where that has at most 1000 rows and the features no parameters; else
        by the mean curvature of the loss in the logits, and that of the features in the inputs.
        Some of many rows are enough.
        """
        at = self.evaluated(parameters)
        self._first = self._first or self.coordinates
        together = len(parameters) <= _JOINT_UP_TO and not self.features.n_parameters
        if together and self.coordinates.factor.ndim == 2:
            self._joint = self._joint_inverse = None
            hessian = self.hessian(self.pack(at.network), _ROWS_A_PARAMETER * len(parameters))
            root = _root(hessian)
            self._joint, self._joint_inverse = _triangular_inverse(root).T, root.T
        else:
            curvature = self._class_curvature(at.network)
            self.coordinates = self._first.for_classes(curvature, self.ridge)
        there = self.pack(at.network)
        self._at = at._replace(parameters=there)
        return there

    # ------------------------------------------------------------ curvature

    def hessian(self, parameters: Array, n_rows: int | None = None) -> Array:
        """Second derivatives of f, float64 (P, P), for dense features without parameters.

        ``H = sum_i r_i s_i (diag(p_i) - p_i p_i^T) (x) phi_i phi_i^T / S`` and the penalty, formed
        in the whitened coordinates by blocks of rows; from about ``n_rows`` of them, where given.

        Raises
        ------
        ValueError
            If the features have parameters: f has no such simple curvature in those.
        """
        if self.features.n_parameters:
            raise ValueError("hessian is for features without parameters")
        network, size = self.unpack(parameters), len(parameters)
        total = np.zeros((size, size))
        unit = float(self.coordinates.bias_scale) if self.loss.fit_intercept else None
        for phi, p, mass in self._probabilities(network, n_rows, 3 * 8 * size):
            add_curvature(total, self.coordinates.features(phi), p, mass, unit)
        factor = self.coordinates.factor
        penalty = np.diag(np.square(factor)) if factor.ndim == 1 else factor.T @ factor
        n = len(penalty)
        for row in range(self.n_rows):
            total[row * n : (row + 1) * n, row * n : (row + 1) * n] += self.ridge * penalty
        return total

    def _class_curvature(self, network: Network) -> Array:
        """Mean of ``s (diag(p) - p p^T)``, or of its diagonal for many classes."""
        few = self.n_rows <= _CLASSES_TOGETHER
        total = np.zeros((self.n_rows,) * 2 if few else self.n_rows)
        n_rows = max(4096, 20 * self.n_rows)
        for _, p, mass in self._probabilities(network, n_rows, 3 * 8 * self.n_rows):
            add_class_curvature(total, p, mass)
        if few and self.n_rows > 1:
            total += total.trace() / self.n_rows**2  # adding a number to all logits changes nothing
        return total

    def _probabilities(
        self, network: Network, n_rows: int | None, row_bytes: int
    ) -> Iterator[tuple[Any, Array, Array]]:
        """Blocks of features, the R probabilities, and masses of rows; all or some of them."""
        batches = self._batches if n_rows is None else self._batches.thinned(n_rows)
        share = batches.n_samples * self._total / max(1, self._batches.n_samples)
        budget = min(_HESSIAN_BYTES, self.loss.workspace_bytes or _HESSIAN_BYTES)
        block = max(1, budget // row_bytes)
        for batch in batches:
            mass = self._row_mass(batch) / share
            for start in range(0, len(mass), block):
                rows = slice(start, start + block)
                phi = self.features.values(network.features, batch.inputs[rows])
                weight, bias = self._logit_rows(network, phi.dtype)
                p = softmax(np.asarray(phi @ weight.T) + bias)[:, -self.n_rows :]
                yield phi, p.astype(np.float64), mass[rows]


def _root(matrix: Array) -> Array:
    """Lower Cholesky factor; a little damping stands for directions without curvature."""
    damping, scale = _DAMPING, float(matrix.diagonal().max())
    while True:
        try:
            return np.linalg.cholesky(matrix + damping * scale * np.eye(len(matrix)))
        except np.linalg.LinAlgError:
            damping *= 100.0


def _triangular_inverse(lower: Array) -> Array:
    """The inverse of a lower triangle, by halves: most of it is two products of matrices."""
    n, half = len(lower), len(lower) // 2
    if n <= _LEAF:
        return np.linalg.inv(lower)
    inverse = np.zeros_like(lower)
    inverse[:half, :half] = _triangular_inverse(lower[:half, :half])
    inverse[half:, half:] = _triangular_inverse(lower[half:, half:])
    inverse[half:, :half] = -inverse[half:, half:] @ (lower[half:, :half] @ inverse[:half, :half])
    return inverse
