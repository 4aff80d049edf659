"""Cross-entropy of rows whose classes come a block at a time: sums first, derivatives after.

Where not even one row of logits fits, a row is gone through twice. The sums are kept relative to
the largest logit so far and rescaled when a larger one comes (Milakov and Gimelshein 2018); the
largest one's own exponential is left out of them, so that nothing cancels on a confident row. In
float64 and NumPy on every floor.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._arguments import LossOptions
from .._typing import Array, Floating
from ._numpy._blocks import quiet, wide
from ._numpy._cross_entropy import bend

__all__ = ["ClassBlock", "ClassSums"]


class ClassBlock(NamedTuple):
    """Some classes of some rows."""

    classes: slice
    logits: Floating  # (R, C)
    target: Array  # labels (R,), counted from class 0, or targets (R, C)
    mask: Array | None  # (R, C) or (C,)
    tangent: Floating | None = None  # (R, C)


class _Bent(NamedTuple):
    """A block as the options bend it, all (R, C)."""

    m: Floating  # -inf where masked
    slope: Floating
    bend: Floating
    targets: Floating  # y''
    dz: Floating
    dm: Floating


class ClassSums:
    """What the loss of each row needs of its classes; arrays (R, 1).

    Parameters
    ----------
    n_rows : int
    options : LossOptions
        Without its mask.
    mass : float64 (R, 1)
        s, each row's sum of targets before they are smoothed.
    n_present : float64 (R, 1)
        K_i, the classes of each row that are not masked.
    """

    def __init__(
        self, n_rows: int, options: LossOptions, mass: Floating, n_present: Floating
    ) -> None:
        self._options, self._share = options, options.label_smoothing * mass / n_present
        self._maximum = np.full((n_rows, 1), -np.inf)  # a
        self._rest = np.zeros((n_rows, 1))  # sum of exp(m - a) without one largest class
        self._weighted = np.zeros((n_rows, 1))  # s''
        self._largest = np.zeros((n_rows, 1))  # the largest y''
        self._beside = np.zeros((n_rows, 1))  # the sum of the others
        self._distance = np.zeros((n_rows, 1))  # sum of y'' (a - m)
        self._moved = np.zeros((n_rows, 1))  # sum of exp(m - a) dm
        self._spread = np.zeros((n_rows, 1))  # sum of exp(m - a) (a - m)

    @quiet
    def add(self, block: ClassBlock) -> None:
        """Take in more classes."""
        bent = self._bent(block)
        m, y = bent.m, bent.targets
        top = m.max(axis=1, keepdims=True)
        larger = top > self._maximum
        higher = np.maximum(self._maximum, top)  # NaN stays NaN
        risen = np.where(higher == self._maximum, 0.0, higher - self._maximum)
        shrunk = np.exp(-risen)
        below = np.where(np.isneginf(higher), np.inf, higher - m)
        e = np.exp(-below)
        seen = np.where(np.isneginf(self._maximum), 0.0, 1.0 + self._rest)
        self._spread = (self._spread + _product(seen, risen)) * shrunk
        self._spread += _product(e, below).sum(axis=1, keepdims=True)
        self._moved = self._moved * shrunk + _product(bent.dm, e).sum(axis=1, keepdims=True)
        self._distance += _product(self._weighted, risen)
        self._distance += _product(y, below).sum(axis=1, keepdims=True)
        first = m.argmax(axis=1)[:, None]
        own = np.take_along_axis(e, first, axis=1)
        np.put_along_axis(e, first, 0.0, axis=1)
        others = e.sum(axis=1, keepdims=True)
        self._rest = np.where(larger, seen * shrunk + others, self._rest + others + own)
        self._maximum = higher
        self._add_targets(y)

    def _add_targets(self, y: Floating) -> None:
        first = y.argmax(axis=1)[:, None]
        largest = np.take_along_axis(y, first, axis=1)
        np.put_along_axis(y, first, 0.0, axis=1)
        self._beside += y.sum(axis=1, keepdims=True) + np.minimum(largest, self._largest)
        self._largest = np.maximum(largest, self._largest)
        self._weighted = self._largest + self._beside

    @property
    def _log_rest(self) -> Floating:
        """l - a; NaN where there is no finite maximum to measure from."""
        return np.where(np.isfinite(self._maximum), np.log1p(self._rest), np.nan)

    @quiet
    def lse(self) -> Floating:
        """l, (R,)."""
        lse = self._maximum + np.log1p(self._rest)
        return np.where(np.isinf(self._maximum), self._maximum, lse)[:, 0]

    @quiet
    def entropy(self) -> Floating:
        """-sum_k p_k log p_k, (R,)."""
        return (self._log_rest + self._spread / (1.0 + self._rest))[:, 0]

    @quiet
    def probabilities(self, m: Floating) -> Floating:
        """exp(m - l) of some classes of each row."""
        return self._exponentials(m) / (1.0 + self._rest)

    @quiet
    def losses(self) -> Floating:
        """E of each row, (R,)."""
        loss = _product(self._weighted, self._log_rest) + self._distance
        loss = np.where(np.isnan(self._log_rest), np.nan, loss)
        if self._options.z_loss:
            loss = loss + self._options.z_loss * (self._maximum + self._log_rest) ** 2
        return loss[:, 0]

    @quiet
    def gradient(self, block: ClassBlock) -> Floating:
        """dE/dz of a block that has been taken in, (R, C)."""
        bent = self._bent(block)
        return self._gradient_in_m(bent) * bent.slope / self._options.temperature

    def _gradient_in_m(self, bent: _Bent) -> Floating:
        y, e = bent.targets, self._exponentials(bent.m)
        gradient = e * np.where(y == self._largest, self._beside, self._weighted - y)
        gradient -= y * np.where(bent.m == self._maximum, self._rest, 1.0 + self._rest - e)
        if self._options.z_loss:
            gradient += 2.0 * self._options.z_loss * (self._maximum + self._log_rest) * e
        gradient /= 1.0 + self._rest
        return gradient

    def _exponentials(self, m: Floating) -> Floating:
        """exp(m - a); NaN in a row without a finite maximum."""
        return np.exp(m - np.where(np.isfinite(self._maximum), self._maximum, np.nan))

    @quiet
    def curvature(self, block: ClassBlock, gauss_newton: bool) -> Floating:
        """The Hessian's product with the tangent, of a block that has been taken in, (R, C)."""
        zeta, temperature = self._options.z_loss, self._options.temperature
        bent = self._bent(block)
        p = self.probabilities(bent.m)
        mean = self._moved / (1.0 + self._rest)
        curved = self._weighted * p * (bent.dm - mean)
        if zeta:
            curved += 2.0 * zeta * p * mean
            if not gauss_newton:
                curved += 2.0 * zeta * (self._maximum + self._log_rest) * p * (bent.dm - mean)
        curved *= bent.slope / temperature
        if self._options.softcap is not None and not gauss_newton:
            curved += bent.bend * bent.dz / temperature**2 * self._gradient_in_m(bent)
        return curved

    def _bent(self, block: ClassBlock) -> _Bent:
        mask = None if block.mask is None else np.broadcast_to(block.mask, block.logits.shape)
        z, dz = wide(block.logits), np.zeros(1)
        if block.tangent is not None:
            dz = wide(block.tangent)
        if mask is not None:
            z, dz = np.where(mask, z, 0.0), np.where(mask, dz, 0.0)
        m, slope, curve = bend(z, self._options)
        if mask is not None:
            m = np.where(mask, m, -np.inf)
        dm = slope * dz / self._options.temperature
        return _Bent(m, slope, curve, self._final_targets(block, mask), dz, dm)

    def _final_targets(self, block: ClassBlock, mask: Array | None) -> Floating:
        """y'' = w ((1 - e) y + e s / K_i), (R, C)."""
        start = block.classes.start
        if block.target.ndim == 2:
            y = wide(block.target)
        else:
            y = np.zeros(block.logits.shape)
            here = np.flatnonzero((block.target >= start) & (block.target < block.classes.stop))
            y[here, block.target[here] - start] = 1.0
        if self._options.label_smoothing:
            y = (1.0 - self._options.label_smoothing) * y + self._share
            y = y if mask is None else np.where(mask, y, 0.0)
        of_class = self._options.class_weight
        return y if of_class is None else y * of_class[block.classes]


def _product(a: Floating, b: Floating) -> Floating:
    """A b, and 0 wherever a is 0."""
    return np.where(a == 0.0, 0.0, a * b)
