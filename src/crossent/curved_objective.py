"""The same objective with its second derivatives, and coordinates that follow them on the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg.blas import dtrsv

from ._typing import Array
from .features import Coordinates
from .features._curvature import add_class_curvature, add_curvature
from .objective import Network, NetworkObjective
from .ops import softmax

__all__ = ["CurvedObjective"]

_BLOCK_BYTES = 2 << 20
"""Of a block's products p_k u, which are to stay in a cache."""

_JOINT_UP_TO, _FEW_CLASSES = (1000, 3000), 50
"""Parameters up to which `refined` measures their curvature together: of many classes, of few."""

_LEAST_SINCE, _SHARE, _SHARE_UNSURE = 4, 0.25, 0.125
"""Iterations before a whole Hessian is measured again: so many, and this share of the evaluations
that it costs."""

_CALLS = 3e7
"""What an evaluation costs beside its sums: as much as so many of their terms."""

_RARELY, _ROWS_A_PARAMETER = (8, 24, 72, 216), 4
"""Iterations after which the classes' curvature is measured, where there are so many rows a
parameter: fewer do not tell it, and measuring it was found to do harm (20000 x 100 x 1000)."""


class _Care(NamedTuple):
    """What a Hessian is measured with.

    At most so many rows a parameter, taken evenly; of these the ones whose own curvature is more
    than ``least`` of their mean; products of a dtype.
    """

    rows: int | None
    least: float
    dtype: Any


_EXACT = _Care(None, 0.0, np.float64)
_ROUGH, _FINE = _Care(12, 0.1, np.float32), _Care(100, 1e-3, np.float64)
_N_ROUGH = 3
"""Refinements far from the optimum: the nearer it is, the more a true Hessian is worth."""

_CLASSES_TOGETHER = 256
"""Classes up to which `refined` measures how they are curved together; beyond, one by one."""

_DAMPING = 1e-11


