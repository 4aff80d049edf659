"""What is measured: an operation, its shape, axis and dtype, and the data it is measured on."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import numpy as np

Arrays = dict[str, np.ndarray]
Call = Callable[[], Any]
Calls = dict[str, Call]  # by mode: "fresh" results, "out" into given memory, "in place"


class Problem(NamedTuple):
    """One problem that every peer which has the operation is given."""

    operation: str  # the name of the function in an adapter
    shape: tuple[int, ...]  # of the logits; (N, D, n) of Gaussian features; (N, n, K) of linear_
    dtype: str = "float32"
    axis: int = -1
    kind: str = ""  # of the Gaussian features

    @property
    def size(self) -> str:
        return "x".join(map(str, self.shape))

    def __str__(self) -> str:
        axis = "" if self.axis == -1 else f"axis={self.axis}"
        return " ".join(filter(None, (self.operation, self.kind, self.size, axis, self.dtype)))


ROWS = [
    (1_000_000, 2),
    (1_000_000, 3),
    (100_000, 10),
    (100_000, 32),
    (100_000, 100),
    (16_384, 1000),
    (1024, 32_768),
    (128, 256_000),
    (1, 10),
    (64, 10),
]
MIDDLE_AXIS = [(64, 1000, 128), (32, 10, 224, 224)]  # classes along axis 1
BINARY = [(10,), (1_000_000,), (10_000_000,)]
GAUSSIAN = [(20_000, 16, 300), (60_000, 784, 200)]

FAMILY = ("softmax", "log_softmax", "logsumexp")
BACKWARD = tuple(f"{operation}_vjp" for operation in FAMILY)
GAUSSIANS = ("gaussian_features", "gaussian_features_vjp")
KINDS = ("additive", "radial")
TWO = ("float32", "float64")
FOUR = (*TWO, "float16", "bfloat16")

FULL = [
    *(Problem(*given) for given in product(FAMILY + BACKWARD, ROWS, FOUR)),
    *(Problem(*given, axis=1) for given in product(FAMILY + BACKWARD, MIDDLE_AXIS, TWO)),
    *(Problem(*given) for given in product(["cross_entropy"], ROWS, TWO)),
    *(Problem(*given, axis=1) for given in product(["cross_entropy"], MIDDLE_AXIS, TWO)),
    *(Problem(*given) for given in product(["binary_cross_entropy"], BINARY, TWO)),
    *(
        Problem(name, at, dtype, kind=kind)
        for name, at, dtype, kind in product(GAUSSIANS, GAUSSIAN, TWO, KINDS)
    ),
]

WIDE = [(1_000_000, 3), (100_000, 10), (100_000, 100), (16_384, 1000), (1024, 32_768)]
CHOSEN = [
    *(Problem("softmax", shape) for shape in ROWS),
    *(Problem(*given) for given in product(("log_softmax", "logsumexp", "softmax_vjp"), WIDE)),
    *(Problem("cross_entropy", shape) for shape in [*WIDE, (1, 10)]),
    *(
        Problem(*given, "float64")
        for given in product((*FAMILY, "cross_entropy"), [(100_000, 100), (16_384, 1000)])
    ),
    *(Problem("softmax", (16_384, 1000), dtype) for dtype in FOUR[2:]),
    *(
        Problem(name, shape, axis=1)
        for name, shape in product((*FAMILY, "softmax_vjp", "cross_entropy"), MIDDLE_AXIS)
    ),
    Problem("binary_cross_entropy", (1_000_000,)),
    *(Problem(name, GAUSSIAN[0], kind=kind) for name, kind in product(GAUSSIANS, KINDS)),
    *(Problem(name, GAUSSIAN[1], kind="radial") for name in GAUSSIANS),  # additive: minutes a peer
]

LINEAR_CHOSEN = [  # measured by benchmarks.linear
    Problem("linear_cross_entropy", shape)
    for shape in [(60_000, 784, 10), (1_000_000, 20, 5), (20_000, 100, 1000), (4096, 256, 32_000)]
]
LINEAR = [
    *LINEAR_CHOSEN,
    Problem("linear_cross_entropy", (2048, 768, 50_257)),
    Problem("linear_cross_entropy", (8192, 64, 100_000)),
    Problem("linear_cross_entropy", (2048, 512, 256_000)),
]
LINEAR_BY_CLASSES = [
    Problem("linear_cross_entropy", (512, 64, 10**exponent)) for exponent in range(1, 7)
]


def arrays(problem: Problem) -> Arrays:
    """Return the inputs of a problem, the same on every run."""
    rng = np.random.default_rng(0)
    if problem.operation.startswith("gaussian_features"):
        return _of_gaussian_features(problem, rng)
    if problem.operation == "linear_cross_entropy":
        n_samples, n_features, n_classes = problem.shape
        return {
            "inputs": _normal(rng, (n_samples, n_features), problem.dtype),
            "weight": _normal(rng, (n_classes, n_features), problem.dtype, n_features**-0.5),
            "labels": rng.integers(n_classes, size=n_samples),
        }
    logits = _normal(rng, problem.shape, problem.dtype, 3.0)
    if problem.operation == "binary_cross_entropy":
        targets = rng.integers(2, size=logits.shape)
        return {"logits": logits, "targets": targets.astype(logits.dtype)}
    if problem.operation == "cross_entropy":
        rows = tuple(np.delete(problem.shape, problem.axis))
        return {"logits": logits, "labels": rng.integers(problem.shape[problem.axis], size=rows)}
    if problem.operation in BACKWARD:
        return _of_backward(problem, logits, rng)
    return {"logits": logits}


def _normal(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: str, scale: float = 1.0
) -> np.ndarray:
    """Return normal numbers; 16-bit ones are drawn in float32."""
    numbers = rng.standard_normal(shape, np.float64 if dtype == "float64" else np.float32)
    numbers *= scale
    return numbers if numbers.dtype == dtype else numbers.astype(dtype_named(dtype))


def dtype_named(name: str) -> np.dtype[Any]:
    """Return a dtype; bfloat16 is one of ml_dtypes."""
    if name != "bfloat16":
        return np.dtype(name)
    import ml_dtypes

    return np.dtype(ml_dtypes.bfloat16)


def _of_backward(problem: Problem, logits: np.ndarray, rng: np.random.Generator) -> Arrays:
    """Return what went forward, as a peer would have saved it, and what comes back."""
    shape, dtype = logits.shape, problem.dtype
    if problem.operation == "logsumexp_vjp":
        rows = tuple(np.delete(shape, problem.axis))
        return {"logits": logits, "cotangent": _normal(rng, rows, dtype)}
    wide = logits.astype(np.float64)
    del logits
    wide -= wide.max(axis=problem.axis, keepdims=True)
    wide -= np.log(np.exp(wide).sum(axis=problem.axis, keepdims=True))
    if problem.operation == "softmax_vjp":
        np.exp(wide, out=wide)
    name = "probabilities" if problem.operation == "softmax_vjp" else "log_probabilities"
    return {name: wide.astype(dtype_named(dtype)), "cotangent": _normal(rng, shape, dtype)}


def _of_gaussian_features(problem: Problem, rng: np.random.Generator) -> Arrays:
    """Return inputs at which the exponents are of the order of one, for either kind."""
    n_samples, n_inputs, n_features = problem.shape
    beta = rng.uniform(0.5, 2.0, n_features) / (n_inputs if problem.kind == "radial" else 1)
    given = {
        "inputs": _normal(rng, (n_samples, n_inputs), problem.dtype),
        "centers": _normal(rng, (n_features, n_inputs), problem.dtype),
        "beta": beta.astype(problem.dtype),
    }
    if problem.operation == "gaussian_features_vjp":
        given["cotangent"] = _normal(rng, (n_samples, n_features), problem.dtype)
    return given


def blocks(problem: Problem, most_bytes: int) -> list[slice]:
    """Return equal blocks of rows of Gaussian features that take so many bytes at most.

    Additive features hold a difference for each input; radial ones come of a matrix product.
    """
    n_samples, n_inputs, n_features = problem.shape
    a_row = n_features * (n_inputs if problem.kind == "additive" else 1)
    most = max(1, most_bytes // (a_row * np.dtype(problem.dtype).itemsize))
    step = max(n for n in range(1, min(most, n_samples) + 1) if n_samples % n == 0)
    return [slice(i, i + step) for i in range(0, n_samples, step)]


def count(problem: Problem) -> int:
    """Return over how many rows a mean loss is taken."""
    if problem.operation == "linear_cross_entropy":
        return problem.shape[0]
    if problem.operation == "binary_cross_entropy":
        return math.prod(problem.shape)
    return math.prod(problem.shape) // problem.shape[problem.axis]
