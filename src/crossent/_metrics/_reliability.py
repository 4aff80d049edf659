"""Bins of similar probability: what was said of their rows, and what came true.

What is looked at is an event of each row with the probability the classifier gave it: that its
most probable class is the right one, or that it is of a certain class.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from .._arguments import as_index, check_choice
from .._typing import Array, ArrayLike
from ._checks import checked_probabilities

__all__ = ["Bins", "ReliabilityBin", "binned", "checked_options", "event", "reliability_table"]


class ReliabilityBin(NamedTuple):
    """Rows whose confidence is in (lower, upper]: what was said of them, and what came true.

    ``share`` is the bin's part of all weight; ``confidence`` the mean probability; ``accuracy`` the
    share that came true, in its Wilson interval from ``low`` to ``high``.
    """

    lower: float
    upper: float
    n_rows: int
    share: float
    confidence: float
    accuracy: float
    low: float
    high: float


class Bins(NamedTuple):
    """Bins of some weight: (B,) each; ``n_effective`` is (sum r)^2 / sum r^2 (Kish 1965)."""

    lower: Array
    upper: Array
    n_rows: Array
    share: Array
    confidence: Array
    accuracy: Array
    n_effective: Array


def reliability_table(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    label: int | None = None,
    n_bins: int = 15,
    bins: str = "equal_mass",
    level: float = 0.95,
    sample_weight: ArrayLike | None = None,
) -> tuple[ReliabilityBin, ...]:
    """What was said and what came true, bin by bin: a reliability diagram as numbers.

    Parameters
    ----------
    labels : integers (N,)
        Class numbers 0 ... K-1.
    probabilities : array_like (N, K)
    label : int, optional
        The class whose probability is looked at; by default the most probable class of each row.
    n_bins : int, default=15
        At most; bins without rows are left out.
    bins : {"equal_mass", "equal_width"}, default="equal_mass"
        Of about as much weight each, equal probabilities in one bin; or [0, 1] cut evenly.
    level : float, default=0.95
        Of the intervals (Wilson 1927), for each bin by itself.
    sample_weight : array_like (N,), optional

    Returns
    -------
    tuple of ReliabilityBin
        In rising order; none without rows.

    Raises
    ------
    ValueError, TypeError
        As `brier_score`, or for an option that is none.

    Examples
    --------
    >>> said = [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]]
    >>> for row in reliability_table([0, 0, 1, 0], said, n_bins=2):
    ...     print(f"{row.n_rows} rows: said {row.confidence:.2f}, came true {row.accuracy:.2f}")
    2 rows: said 0.65, came true 0.50
    2 rows: said 0.85, came true 1.00
    """
    rows, p, weight = checked_probabilities(labels, probabilities, sample_weight)
    n_bins, z = checked_options(n_bins, bins, level)
    if label is not None and not 0 <= as_index(label, "label") < p.shape[1]:
        raise ValueError(f"label is {label}, but there are {p.shape[1]} classes")
    confidence, hit = event(rows, p, label)
    found = binned(confidence, hit, weight, n_bins, bins)
    low, high = _wilson(found, z)
    columns = [column.tolist() for column in (*found[:6], low, high)]
    return tuple(ReliabilityBin(*row) for row in zip(*columns, strict=True))


def checked_options(n_bins: int, bins: str, level: float) -> tuple[int, float]:
    """The number of bins, and the normal quantile of a level."""
    number = as_index(n_bins, "n_bins")
    if number < 1:
        raise ValueError(f"n_bins must be positive, got {n_bins}")
    check_choice(bins, ("equal_mass", "equal_width"), "bins")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be between 0 and 1, such as 0.95, got {level!r}")
    return number, NormalDist().inv_cdf(0.5 + 0.5 * level)


def event(rows: Array, p: Array, label: int | None) -> tuple[Array, Array]:
    """The probability of each row's event (N,), and whether it came true."""
    if label is not None:
        return p[:, label], rows == label
    top = p.argmax(axis=1)
    return p[np.arange(len(rows)), top], rows == top


def binned(confidence: Array, hit: Array, weight: Array, n_bins: int, bins: str) -> Bins:
    if bins == "equal_width":
        edges = np.linspace(0.0, 1.0, n_bins + 1)
    else:
        edges = _equal_mass_edges(confidence, weight, n_bins)
    place = np.searchsorted(edges[1:-1], confidence, side="left")
    size = max(len(edges) - 1, 1)

    def total(values: Array) -> Array:
        return np.bincount(place, weights=values, minlength=size)

    n_rows = np.bincount(place, minlength=size)
    kept = n_rows > 0
    mass = total(weight)[kept]
    return Bins(
        edges[:-1][kept],
        edges[1:][kept],
        n_rows[kept],
        mass / weight.sum(),
        total(weight * confidence)[kept] / mass,
        total(weight * hit)[kept] / mass,
        np.square(mass) / total(np.square(weight))[kept],
    )


def _equal_mass_edges(confidence: Array, weight: Array, n_bins: int) -> Array:
    """Edges from 0 to 1 between which about as much weight lies; fewer where values repeat."""
    order = np.argsort(confidence, kind="stable")
    cumulated = np.cumsum(weight[order])
    wanted = np.arange(1, n_bins) / n_bins * (cumulated[-1] if len(cumulated) else 0.0)
    cuts = confidence[order][np.searchsorted(cumulated, wanted)] if len(order) else wanted[:0]
    inner = np.unique(cuts)
    return np.concatenate([[0.0], inner[(inner > 0.0) & (inner < 1.0)], [1.0]])


def _wilson(bins: Bins, z: float) -> tuple[Array, Array]:
    """The interval of each share that came true."""
    n, a = bins.n_effective, bins.accuracy
    centre = (a + 0.5 * z * z / n) / (1.0 + z * z / n)
    half = z / (1.0 + z * z / n) * np.sqrt(a * (1.0 - a) / n + np.square(0.5 * z / n))
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)
