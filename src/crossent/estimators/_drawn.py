"""Training on rows drawn at random: what a network's steps see, and how many they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from .._typing import Array, Features
from ..data import ArrayBatches
from ..features import Coordinates, GaussianFeatures
from ..objective import Network, NetworkLoss
from ..sampled_objective import SampledObjective
from ..solvers import Passes, Result, minibatch
from ._centers import feature_moments
from ._problem import Problem
from ._stream import Steps, Stream

__all__ = [
    "Standard",
    "minibatch_solver",
    "network_stream",
    "penalised",
    "planned_passes",
    "sampled_objective",
]

_MOMENT_ROWS = 4096
_BATCH_ROWS = 128
_LEAST_PASSES = 15
_LEAST_STEPS = 500
_STEP_SIZE = 0.025
_PENALTY = 10.0
"""Of W, in units of features of variance 1: more is better for few rows, less for many classes."""
_STREAM_STEPS = Steps(32, 0.025, 200)


class Standard(NamedTuple):
    """Inputs in float32, each column less its mean and divided by its scale, (D,) each."""

    mean: Array
    scale: Array

    def __call__(self, rows: Array) -> Array:
        """The rows (B, D) so scaled."""
        return ((rows - self.mean) / self.scale).astype(np.float32, copy=False)


def sampled_objective(
    problem: Problem,
    features: Features,
    start: Array,
    loss: NetworkLoss,
    scaling: Standard,
    batch_rows: int,
    random_state: np.random.RandomState,
) -> SampledObjective:
    """The objective in float32, W in units that make features of mean 0 and mean variance 1.

    The features' moments are found from some rows.
    """
    batches = ArrayBatches(
        problem.inputs,
        problem.target,
        problem.sample_weight,
        batch_rows=batch_rows,
        transform=scaling,
    )
    coordinates, variance = _feature_units(batches, features, start, loss, batch_rows, random_state)
    loss = penalised(loss, variance)
    return SampledObjective(batches, features, loss, start, problem.mass, coordinates)


def network_stream(
    problem: Problem,
    features: GaussianFeatures,
    loss: NetworkLoss,
    scaling: Standard,
    batch_rows: int,
    start_of: Callable[[Network, Problem], Network],
    random_state: np.random.RandomState,
) -> Stream:
    """Steps in float32 on rows as they come, in the units of `sampled_objective`.

    ``start_of`` makes of the cold start's network where to begin.
    """
    batches = ArrayBatches(problem.inputs, problem.target, problem.sample_weight, transform=scaling)
    start = features.start()
    coordinates, variance = _feature_units(batches, features, start, loss, batch_rows, random_state)
    n_rows = 1 if loss.one_logit else loss.n_classes
    zero = Network(np.zeros((n_rows, features.n_features)), np.zeros(n_rows), start)
    return Stream(
        loss,
        features,
        coordinates,
        start_of(zero, problem),
        _STREAM_STEPS,
        penalty=_PENALTY * variance,
        prepared=scaling,
        dtype=np.float32,
    )


def _feature_units(
    batches: ArrayBatches,
    features: Features,
    start: Array,
    loss: NetworkLoss,
    batch_rows: int,
    random_state: np.random.RandomState,
) -> tuple[Coordinates, float]:
    """Coordinates that make features of mean 0 and mean variance 1, and that variance."""
    rows = np.arange(batches.n_samples)
    if len(rows) > _MOMENT_ROWS:
        rows = np.sort(random_state.choice(len(rows), _MOMENT_ROWS, replace=False))
    parts = np.array_split(rows, -(-len(rows) // batch_rows))
    mean, variance = feature_moments(map(batches.take, parts), features, start)
    mean = (mean if loss.fit_intercept else np.zeros_like(mean)).astype(np.float32)
    metric = np.full(len(mean), variance, np.float32)
    return Coordinates(mean, metric**-0.5, metric, 1.0), variance


def penalised(loss: NetworkLoss, variance: float) -> NetworkLoss:
    """The loss with its penalty counted for features of this variance."""
    return loss._replace(C=loss.C / (_PENALTY * variance))


def planned_passes(n_samples: int, most_rows: int, random_state: np.random.RandomState) -> Passes:
    """Fifteen passes, or as many as make 500 steps."""
    batch_rows = min(_BATCH_ROWS, most_rows)
    n_batches = -(-n_samples // batch_rows)
    n_passes = max(_LEAST_PASSES, -(-_LEAST_STEPS // n_batches))
    return Passes(n_passes, batch_rows, _STEP_SIZE, random_state)


def minibatch_solver(passes: Passes) -> Callable[..., Result]:
    """`minibatch` of these passes, in float32, on one thread of the matrix products.

    The products of a step are too small for two threads: these wait for each other.
    """

    def solve(objective: SampledObjective, start: Array, *args: Any, **options: Any) -> Result:
        with threadpool_limits(1, "blas"):
            return minibatch(objective, start.astype(np.float32), *args, passes=passes, **options)

    return solve
