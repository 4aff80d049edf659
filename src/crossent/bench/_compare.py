"""The operations' times and memory on this machine, beside those of other libraries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .._typing import Array
from ._libraries import NONE_BUT_FLOAT32, installed
from ._measure import measure_together

__all__ = ["Timing", "compare"]


class Timing(NamedTuple):
    """One library's median time for one operation, and its peak memory.

    `ratio` is its time over crossent's: above 1, crossent is faster.
    """

    operation: str
    library: str
    version: str
    seconds: float
    ratio: float
    peak_bytes: int | None


def compare(shape: tuple[int, ...], dtype: str, rounds: int) -> Iterator[Timing]:
    """The timings of logits (N, K), or of a linear layer (N, n, K), operation by operation.

    The libraries of an operation take turns.
    """
    arrays = _arrays(shape, dtype)
    libraries = {
        name: found
        for name, found in installed().items()
        if dtype == "float32" or name not in NONE_BUT_FLOAT32
    }
    calls = {name: make(arrays) for name, (_, make) in libraries.items()}
    for operation in calls["crossent"]:
        found = measure_together(
            {name: of_it[operation] for name, of_it in calls.items() if operation in of_it},
            rounds=rounds,
        )
        for name, (seconds, peak) in found.items():
            ratio = seconds / found["crossent"].seconds
            yield Timing(operation, name, libraries[name][0], seconds, ratio, peak)


def _arrays(shape: tuple[int, ...], dtype: str) -> dict[str, Array]:
    """Normal numbers, the same on every run."""
    rng = np.random.default_rng(0)
    n_rows, *n_features, n_classes = shape

    def normal(*shape: int) -> Array:
        return rng.standard_normal(shape).astype(dtype)

    arrays = {"labels": rng.integers(n_classes, size=n_rows)}
    if n_features:
        return {
            **arrays,
            "inputs": normal(n_rows, *n_features),
            "weight": normal(n_classes, *n_features),
        }
    return {**arrays, "logits": 3 * normal(n_rows, n_classes)}
