"""Blocks of rows, and the shift by the row maximum that every formula here starts from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..._typing import Array, Floating

_BLOCK_ELEMENTS = 1 << 14

# Infinities and NaN are results here, not accidents: the doors say what they mean.
quiet = np.errstate(all="ignore")


def row_blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Slices of rows, each of about ``_BLOCK_ELEMENTS`` elements and of one row at least."""
    step = max(1, _BLOCK_ELEMENTS // max(1, n_columns))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def wide(block: Array) -> Floating:
    """The block in float64."""
    return block.astype(np.float64)


def row_sum(block: Floating) -> Floating:
    """Sums along the rows, as (rows, 1)."""
    return block.sum(axis=1, keepdims=True)


class Shifted(NamedTuple):
    """A block of rows after the shift by the row maximum: z = a + log(exponentials)."""

    maximum: Floating  # a, (rows, 1)
    differences: Floating  # z - a, rounded, (rows, K)
    residuals: Floating  # what rounding took off z - a, (rows, K)
    exponentials: Floating  # exp(z - a), (rows, K)
    rest: Floating  # sum of the exponentials but one that is exp(0) = 1, (rows, 1)

    @property
    def log_sum(self) -> Floating:
        """log sum_k exp(z_k - a) = log1p(rest): nothing is lost beside the leading 1."""
        return np.log1p(self.rest)

    @property
    def lse(self) -> Floating:
        """l = a + log sum exp(z - a); an infinite maximum is its own logsumexp."""
        return np.where(np.isinf(self.maximum), self.maximum, self.maximum + self.log_sum)

    @property
    def probabilities(self) -> Floating:
        """p = exp(z - a) / sum exp(z - a)."""
        return self.exponentials / (1.0 + self.rest)


def shift(z: Floating) -> Shifted:
    """Subtract each row's maximum and exponentiate.

    The subtraction is exact as the pair (difference, residual) (Knuth's TwoSum), and
    exp(d + r) = exp(d) (1 + r) to the precision kept.
    """
    maximum = z.max(axis=1, keepdims=True)
    differences = z - maximum
    differences[np.isposinf(maximum[:, 0])] = np.nan  # a +inf spoils its whole row
    back = differences - z
    residuals = (z - (differences - back)) - (maximum + back)
    residuals = np.where(np.isfinite(residuals), residuals, 0.0)
    exponentials = np.exp(differences)
    exponentials += exponentials * residuals
    rest = sum_of_others(exponentials, z) + 0.0 * maximum  # NaN beside an infinite maximum
    return Shifted(maximum, differences, residuals, exponentials, rest)


def sum_of_others(values: Array, order: Array) -> Floating:
    """Row sums of ``values`` without the entry where ``order`` is largest, as (rows, 1)."""
    others = values.copy()
    np.put_along_axis(others, order.argmax(axis=1)[:, None], 0.0, axis=1)
    return others.sum(axis=1, keepdims=True)


def complement(values: Floating) -> Floating:
    """Row sum minus each entry; where an entry is the largest, summed from the others instead."""
    complement = values.sum(axis=1, keepdims=True) - values
    largest = values.argmax(axis=1)[:, None]
    np.put_along_axis(complement, largest, sum_of_others(values, values), axis=1)
    return complement
