"""The expected calibration error: how far probabilities are from the shares that come true.

In bin b, of the share w_b of all weight, the mean probability c_b faces the share a_b.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .._arguments import check_choice
from .._typing import Array, ArrayLike
from ._checks import checked_probabilities
from ._reliability import Bins, binned, checked_options, event

__all__ = ["ErrorInterval", "calibration_error_interval", "expected_calibration_error"]

_FOLDED = math.sqrt(2.0 / math.pi)
"""Mean of |N(0, 1)|."""


class ErrorInterval(NamedTuple):
    """An estimate, and the interval that is to hold the true value."""

    error: float
    low: float
    high: float


def expected_calibration_error(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    kind: str = "top_label",
    n_bins: int = 15,
    bins: str = "equal_mass",
    debiased: bool = False,
    sample_weight: ArrayLike | None = None,
) -> float:
    """How far probabilities are from the shares that come true: ``sum_b w_b |a_b - c_b|``.

    Parameters
    ----------
    labels : integers (N,)
        Class numbers 0 ... K-1.
    probabilities : array_like (N, K)
    kind : {"top_label", "classwise"}, default="top_label"
        Of the most probable class of each row (Naeini et al. 2015, Guo et al. 2017); or the mean
        over the classes of the error of each class's probability (Kull et al. 2019).
    n_bins : int, default=15
    bins : {"equal_mass", "equal_width"}, default="equal_mass"
        As in `reliability_table`. Published figures mostly have 15 bins of equal width.
    debiased : bool, default=False
        Take off what chance adds: even of a perfect classifier no bin comes true exactly.
    sample_weight : array_like (N,), optional

    Returns
    -------
    float
        In [0, 1]; NaN without rows.

    Raises
    ------
    ValueError, TypeError
        As `brier_score`, or for an option that is none.

    Notes
    -----
    With a_b normal around its mean, of standard deviation s_b, ``|a_b - c_b|`` is folded normal,
    and its mean is above ``|d_b|`` of the true difference d_b. Kumar et al. (2019) take off that
    excess as it is at the differences found; those are too large themselves, so that here they
    are first shrunk towards 0 by the positive part of James and Stein (1961).

    Examples
    --------
    >>> expected_calibration_error([0, 0, 1, 0], [[0.75, 0.25]] * 4)
    0.0
    >>> expected_calibration_error([0, 0, 0, 0], [[0.75, 0.25]] * 4)
    0.25
    """
    events, z = _events(labels, probabilities, kind, n_bins, bins, 0.95, sample_weight)
    errors = []
    for found in events:
        error = float(found.share @ np.abs(found.accuracy - found.confidence))
        errors.append(max(0.0, error - _excess(found, z)) if debiased else error)
    return float(np.mean(errors)) if errors else math.nan


def calibration_error_interval(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    kind: str = "top_label",
    n_bins: int = 15,
    bins: str = "equal_mass",
    level: float = 0.95,
    sample_weight: ArrayLike | None = None,
) -> ErrorInterval:
    """The expected calibration error, and a confidence interval of its true value.

    True means with the chances in place of the labels, on these rows in these bins. The interval
    is a closed form that holds for perfect classifiers too, where the bootstrap fails.

    Parameters
    ----------
    labels, probabilities, kind, n_bins, bins, sample_weight
        As in `expected_calibration_error`.
    level : float, default=0.95
        At least as often as that it is to hold the true value.

    Returns
    -------
    ErrorInterval
        ``error``, ``low``, ``high``; NaN without rows.

    Raises
    ------
    ValueError, TypeError
        As `brier_score`, or for an option that is none.

    Notes
    -----
    Given the probabilities, the bins are fixed, and T, the error found, is a convex function of the
    shares a_b. Take these as normal around their means, with deviations s_b. Then T is within
    ``z L`` of its median, ``L^2 = sum_b (w_b s_b)^2`` (Borell 1975); the median is not below the
    true value, as the differences to the means are symmetric and T is convex; and it is at most
    ``sqrt(2 / pi) sum_b w_b s_b`` above it, as the mean is. So the true value is between
    ``T - z L`` less that, and ``T + z L``. s_b is that of Agresti and Coull (1998), which is not
    0 where all came true. Classes are taken together as if they erred together. In simulations 95 %
    intervals held the true value 97 times of 100 and more.

    Examples
    --------
    >>> found = calibration_error_interval([0, 0, 0, 1] * 100, [[0.75, 0.25]] * 400)
    >>> [round(value, 3) for value in found]
    [0.0, 0.0, 0.043]
    """
    events, z = _events(labels, probabilities, kind, n_bins, bins, level, sample_weight)
    if not events:
        return ErrorInterval(math.nan, math.nan, math.nan)
    parts = []
    for found in events:
        spread = found.share * _deviations(found, z)
        error = found.share @ np.abs(found.accuracy - found.confidence)
        parts.append((error, z * np.linalg.norm(spread), _FOLDED * spread.sum()))
    error, around, above = np.mean(parts, axis=0).tolist()
    return ErrorInterval(error, max(0.0, error - around - above), min(1.0, error + around))


def _events(
    labels: ArrayLike,
    probabilities: ArrayLike,
    kind: str,
    n_bins: int,
    bins: str,
    level: float,
    sample_weight: ArrayLike | None,
) -> tuple[list[Bins], float]:
    """The checked rows in bins, once for each event (none without rows), and the level's z."""
    rows, p, weight = checked_probabilities(labels, probabilities, sample_weight)
    n_bins, z = checked_options(n_bins, bins, level)
    check_choice(kind, ("top_label", "classwise"), "kind")
    events = [None] if kind == "top_label" else range(p.shape[1])
    if len(rows) == 0:
        return [], z
    return [binned(*event(rows, p, label), weight, n_bins, bins) for label in events], z


def _deviations(bins: Bins, z: float) -> Array:
    """Standard deviations of the shares, from shares drawn a little towards one half."""
    near = (bins.accuracy * bins.n_effective + 0.5 * z * z) / (bins.n_effective + z * z)
    return np.sqrt(near * (1.0 - near) / bins.n_effective)


def _excess(bins: Bins, z: float) -> float:
    """What chance adds to the error: sum_b w_b (E|N(d_b, s_b)| - |d_b|), d shrunk first."""
    s = _deviations(bins, z)
    found = bins.accuracy - bins.confidence
    squares = float(bins.share @ np.square(found))
    kept = max(0.0, 1.0 - float(bins.share @ np.square(s)) / squares) if squares > 0.0 else 0.0
    d = np.abs(found) * math.sqrt(kept)
    tail = np.array([math.erfc(x) for x in (d / s / math.sqrt(2.0)).tolist()])
    return float(bins.share @ (_FOLDED * s * np.exp(-0.5 * np.square(d / s)) - d * tail))
