"""Where a network of Gaussian features starts: the inputs' scales, the centers, and beta."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from .._typing import Array, Batch, Features

__all__ = [
    "Moments",
    "chosen_centers",
    "column_moments",
    "column_scales",
    "drawn_rows",
    "feature_moments",
    "few_distinct_rows",
    "first_beta",
]

_FULL_KMEANS_ROWS = 2_000
_ROWS_A_CENTER = 10
"""Of the rows drawn for k-means: all of them would cost time, and the centers are only a start."""

_BETA_FACTOR = 1.5
_NEIGHBOURS = 5
_MOMENT_BYTES = 1 << 19
_PROCESS = os.getpid()


class Moments(NamedTuple):
    """Weighted mean and standard deviation of each column, and its range, float64 (D,) each."""

    mean: Array
    deviation: Array
    span: Array

    def scaled(self, mean: Array, scale: Array) -> Moments:
        """Those of ``(X - mean) / scale``."""
        return Moments((self.mean - mean) / scale, self.deviation / scale, self.span / scale)


def column_moments(X: Array, sample_weight: Array | None) -> Moments:
    """Mean, standard deviation and range of the columns, found by blocks of rows.

    Squares are those of ``(x - mean) / range``, so that columns of any unit have them.

    Raises
    ------
    ValueError
        If the numbers of a column cannot be added up in a float64.
    """
    weight = np.ones(len(X)) if sample_weight is None else sample_weight
    total, mean = weight.sum(), np.zeros(X.shape[1])
    low, high = np.full(X.shape[1], np.inf), np.full(X.shape[1], -np.inf)
    block = max(1, _MOMENT_BYTES // (8 * X.shape[1]))
    parts = [slice(start, start + block) for start in range(0, len(X), block)]
    for part in parts:
        rows = X[part].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            mean += weight[part] @ rows
        low, high = np.minimum(low, rows.min(axis=0)), np.maximum(high, rows.max(axis=0))
    mean /= total
    with np.errstate(over="ignore"):
        span = high - low
    large = ~(np.isfinite(mean) & np.isfinite(span))
    if large.any():
        raise ValueError(
            f"column {int(large.argmax())} has values so large that they cannot be added up: "
            "divide it, or leave it out"
        )
    unit, variance = np.where(span > 0.0, span, 1.0), np.zeros_like(mean)
    for part in parts:
        variance += weight[part] @ np.square((X[part] - mean) / unit)
    return Moments(mean, unit * np.sqrt(variance / total), span)


def column_scales(X: Array, sample_weight: Array | None) -> tuple[Array, Array]:
    """Mean and scale of each column, (D,) each.

    The scale is the geometric mean of standard deviation and range, times one number that makes the
    mean variance one. It follows each column's unit, and blows up a column that hardly ever moves
    (a pixel at the border) less than the standard deviation alone.
    A constant column has scale 1.
    """
    moments = column_moments(X, sample_weight)
    deviation, moving = moments.deviation, moments.span > 0.0
    scale = np.where(moving, np.sqrt(deviation) * np.sqrt(moments.span), 1.0)
    if moving.any():
        scale[moving] *= np.sqrt(np.mean(np.square(deviation[moving] / scale[moving])))
    return moments.mean.astype(X.dtype), scale.astype(X.dtype)


def drawn_rows(
    X: Array, sample_weight: Array | None, at_most: int, random_state: np.random.RandomState
) -> tuple[Array, Array | None]:
    """Rows and weights of a random part of the rows, in their order; all where they are few."""
    if len(X) <= at_most:
        return X, sample_weight
    rows = np.sort(random_state.choice(len(X), at_most, replace=False))
    return X[rows], None if sample_weight is None else sample_weight[rows]


def chosen_centers(
    inputs: Array,
    sample_weight: Array | None,
    n_centers: int,
    how: str,
    random_state: np.random.RandomState,
) -> Array:
    """Centers (n, D): by k-means, or rows at random; the distinct rows where there are fewer."""
    few = few_distinct_rows(inputs, n_centers)
    if few is not None:
        return few
    if how == "random":
        share = None if sample_weight is None else sample_weight / sample_weight.sum()
        order = random_state.choice(len(inputs), len(inputs), replace=False, p=share)
        rows = inputs[order]
        _, first = np.unique(rows, axis=0, return_index=True)
        return np.ascontiguousarray(rows[np.sort(first)[:n_centers]])
    enough = max(_FULL_KMEANS_ROWS, _ROWS_A_CENTER * n_centers)
    inputs, sample_weight = drawn_rows(inputs, sample_weight, enough, random_state)
    seed = random_state.randint(2**31 - 1)
    few = {"n_init": 1, "init": "random", "random_state": seed}  # the centers are only a start
    if len(inputs) <= _FULL_KMEANS_ROWS:
        means = KMeans(n_centers, max_iter=10, **few)
    else:
        means = MiniBatchKMeans(n_centers, batch_size=1024, max_iter=1, compute_labels=False, **few)
    with warnings.catch_warnings(), _openmp():
        warnings.simplefilter("ignore", ConvergenceWarning)
        means.fit(inputs, sample_weight=sample_weight)
    return np.ascontiguousarray(means.cluster_centers_.astype(inputs.dtype))


def _openmp() -> threadpool_limits:
    """One OpenMP thread in a forked process, where GCC's would wait for its team for ever."""
    return threadpool_limits(None if os.getpid() == _PROCESS else 1, user_api="openmp")


def few_distinct_rows(inputs: Array, at_most: int) -> Array | None:
    """The distinct rows in sorted order, or None as soon as there are more than ``at_most``."""
    first: dict[bytes, int] = {}
    for index, row in enumerate(inputs):
        first.setdefault((row + 0.0).tobytes(), index)  # + 0.0: one zero only
        if len(first) > at_most:
            return None
    return np.unique(inputs[list(first.values())], axis=0)


def first_beta(moments: Moments, centers: Array, kind: str) -> Array:
    """beta (n,): 1.5 over the mean squared distance of a center to the five nearest others.

    Of a coordinate for the additive kind. Where that is zero, as for a single center, half the mean
    squared distance of rows and centers stands for it. ``moments`` are those of the rows.
    """
    near = min(_NEIGHBOURS, len(centers) - 1)
    squares = np.zeros(len(centers))
    if near:
        with _openmp():
            found = NearestNeighbors(n_neighbors=near).fit(centers).kneighbors()[0]
        squares = np.square(found, dtype=np.float64).mean(axis=1)
    apart = np.square(moments.deviation) + np.square(centers - moments.mean).mean(axis=0)
    squares = np.where(squares > 0.0, squares, 0.5 * apart.sum())
    if kind == "additive":
        squares /= centers.shape[1]
    beta = np.where(squares > 0.0, _BETA_FACTOR / np.where(squares > 0.0, squares, 1.0), 1.0)
    return beta.astype(centers.dtype)


def feature_moments(
    batches: Iterable[Batch], features: Features, parameters: Array
) -> tuple[Array, float]:
    """Weighted mean of the features, float64 (n,), and the mean of their variances; positive."""
    total, mean, square = 0.0, np.zeros(features.n_features), np.zeros(features.n_features)
    for batch in batches:
        phi = features.values(parameters, batch.inputs)
        total += float(batch.sample_weight.sum())
        mean += batch.sample_weight @ phi
        square += batch.sample_weight @ np.square(phi)
    mean /= total
    variance = float((square / total - mean**2).mean())
    return mean, variance if variance > 1e-12 * float((mean**2).mean()) else 1.0
