"""The shapes, dtypes and distributions that every kernel is tried on."""

from __future__ import annotations

from collections.abc import Iterator

import ml_dtypes
import numpy as np

from tests.kernels.truth import Array

DTYPES = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64]
WIDE_DTYPES = [np.float32, np.float64]
CLASSES = [1, 2, 3, 7, 8, 9, 10, 15, 16, 17, 31, 33, 64, 100, 129, 1000, 1023, 4099, 100003]
ROWS = [0, 1, 2, 5, 17, 64]


def name_of(dtype: type) -> str:
    return np.dtype(dtype).name


def computed(dtype: type) -> type:
    return np.float64 if dtype is np.float64 else np.float32


def shapes(limit: int = 20_000) -> Iterator[tuple[int, int]]:
    """Every number of classes with every number of rows, up to so many numbers (or one row)."""
    for n_classes in CLASSES:
        for n_rows in ROWS:
            if n_rows <= 1 or n_rows * n_classes <= limit:
                yield n_rows, n_classes


def _dominant(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    z = rng.normal(0, 1, shape)
    z[:, shape[1] // 2] += rng.uniform(5, 40, shape[0])
    return z


DISTRIBUTIONS = {
    "normal(0, 1)": lambda rng, shape: rng.normal(0, 1, shape),
    "normal(0, 3)": lambda rng, shape: rng.normal(0, 3, shape),
    "normal(0, 20)": lambda rng, shape: rng.normal(0, 20, shape),
    "normal(1e4, 1)": lambda rng, shape: rng.normal(1e4, 1, shape),
    "normal(-1e4, 3)": lambda rng, shape: rng.normal(-1e4, 3, shape),
    "normal(0, 200)": lambda rng, shape: rng.normal(0, 200, shape),
    "one dominant": _dominant,
    "ties": lambda rng, shape: rng.integers(-2, 3, shape).astype(float),
}


def logits(name: str, shape: tuple[int, int], dtype: type, seed: int = 0) -> Array:
    rng = np.random.default_rng([seed, *shape])
    return DISTRIBUTIONS[name](rng, shape).astype(dtype)