class CurvedObjective(NetworkObjective):
    """A `NetworkObjective` whose curvature can be measured.

    Once `refined`, the flat vector x of few parameters stands for coordinates C^-T x, with
    ``C C^T`` the Hessian found there.

    Attributes
    ----------
    newton : bool
        Whether `refined` is to make a step along the gradient Newton's; False at first.
    """

    newton = False
    _first: Coordinates | None = None
    _n_refined = 0
    _root: Array | None = None  # C

    # ------------------------------------------------------------ parameters

    def pack(self, network: Network) -> Array:
        """The flat vector of a network."""
        flat = super().pack(network)
        return flat if self._root is None else flat @ self._root

    def unpack(self, parameters: Array) -> Network:
        """The network of a flat vector."""
        if self._root is not None:
            parameters = dtrsv(self._root.T, parameters)
        return super().unpack(parameters)

    def value_and_grad(self, parameters: Array) -> tuple[float, Array]:
        """f and its gradient, float64 (P,), in the flat vector."""
        value, gradient = super().value_and_grad(parameters)
        return value, gradient if self._root is None else dtrsv(self._root.T, gradient, trans=1)

    def is_due(self, n_iterations: int, n_since: int, *, unsure: bool) -> bool:
        """Whether `refined` is worth its cost, as `lbfgs` asks."""
        if self.newton:
            return True
        if not self._is_joint:
            known = self._batches.n_samples >= _ROWS_A_PARAMETER * self._n_linear
            return known and n_iterations in _RARELY
        share, least = (_SHARE_UNSURE, 1) if unsure else (_SHARE, _LEAST_SINCE)
        return n_since >= max(least, share * self._cost())

    @property
    def _n_linear(self) -> int:
        """P: numbers in W and b."""
        return self.n_rows * (self.features.n_features + self.loss.fit_intercept)

    @property
    def _is_joint(self) -> bool:
        """Whether the curvature of all parameters is measured together."""
        most = _JOINT_UP_TO[self.n_rows < _FEW_CLASSES]
        whitened = self.coordinates.factor.ndim == 2 and not self.features.n_parameters
        return whitened and self._n_linear <= most

    def _cost(self) -> float:
        """How many evaluations the next whole Hessian costs, about."""
        care, size, n_samples = self._care(), self._n_linear, self._batches.n_samples
        rows = n_samples if care.rows is None else min(n_samples, care.rows * size)
        evaluation = n_samples * (4.0 * size + 60.0 * self.n_rows) + _CALLS
        half = 0.5 if care.dtype == np.float32 else 1.0
        return (half * rows * size**2 + size**3) / evaluation

    def _care(self) -> _Care:
        """How the next whole Hessian is measured: roughly at first, if not only the loss curves."""
        if self.newton:
            return _EXACT
        return _ROUGH if self._n_refined < _N_ROUGH and self.ridge > 0.0 else _FINE

    def refined(self, parameters: Array) -> Array:
        """Take coordinates in which f is curved alike in all directions at a point; return its own.

        By the whole Hessian where the parameters are few and all of W and b; else by the mean
        curvature of the loss in the logits, and that of the features in the inputs. Some of many
        rows are enough. With ``newton`` the Hessian is whole and of all rows.
        """
        at = self.evaluated(parameters)
        self._first = self._first or self.coordinates
        if self.newton or self._is_joint:
            self._root = self._measured_root(at.network)
        else:
            curvature = self._class_curvature(at.network)
            self.coordinates = self._first.for_classes(curvature, self.ridge)
        there = self.pack(at.network)
        self._at = at._replace(parameters=there)
        return there

    def _measured_root(self, network: Network) -> Array:
        """C of the Hessian, which what f does not see, a number added to all of b, curves too."""
        hessian = self._hessian(network, self._care())
        self._n_refined += 1
        if self.loss.fit_intercept and self.n_rows > 1:
            bias = hessian[-self.n_rows :, -self.n_rows :]
            bias += bias.trace() / self.n_rows**2
        return _root(hessian)

    # ------------------------------------------------------------ curvature

    def hessian(self, parameters: Array) -> Array:
        """Second derivatives of f, float64 (P, P), for dense features without parameters.

        ``H = sum_i r_i s_i (diag(p_i) - p_i p_i^T) (x) phi_i phi_i^T / S`` and the penalty, formed
        in the whitened coordinates by blocks of rows.

        Raises
        ------
        ValueError
            If the features have parameters: f has no such simple curvature in those.
        """
        if self.features.n_parameters:
            raise ValueError("hessian is for features without parameters")
        return self._hessian(self.unpack(parameters), _EXACT)

    def _hessian(self, network: Network, care: _Care) -> Array:
        """The Hessian, measured with some care."""
        n, n_linear = self.features.n_features, self.n_rows * self.features.n_features
        size = n_linear + (self.n_rows if self.loss.fit_intercept else 0)
        total = np.zeros((size, size))
        unit = float(self.coordinates.bias_scale) if self.loss.fit_intercept else None
        n_rows = None if care.rows is None else care.rows * size
        for phi, p, mass in self._probabilities(network, n_rows, 8 * size):
            own = mass * (1.0 - np.square(p).sum(axis=1))
            kept = own > care.least * own.mean()
            u = self.coordinates.features(phi[kept]).astype(care.dtype, copy=False)
            add_curvature(total, u, p[kept], mass[kept], unit)
        factor = self.coordinates.factor
        penalty = np.diag(np.square(factor)) if factor.ndim == 1 else factor.T @ factor
        for row in range(self.n_rows):
            own = slice(row * n, (row + 1) * n)
            total[own, own] += self.ridge * penalty
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
        budget = min(_BLOCK_BYTES, self.loss.workspace_bytes or _BLOCK_BYTES)
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
    diagonal = np.diag_indices(len(matrix))
    while True:
        matrix[diagonal] += damping * scale
        try:
            return np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            damping *= 100.0
