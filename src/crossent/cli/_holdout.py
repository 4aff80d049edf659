"""Which rows are held out: a share of every class, at random, and never all of a class."""

from __future__ import annotations

import numpy as np

from .._typing import Array, Labels

__all__ = ["held_out_rows"]


def held_out_rows(labels: Labels, share: float, seed: int) -> Array:
    """Choose the rows to hold out, stratified by class.

    Every class gives its share, rounded so that the total is the share of all rows; a class keeps
    at least one row for training, so that one with a single row gives none.

    Parameters
    ----------
    labels : ndarray of int64, shape (N,)
        Class numbers 0 ... K-1, each in use.
    share : float
        In (0, 1).
    seed : int
        Same seed, same rows.

    Returns
    -------
    ndarray of bool, shape (N,)
        True where the row is held out.

    Examples
    --------
    >>> held = held_out_rows(np.array([0] * 10 + [1] * 5 + [2]), 0.2, seed=0)
    >>> held[:10].sum(), held[10:15].sum(), held[15]
    (np.int64(2), np.int64(1), np.False_)
    """
    n_rows = len(labels)
    counts = np.bincount(labels)
    exact = counts * share
    given = np.floor(exact).astype(np.int64)
    by_remainder = np.argsort(given - exact, kind="stable")
    given[by_remainder[: round(n_rows * share) - int(given.sum())]] += 1
    given = np.minimum(given, counts - 1)

    shuffled = np.random.default_rng(seed).permutation(n_rows)
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    starts = np.cumsum(counts) - counts
    place = np.arange(n_rows) - np.repeat(starts, counts)  # the row's place within its class
    held = np.zeros(n_rows, dtype=bool)
    held[by_class] = place < np.repeat(given, counts)
    return held
