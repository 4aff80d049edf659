"""Targets given by a few classes of each row, and made dense for a block of rows at a time."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .._typing import Array, ArrayLike
from ._arrays import as_array, as_floating, check_same_shape
from ._scalars import check_choice

__all__ = ["TopKRows", "TopKTargets", "as_top_k"]

_BLOCK_ELEMENTS = 1 << 16


class TopKTargets(NamedTuple):
    """Target probabilities of a few classes a row, such as a teacher's largest, as a ``target``.

    ``y_ik = probabilities_ij`` for ``k = indices_ij``; the other classes share the tail.

    Parameters
    ----------
    indices : array_like of integers, shape (..., m)
        The classes that have probabilities of their own, no class twice in a row. The leading
        axes are those of labels, wherever the logits have their class axis.
    probabilities : array_like, shape (..., m)
        Their targets: finite and not negative.
    tail : {"zero", "uniform"}
        "zero": the other classes have the target 0, and the row sums to what is given.
        "uniform": what is missing to 1 is spread evenly over the K - m other classes (of these,
        over those that ``where`` keeps); the row may then not sum to more than 1.

    Notes
    -----
    Every function that takes a ``target`` takes this one, with all options. The ``linear_``
    functions make the row of K targets for a block of rows at a time. To leave a row out, give
    it a sample weight of 0.

    Examples
    --------
    >>> import crossent as ce
    >>> target = ce.TopKTargets([[2, 0]], [[0.5, 0.25]], tail="uniform")
    >>> float(ce.cross_entropy([[1.0, 0.0, 2.0, 0.0]], target))
    1.2438117090722...
    >>> float(ce.cross_entropy([[1.0, 0.0, 2.0, 0.0]], [[0.25, 0.125, 0.5, 0.125]]))
    1.2438117090722...
    """

    indices: ArrayLike
    probabilities: ArrayLike
    tail: str = "zero"


class TopKRows(NamedTuple):
    """Checked top-k targets of M rows: what a dense array of them would hold, as (M, m)."""

    indices: Array  # int64 (M, m)
    probabilities: Array  # (M, m) of any float
    tail: Array | None  # float64 (M,), the mass that the other classes share; None: none
    n_classes: int
    share: Array | None = None  # float64 (M,), the part of one of the other classes
    mask: Array | None = None  # (M, K) or (K,), the classes that are there; with a share only

    ndim = 2  # as of the dense targets

    def spread(self, mask: Array | None, row_weight: Array | None) -> TopKRows:
        """The same with each row's tail shared out among the other classes that are there."""
        if self.tail is None:
            return self
        others = self._sum_over_others(np.ones(self.n_classes), mask)
        return self.shared(others, row_weight)._replace(mask=mask)

    def shared(self, others: Array, row_weight: Array | None) -> TopKRows:
        """The same with each row's tail shared out among so many others, float64 (M,)."""
        assert self.tail is not None
        nowhere = others < 0.5
        lost = nowhere & (self.tail > _rounding(self.probabilities))
        if row_weight is not None:
            lost &= row_weight != 0.0
        if lost.any():
            row = int(lost.argmax())
            raise ValueError(
                f"targets of row {row} leave {self.tail[row]:.3g} to the other classes, but there "
                'is none: give probabilities that sum to 1, or tail="zero"'
            )
        tail = np.where(nowhere, 0.0, self.tail)
        return self._replace(tail=tail, share=tail / np.maximum(others, 1.0))

    def dense(
        self, rows: slice | Array, dtype: np.dtype[Any], classes: slice = slice(None)
    ) -> Array:
        """Some rows of the targets (rows, K), or some classes of these."""
        start, stop, _ = classes.indices(self.n_classes)
        indices = self.indices[rows] - start
        shape = len(indices), stop - start
        if self.share is None:
            targets = np.zeros(shape, dtype)
        else:
            targets = np.empty(shape, dtype)
            targets[...] = self.share[rows, None]
            if self.mask is not None:
                targets *= self.mask[classes] if self.mask.ndim == 1 else self.mask[rows, classes]
        row, at = np.nonzero((indices >= 0) & (indices < stop - start))
        targets[row, indices[row, at]] = self.probabilities[rows][row, at].astype(dtype)
        return targets

    def outside(self, mask: Array) -> Array:
        """Whether a row's own probabilities have mass on a masked class, bool (M,)."""
        return np.any((self.probabilities > 0) & ~_at(mask, self.indices), axis=1)

    def mass(self) -> Array:
        """The sum of each row's targets, float64 (M,)."""
        given = self.probabilities.sum(axis=1, dtype=np.float64)
        return given if self.tail is None else given + self.tail

    def weighted(self, of_class: Array) -> Array:
        """``sum_k y_ik w_k`` for a number of each class, float64 (M,)."""
        total = np.einsum("ij,ij->i", self.probabilities, of_class[self.indices])
        if self.share is None:
            return total
        return total + self.share * self._sum_over_others(of_class, self.mask)

    def _sum_over_others(self, of_class: Array, mask: Array | None) -> Array:
        """The sum over the classes that are there and have no probability of their own."""
        if mask is None:
            return of_class.sum() - of_class[self.indices].sum(axis=1)
        listed = (of_class[self.indices] * _at(mask, self.indices)).sum(axis=1)
        if mask.ndim == 1:
            return of_class[mask].sum() - listed
        sums = np.empty(len(mask))
        step = max(1, _BLOCK_ELEMENTS // self.n_classes)
        for start in range(0, len(mask), step):
            rows = slice(start, start + step)
            sums[rows] = (mask[rows] * of_class).sum(axis=1)
        return sums - listed


def _at(classes: Array, indices: Array) -> Array:
    """The entries of (K,), or of the rows of (M, K), at indices (M, m)."""
    if classes.ndim == 1:
        return classes[indices]
    return np.take_along_axis(classes, indices, axis=1)


def as_top_k(
    target: TopKTargets, rows: tuple[int, ...], n_classes: int, dtype: np.dtype[Any]
) -> TopKRows:
    """Check the classes and probabilities of rows of this shape; the tail is not spread yet."""
    check_choice(target.tail, ("zero", "uniform"), "tail")
    indices = as_array(target.indices, "indices")
    probabilities = as_floating(target.probabilities, "probabilities")
    if indices.ndim != len(rows) + 1 or indices.shape[:-1] != rows:
        wanted = ", ".join([*map(str, rows), "m"])
        raise ValueError(f"indices has shape {indices.shape}, but the logits ask for ({wanted})")
    check_same_shape(probabilities.shape, indices.shape, "probabilities", "indices")
    if indices.dtype.kind not in "iu" and indices.size:
        raise TypeError(f"indices must be integers, but their dtype is {indices.dtype}")
    _refuse_first(
        (indices < 0) | (indices >= n_classes), indices, "indices",
        f", but there are {n_classes} classes (0 ... {n_classes - 1})",
    )  # fmt: skip
    largest = float(np.finfo(dtype).max)
    wide = probabilities.astype(np.float64, copy=False)
    _refuse_first(
        ~((wide >= 0) & (wide <= largest)), probabilities, "probabilities",
        f": they must be finite and not negative in {dtype}",
    )  # fmt: skip
    shape = math.prod(rows), indices.shape[-1]
    classes = indices.reshape(shape).astype(np.int64, copy=False)
    _refuse_twice(classes)
    flat = probabilities.reshape(shape)
    return TopKRows(classes, flat, _tail(flat) if target.tail == "uniform" else None, n_classes)


def _refuse_first(wrong: Array, array: Array, name: str, said: str) -> None:
    if wrong.any():
        at = np.unravel_index(int(wrong.argmax()), array.shape)
        raise ValueError(f"{name}[{', '.join(str(int(i)) for i in at)}] is {array[at]}{said}")


def _refuse_twice(indices: Array) -> None:
    ordered = np.sort(indices, axis=1)
    same = ordered[:, 1:] == ordered[:, :-1]
    if same.any():
        row, column = np.unravel_index(int(same.argmax()), same.shape)
        raise ValueError(
            f"indices of row {row} name class {ordered[row, column]} twice: "
            "add up its probabilities"
        )


def _tail(probabilities: Array) -> Array:
    """What each row lacks to 1."""
    tail = 1.0 - probabilities.sum(axis=1, dtype=np.float64)
    excess = tail < -_rounding(probabilities)
    if excess.any():
        row = int(excess.argmax())
        raise ValueError(
            f"probabilities of row {row} sum to {1.0 - tail[row]:.6g}, which is more than 1 and "
            'leaves no tail to spread: scale them, or pass tail="zero"'
        )
    return np.maximum(tail, 0.0)


def _rounding(probabilities: Array) -> float:
    """By how much the sum of rounded probabilities may miss 1 and still be meant as 1."""
    dtype = probabilities.dtype
    eps = 2.0**-7 if dtype.name == "bfloat16" else float(np.finfo(dtype).eps)
    return max(4, probabilities.shape[1]) * eps
