"""The optimum itself, found with fifty digits, and what both solvers leave of the way to it."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest

from crossent import SoftmaxClassifier

N_SAMPLES, N_INPUTS = 40, 3


def problem(n_classes):
    rng = np.random.default_rng(n_classes)
    unit = rng.normal(size=(N_SAMPLES, N_INPUTS))
    score = unit @ rng.normal(size=(N_INPUTS, n_classes))
    y = (score + rng.gumbel(size=score.shape)).argmax(axis=1)
    X = unit * [1.0, 10.0, 0.1] + [0.0, 30.0, 1.0]
    return X.astype(np.float32), y, rng.uniform(0.2, 3.0, N_SAMPLES)


def optimum(X, y, weight, n_classes, C, fit_intercept):
    """W and b by Newton's method on ``C sum_i r_i E_i + |W|^2 / 2``, in plain loops of mpmath.

    Two classes have one logit: rows of W are those of logits 1, ..., K-1 there, and of all else.
    The term (sum b)^2 / 2, which is 0 at the end, picks one of the intercepts that softmax cannot
    tell from each other.
    """
    first, width = (1 if n_classes == 2 else 0), N_INPUTS + fit_intercept
    n_rows = n_classes - first
    rows = [[mp.mpf(float(v)) for v in row] + [mp.mpf(1)] * fit_intercept for row in X]
    theta = [mp.mpf(0)] * (n_rows * width)
    for _ in range(60):
        gradient, hessian = mp.matrix(len(theta), 1), mp.matrix(len(theta))
        for k in range(n_rows):
            for s in range(N_INPUTS):
                gradient[k * width + s] = theta[k * width + s]
                hessian[k * width + s, k * width + s] = 1
        if fit_intercept and n_rows > 1:
            ends = [(k + 1) * width - 1 for k in range(n_rows)]
            for i in ends:
                gradient[i] += sum(theta[j] for j in ends)
                for j in ends:
                    hessian[i, j] += 1
        for row, label, r in zip(rows, y, weight, strict=True):
            z = [mp.fdot(theta[k * width : (k + 1) * width], row) for k in range(n_rows)]
            e = [mp.exp(v) for v in [mp.mpf(0)] * first + z]
            p = [v / sum(e) for v in e][first:]
            c = C * mp.mpf(float(r))
            for k in range(n_rows):
                g = c * (p[k] - (label == k + first))
                for s in range(width):
                    gradient[k * width + s] += g * row[s]
                for m in range(n_rows):
                    h = c * ((p[k] if k == m else 0) - p[k] * p[m])
                    for s in range(width):
                        for t in range(width):
                            hessian[k * width + s, m * width + t] += h * row[s] * row[t]
        step = mp.lu_solve(hessian, -gradient)
        largest = max(abs(v) for v in step)
        theta = [old + d * min(mp.mpf(1), 2 / largest) for old, d in zip(theta, step, strict=True)]
        if largest < mp.mpf(10) ** -30:
            break
    assert largest < mp.mpf(10) ** -30
    found = np.array([float(v) for v in theta]).reshape(n_rows, width)
    return found[:, :N_INPUTS], found[:, N_INPUTS:].sum(axis=1)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_coefficients_are_those_of_the_true_optimum(n_classes, weighted, fit_intercept):
    X, y, weight = problem(n_classes)
    weight = weight if weighted else np.ones(N_SAMPLES)
    class_weight = {0: 2.0, 1: 0.5} if weighted else None
    each = weight * np.array([2.0, 0.5, 1.0])[y] if weighted else weight
    with mp.workdps(50):
        coef, intercept = optimum(X, y, each, n_classes, mp.mpf(2), fit_intercept)
    size = np.abs(np.hstack([coef, intercept[:, None]])).max()
    for solver in ("auto", "lbfgs", "newton"):
        for dtype, tol in (("float64", 1e-12), ("float32", 1e-6)):
            model = SoftmaxClassifier(
                2.0,
                fit_intercept=fit_intercept,
                class_weight=class_weight,
                solver=solver,
                tol=tol,
                dtype=dtype,
            )
            model.fit(X, y, weight)
            off = max(np.abs(model.coef_ - coef).max(), np.abs(model.intercept_ - intercept).max())
            assert model.converged_
            assert off <= 1e-5 * size, f"{solver} in {dtype}"  # measured: 2e-10 and 1e-6
