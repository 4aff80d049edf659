"""What is measured: an operation, its shape and its dtype, and the data it is measured on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Arrays = dict[str, np.ndarray]


class Problem(NamedTuple):
    """One row of the table for every peer that has the operation."""

    operation: str  # the name of the function in an adapter
    shape: tuple[int, ...]
    dtype: str = "float32"

    def __str__(self) -> str:
        return f"{self.operation} {'x'.join(map(str, self.shape))} {self.dtype}"


ROWS = [
    (1_000_000, 3),
    (100_000, 10),
    (100_000, 100),
    (16_384, 1000),
    (1024, 32_768),
    (128, 256_000),
]
LINEAR = [(60_000, 784, 10), (20_000, 100, 1000), (4096, 256, 32_000)]  # N, n, K
GAUSSIAN = [(10_000, 16, 300)]  # N, D, n

PROBLEMS = [
    Problem("softmax", (1, 10)),
    *(Problem("softmax", shape) for shape in ROWS),
    Problem("softmax", (16_384, 1000), "float64"),
    *(
        Problem(operation, (16_384, 1000))
        for operation in ("log_softmax", "logsumexp", "softmax_vjp", "cross_entropy")
    ),
    Problem("cross_entropy", (100_000, 10)),
    Problem("cross_entropy", (1024, 32_768)),
    *(Problem("linear_cross_entropy", shape) for shape in LINEAR),
    *(Problem("gaussian_features", shape) for shape in GAUSSIAN),
]


def arrays(problem: Problem) -> Arrays:
    """Return the inputs of a problem, the same on every run."""
    rng = np.random.default_rng(0)

    def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
        return (scale * rng.standard_normal(shape)).astype(problem.dtype)

    if problem.operation == "gaussian_features":
        n_samples, n_inputs, n_features = problem.shape
        beta = rng.uniform(0.5, 2.0, n_features).astype(problem.dtype)
        return {
            "inputs": normal(n_samples, n_inputs),
            "centers": normal(n_features, n_inputs),
            "beta": beta,
        }
    if problem.operation == "linear_cross_entropy":
        n_samples, n_features, n_classes = problem.shape
        return {
            "inputs": normal(n_samples, n_features),
            "weight": normal(n_classes, n_features, scale=n_features**-0.5),
            "labels": rng.integers(n_classes, size=n_samples),
        }
    n_samples, n_classes = problem.shape
    return {
        "logits": normal(n_samples, n_classes, scale=3.0),
        "labels": rng.integers(n_classes, size=n_samples),
    }
