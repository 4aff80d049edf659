"""One call: its arguments in their layout, and the outputs that are due."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._typing import Array
from .._cases import Case
from .._reference import Truth


@dataclass(frozen=True)
class Output:
    """One array a call returns: name, shape, dtype, and how to see it as the truth's rows."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    rows: Callable[[Array], Array] = np.asarray


@dataclass(frozen=True)
class Problem:
    """One call and what it should give. `truth` and `plain` are by output name, as rows."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: tuple[Output, ...]
    truth: Callable[[], dict[str, Truth]]
    plain: Callable[[], dict[str, Array]]


def dtype_named(name: str) -> np.dtype[Any]:
    """The dtype of a name; bfloat16 needs the package ml_dtypes."""
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def random(case: Case) -> np.random.Generator:
    """The case's own numbers: the same in every process."""
    return np.random.default_rng([ord(letter) for letter in case.name])


def laid_out(array: Array, layout: str) -> Array:
    """The same numbers in another place in memory."""
    if layout == "Fortran":
        return np.asfortranarray(array)
    if layout == "reversed":
        return np.flip(np.flip(array).copy())
    if layout == "strided":
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    if layout == "unaligned":
        memory = np.zeros(array.nbytes + 1, np.uint8)
        moved = memory[1:].view(array.dtype).reshape(array.shape)
        moved[...] = array
        return moved
    if layout == "big-endian":
        return array.astype(array.dtype.newbyteorder(">"))
    array = np.array(array)
    array.flags.writeable = layout != "read-only"
    return array


@dataclass(frozen=True)
class Shape:
    """How rows (M, K) look to a caller."""

    batch: tuple[int, ...]
    k: int
    axis: int
    layout: str

    @property
    def full(self) -> tuple[int, ...]:
        return self.public(np.empty((int(np.prod(self.batch)), self.k))).shape

    def public(self, rows: Array) -> Array:
        moved = np.moveaxis(rows.reshape(*self.batch, self.k), -1, self.axis)
        return laid_out(moved, self.layout)

    def rows(self, array: Array) -> Array:
        return np.moveaxis(array, self.axis, -1).reshape(-1, self.k)


def logits_of(case: Case, name: str) -> tuple[Array, Array, Shape]:
    """(rows as the caller's dtype, the same as floats, their public shape)."""
    made = case.rows(random(case))
    with np.errstate(over="ignore"):
        given = made.astype(dtype_named(name))
    batch = (len(made),) if case.batch is None else case.batch
    floats = given.astype(np.float64) if given.dtype.kind in "iub" else given
    return given, floats, Shape(batch, made.shape[1], case.axis, case.layout)


def entries_of(case: Case, rows: Array) -> Any:
    """All classes, or of very many a sample that holds the largest and the smallest."""
    if "many" not in case.tags:
        return slice(None)
    ends = [0, rows.shape[1] - 1, int(rows[0].argmax()), int(rows[0].argmin())]
    return np.unique([*range(0, rows.shape[1], 499), *ends])
