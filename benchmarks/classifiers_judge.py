"""The objective by one plain formula, for every solver alike, and the solvers to be compared."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

import crossent as ce

Fit = Callable[[Any, np.ndarray, int], Any]

OURS = "crossent"
_ROWS = 4096
_NOT_REACHED = 1e-16  # a tolerance that no solver reaches: the iterations given decide


def objective(X: Any, y: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> float:
    """Return ``sum_i (logsumexp(z_i) - z_iy) + |W|^2 / 2`` with z = X W^T + b, in float64."""
    weight, bias = weight.astype(np.float64), bias.astype(np.float64)
    total = 0.5 * float(np.vdot(weight, weight))
    for start in range(0, X.shape[0], _ROWS):
        rows, labels = X[start : start + _ROWS], y[start : start + _ROWS]
        z = np.asarray(rows @ weight.T) + bias
        largest = z.max(axis=1)
        sums = np.log(np.exp(z - largest[:, None]).sum(axis=1)) + largest
        total += float((sums - z[np.arange(len(labels)), labels]).sum())
    return total


def ours(X: Any, y: np.ndarray, max_iter: int) -> Any:
    """SoftmaxClassifier as it comes, stopped after so many iterations."""
    return ce.SoftmaxClassifier(tol=_NOT_REACHED, max_iter=max_iter).fit(X, y)


def theirs(solver: str, *, one_thread: bool = False) -> Fit:
    """LogisticRegression with a solver, perhaps with one thread for every BLAS."""

    def fit(X: Any, y: np.ndarray, max_iter: int) -> Any:
        limits = threadpool_limits(1) if one_thread else contextlib.nullcontext()
        with limits:
            model = LogisticRegression(solver=solver, tol=_NOT_REACHED, max_iter=max_iter)
            return model.fit(X, y)

    return fit


SOLVERS: dict[str, Fit] = {
    OURS: ours,
    "lbfgs": theirs("lbfgs"),
    "lbfgs, one thread": theirs("lbfgs", one_thread=True),
    "newton-cg": theirs("newton-cg"),
    "newton-cg, one thread": theirs("newton-cg", one_thread=True),
    "newton-cholesky": theirs("newton-cholesky"),
    "newton-cholesky, one thread": theirs("newton-cholesky", one_thread=True),
    "sag": theirs("sag"),
    "saga": theirs("saga"),
}

_MOST_SQUARED = 2000  # parameters whose square newton-cholesky can hold and factorise


def sensible(solver: str, X: Any, n_classes: int) -> bool:
    """Whether a solver can be asked: a Hessian that fits, columns that a stochastic step stands."""
    if solver.startswith("newton-cholesky"):
        return isinstance(X, np.ndarray) and X.shape[1] * n_classes <= _MOST_SQUARED
    if solver in ("sag", "saga"):
        scales = X.std(axis=0) if isinstance(X, np.ndarray) else np.ones(1)
        return float(scales.max()) < 10.0 and n_classes <= 20
    return True


def version(solver: str) -> str:
    """Return which crossent or scikit-learn it is."""
    return str(ce.build_info()["version"]) if solver == OURS else sklearn.__version__
