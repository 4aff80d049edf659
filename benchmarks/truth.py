"""What is right, in float64: nobody is timed on wrong work.

Whole results are too many numbers, so rows spread over all of them are compared, a mean loss is
compared as it is, and sums over all rows are compared for some centers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from . import numpy_formula
from .problems import Arrays, Problem, count

LARGEST_ERROR = {"float16": 1e-2, "bfloat16": 3e-2, "float32": 1e-4, "float64": 1e-11}

_MOST = 1 << 20  # entries of the logits that are compared


class Right(NamedTuple):
    """The right value of a result at an index into it."""

    index: Any
    value: np.ndarray


def right_results(problem: Problem, arrays: Arrays) -> list[Right]:
    """Return what each result of the operation must be at some places."""
    if problem.operation == "linear_cross_entropy":
        return _right_linear(problem, arrays)
    if problem.operation == "gaussian_features_vjp":
        return _right_features_vjp(problem, arrays)
    some = _some_rows(problem)
    at_rows = {"logits", "labels", "targets", "cotangent", "inputs"}
    at_rows |= {"probabilities", "log_probabilities"}
    part = {name: a[some] if name in at_rows else a for name, a in arrays.items()}
    small = problem._replace(shape=(len(some), *problem.shape[1:]))
    results = _formula(small, part)
    if "cross_entropy" not in problem.operation:
        return [Right(some, results[0])]
    gradient = results[1] * (count(small) / count(problem))
    return [Right((), np.asarray(_loss(problem, arrays))), Right(some, gradient)]


def _formula(problem: Problem, arrays: Arrays) -> tuple[Any, ...]:
    exact = {name: a.astype(np.float64) for name, a in arrays.items() if name != "labels"}
    exact |= {name: a for name, a in arrays.items() if name == "labels"}
    return as_tuple(getattr(numpy_formula, problem.operation)(problem, exact)["fresh"]())


def _some_rows(problem: Problem) -> np.ndarray:
    n = problem.shape[0]
    entries = int(np.prod(problem.shape[1:]))
    return np.unique(np.linspace(0, n - 1, min(n, max(1, _MOST // entries))).astype(int))


def _loss(problem: Problem, arrays: Arrays) -> float:
    """Return the mean loss over all rows, a block of them at a time."""
    n = problem.shape[0]
    step = max(1, 4 * _MOST // int(np.prod(problem.shape[1:])))
    total = 0.0
    for start in range(0, n, step):
        part = {name: a[start : start + step] for name, a in arrays.items()}
        small = problem._replace(shape=(len(part["logits"]), *problem.shape[1:]))
        total += _formula(small, part)[0] * count(small)
    return total / count(problem)


def _right_linear(problem: Problem, arrays: Arrays) -> list[Right]:
    """Return the loss, the inputs' gradient at some rows and the weight's at some classes.

    The logits are made in the data's own precision, a block of rows at a time, for there may be
    too many of them to keep; what follows is computed in float64.
    """
    x, w, labels = arrays["inputs"], arrays["weight"], arrays["labels"]
    n_samples, n_features, n_classes = problem.shape
    ends = np.unique(np.linspace(0, n_samples - 1, 16).astype(int))
    some = np.unique(np.linspace(0, n_classes - 1, 64).astype(int))
    of_x, of_w, total = [], np.zeros((len(some), n_features)), 0.0
    for start, logits in _parts_of_logits(x, w):
        rows = slice(start, start + len(logits))
        z, t = logits.astype(np.float64), labels[rows, None]
        z -= z.max(axis=1, keepdims=True)
        of_label = np.take_along_axis(z, t, axis=1)
        sums = np.exp(z, out=z).sum(axis=1, keepdims=True)
        total += float((np.log(sums) - of_label).sum())
        of_w += (z[:, some] / sums - (t == some)).T @ x[rows]
        for i in ends[(ends >= rows.start) & (ends < rows.stop)] - start:
            of_x.append(z[i] / sums[i] @ w - w[t[i, 0]])
    return [
        Right((), np.asarray(total / n_samples)),
        Right(ends, np.asarray(of_x) / n_samples),
        Right(some, of_w / n_samples),
    ]


def _parts_of_logits(x: np.ndarray, w: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield where some rows begin and their logits: products of many rows, parts for the cache."""
    step, part = (max(1, size // len(w)) for size in (16 * _MOST, _MOST // 8))
    for start in range(0, len(x), step):
        z = x[start : start + step] @ w.T
        for inner in range(0, len(z), part):
            yield start + inner, z[inner : inner + part]


def _right_features_vjp(problem: Problem, arrays: Arrays) -> list[Right]:
    """Return the inputs' gradient at some rows and the centers' and widths' at some centers."""
    some = _some_rows(problem)[:: max(1, problem.shape[1] // 16)]
    ends = np.array([0, problem.shape[2] - 1])
    rows = arrays | {name: arrays[name][some] for name in ("inputs", "cotangent")}
    columns = arrays | {name: arrays[name][ends] for name in ("centers", "beta")}
    columns["cotangent"] = arrays["cotangent"][:, ends]
    n_samples, n_inputs, n_features = problem.shape
    of_inputs, *_ = _formula(problem._replace(shape=(len(some), n_inputs, n_features)), rows)
    _, *sums = _formula(problem._replace(shape=(n_samples, n_inputs, len(ends))), columns)
    return [Right(some, of_inputs), *(Right(ends, value) for value in sums)]


def as_tuple(result: Any) -> tuple[Any, ...]:
    return tuple(result) if isinstance(result, tuple | list) else (result,)


def error(results: tuple[np.ndarray, ...], right: list[Right]) -> float:
    """Return the largest difference, as a fraction of the largest entry of what is right."""
    worst = 0.0
    for got, (index, value) in zip(results, right, strict=True):
        difference = np.asarray(got)[index].astype(np.float64) - value
        worst = np.maximum(worst, np.max(np.abs(difference)) / np.max(np.abs(value)))  # keeps NaN
    return float(worst)
