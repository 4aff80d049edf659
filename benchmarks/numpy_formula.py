"""Each operation as anyone would write it in NumPy: a peer, and in float64 what is right."""

from __future__ import annotations

from typing import Any

import numpy as np

from .problems import Arrays, Calls, Problem, blocks

NAME = "NumPy formula"
VERSION = np.__version__


def _softmax(z: np.ndarray, axis: int, out: np.ndarray | None = None) -> np.ndarray:
    e = np.subtract(z, z.max(axis=axis, keepdims=True), out=out)
    np.exp(e, out=e)
    e /= e.sum(axis=axis, keepdims=True)
    return e


def _logsumexp(z: np.ndarray, axis: int) -> np.ndarray:
    a = z.max(axis=axis, keepdims=True)
    return a + np.log(np.exp(z - a).sum(axis=axis, keepdims=True))


def _log_softmax(z: np.ndarray, axis: int, out: np.ndarray | None = None) -> np.ndarray:
    return np.subtract(z, _logsumexp(z, axis), out=out)


def _cross_entropy(z: np.ndarray, labels: np.ndarray, axis: int) -> tuple[float, np.ndarray]:
    at = np.expand_dims(labels, axis)
    chosen = np.take_along_axis(z, at, axis)
    loss = float(np.mean(_logsumexp(z, axis) - chosen))
    gradient = _softmax(z, axis)
    np.put_along_axis(gradient, at, np.take_along_axis(gradient, at, axis) - 1, axis)
    gradient /= labels.size
    return loss, gradient


def _linear_cross_entropy(x: np.ndarray, w: np.ndarray, labels: np.ndarray):
    loss, gradient = _cross_entropy(x @ w.T, labels, -1)
    return loss, gradient @ w, gradient.T @ x


def softmax(problem: Problem, arrays: Arrays) -> Calls:
    z, out = arrays["logits"], np.empty_like(arrays["logits"])
    return {
        "fresh": lambda: _softmax(z, problem.axis),
        "out": lambda: _softmax(z, problem.axis, out),
    }


def log_softmax(problem: Problem, arrays: Arrays) -> Calls:
    z, out = arrays["logits"], np.empty_like(arrays["logits"])
    return {
        "fresh": lambda: _log_softmax(z, problem.axis),
        "out": lambda: _log_softmax(z, problem.axis, out),
    }


def logsumexp(problem: Problem, arrays: Arrays) -> Calls:
    z, axis = arrays["logits"], problem.axis
    return {"fresh": lambda: _logsumexp(z, axis).squeeze(axis)}


def softmax_vjp(problem: Problem, arrays: Arrays) -> Calls:
    p, g, axis = arrays["probabilities"], arrays["cotangent"], problem.axis
    return {"fresh": lambda: p * (g - (p * g).sum(axis=axis, keepdims=True))}


def log_softmax_vjp(problem: Problem, arrays: Arrays) -> Calls:
    q, g, axis = arrays["log_probabilities"], arrays["cotangent"], problem.axis
    return {"fresh": lambda: g - np.exp(q) * g.sum(axis=axis, keepdims=True)}


def logsumexp_vjp(problem: Problem, arrays: Arrays) -> Calls:
    z, g, axis = arrays["logits"], np.expand_dims(arrays["cotangent"], problem.axis), problem.axis
    return {"fresh": lambda: g * _softmax(z, axis)}


def cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    return {"fresh": lambda: _cross_entropy(arrays["logits"], arrays["labels"], problem.axis)}


def binary_cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    u, y = arrays["logits"], arrays["targets"]

    def call():
        loss = float(np.mean(np.maximum(u, 0) - y * u + np.log1p(np.exp(-np.abs(u)))))
        return loss, (1 / (1 + np.exp(-u)) - y) / u.size

    return {"fresh": call}


def linear_cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    x, w, labels = arrays["inputs"], arrays["weight"], arrays["labels"]
    return {"fresh": lambda: _linear_cross_entropy(x, w, labels)}


def _additive(x: np.ndarray, c: np.ndarray, beta: np.ndarray) -> np.ndarray:
    terms = (np.exp(-beta * (x[:, s, None] - c[:, s]) ** 2) for s in range(x.shape[1]))
    return np.asarray(sum(terms))


def _squared_distances(x: np.ndarray, c: np.ndarray) -> np.ndarray:
    return (x * x).sum(1)[:, None] + (c * c).sum(1) - 2 * x @ c.T


def _additive_vjp(x: np.ndarray, c: np.ndarray, beta: np.ndarray, h: np.ndarray) -> Any:
    of_x, of_c, of_beta = np.empty_like(x), np.empty_like(c), np.zeros_like(beta)
    for s in range(x.shape[1]):
        d = x[:, s, None] - c[:, s]
        hed = h * np.exp(-beta * d * d) * d
        of_x[:, s] = -2 * hed @ beta
        of_c[:, s] = 2 * beta * hed.sum(0)
        of_beta -= (hed * d).sum(0)
    return of_x, of_c, of_beta


def _radial_vjp(x: np.ndarray, c: np.ndarray, beta: np.ndarray, h: np.ndarray) -> Any:
    squares = _squared_distances(x, c)
    he = h * np.exp(-beta * squares)
    heb = he * beta
    of_x = 2 * (heb @ c - heb.sum(1)[:, None] * x)
    of_c = 2 * (heb.T @ x - heb.sum(0)[:, None] * c)
    return of_x, of_c, -(he * squares).sum(0)


def gaussian_features(problem: Problem, arrays: Arrays) -> Calls:
    x, c, beta = arrays["inputs"], arrays["centers"], arrays["beta"]
    if problem.kind == "radial":
        return {"fresh": lambda: np.exp(-beta * _squared_distances(x, c))}
    parts = blocks(problem, 64 << 20)
    return {"fresh": lambda: np.concatenate([_additive(x[rows], c, beta) for rows in parts])}


def gaussian_features_vjp(problem: Problem, arrays: Arrays) -> Calls:
    x, c, beta, h = (arrays[name] for name in ("inputs", "centers", "beta", "cotangent"))
    if problem.kind == "radial":
        return {"fresh": lambda: _radial_vjp(x, c, beta, h)}
    parts = blocks(problem, 64 << 20)

    def call():
        done = [_additive_vjp(x[rows], c, beta, h[rows]) for rows in parts]
        of_x, of_c, of_beta = zip(*done, strict=True)
        return np.concatenate(of_x), sum(of_c), sum(of_beta)

    return {"fresh": call}
