"""crossent itself; `out=` is given where the operation has it."""

from __future__ import annotations

import numpy as np

import crossent as ce

from .problems import Arrays, Calls, Problem

NAME = "crossent"
VERSION = ce.build_info()["version"]


def softmax(problem: Problem, arrays: Arrays) -> Calls:
    z, axis = arrays["logits"], problem.axis
    out = np.empty_like(z)
    return {
        "fresh": lambda: ce.softmax(z, axis=axis),
        "out": lambda: ce.softmax(z, axis=axis, out=out),
    }


def log_softmax(problem: Problem, arrays: Arrays) -> Calls:
    z, axis = arrays["logits"], problem.axis
    out = np.empty_like(z)
    return {
        "fresh": lambda: ce.log_softmax(z, axis=axis),
        "out": lambda: ce.log_softmax(z, axis=axis, out=out),
    }


def logsumexp(problem: Problem, arrays: Arrays) -> Calls:
    z, axis = arrays["logits"], problem.axis
    out = np.empty(np.delete(z.shape, axis), z.dtype)
    return {
        "fresh": lambda: ce.logsumexp(z, axis=axis),
        "out": lambda: ce.logsumexp(z, axis=axis, out=out),
    }


def softmax_vjp(problem: Problem, arrays: Arrays) -> Calls:
    p, g, axis = arrays["probabilities"], arrays["cotangent"], problem.axis
    out = np.empty_like(p)
    return {
        "fresh": lambda: ce.softmax_vjp(p, g, axis=axis),
        "out": lambda: ce.softmax_vjp(p, g, axis=axis, out=out),
    }


def log_softmax_vjp(problem: Problem, arrays: Arrays) -> Calls:
    q, g, axis = arrays["log_probabilities"], arrays["cotangent"], problem.axis
    out = np.empty_like(q)
    return {
        "fresh": lambda: ce.log_softmax_vjp(q, g, axis=axis),
        "out": lambda: ce.log_softmax_vjp(q, g, axis=axis, out=out),
    }


def logsumexp_vjp(problem: Problem, arrays: Arrays) -> Calls:
    z, g, axis = arrays["logits"], arrays["cotangent"], problem.axis
    out = np.empty_like(z)
    return {
        "fresh": lambda: ce.logsumexp_vjp(z, g, axis=axis),
        "out": lambda: ce.logsumexp_vjp(z, g, axis=axis, out=out),
    }


def cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    z, labels, axis = arrays["logits"], arrays["labels"], problem.axis
    own = z.copy()  # later rounds find the gradient of the round before in it
    return {
        "in place": lambda: ce.cross_entropy_value_and_grad(own, labels, axis=axis, out=own),
        "fresh": lambda: ce.cross_entropy_value_and_grad(z, labels, axis=axis),
    }


def binary_cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    u, y = arrays["logits"], arrays["targets"]
    out = np.empty_like(u)
    return {
        "fresh": lambda: ce.binary_cross_entropy_value_and_grad(u, y),
        "out": lambda: ce.binary_cross_entropy_value_and_grad(u, y, out=out),
    }


def linear_cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    x, w, labels = arrays["inputs"], arrays["weight"], arrays["labels"]

    def call():
        loss, gradients = ce.linear_cross_entropy_value_and_grad(
            x, w, labels, needs=("inputs", "weight")
        )
        return loss, gradients.inputs, gradients.weight

    return {"fresh": call}


def gaussian_features(problem: Problem, arrays: Arrays) -> Calls:
    x, c, beta, kind = arrays["inputs"], arrays["centers"], arrays["beta"], problem.kind
    out = np.empty((len(x), len(c)), x.dtype)
    return {
        "fresh": lambda: ce.gaussian_features(x, c, beta, kind=kind),
        "out": lambda: ce.gaussian_features(x, c, beta, kind=kind, out=out),
    }


def gaussian_features_vjp(problem: Problem, arrays: Arrays) -> Calls:
    x, c, beta, h = (arrays[name] for name in ("inputs", "centers", "beta", "cotangent"))
    return {"fresh": lambda: tuple(ce.gaussian_features_vjp(x, c, beta, h, kind=problem.kind))}
