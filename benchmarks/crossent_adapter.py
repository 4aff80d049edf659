"""crossent itself; `out=` is given where the operation has it."""

from __future__ import annotations

import numpy as np

import crossent as ce

from .problems import Arrays

NAME = "crossent"
VERSION = ce.build_info()["version"]


def softmax(arrays: Arrays):
    z = arrays["logits"]
    out = np.empty_like(z)
    return lambda: ce.softmax(z, out=out)


def log_softmax(arrays: Arrays):
    z = arrays["logits"]
    out = np.empty_like(z)
    return lambda: ce.log_softmax(z, out=out)


def logsumexp(arrays: Arrays):
    return lambda: ce.logsumexp(arrays["logits"])


def softmax_vjp(arrays: Arrays):
    p, g = ce.softmax(arrays["logits"]), arrays["logits"]
    out = np.empty_like(p)
    return lambda: ce.softmax_vjp(p, g, out=out)


def cross_entropy(arrays: Arrays):
    z, labels = arrays["logits"], arrays["labels"]
    out = np.empty_like(z)
    return lambda: ce.cross_entropy_value_and_grad(z, labels, out=out)


def linear_cross_entropy(arrays: Arrays):
    x, w, labels = arrays["inputs"], arrays["weight"], arrays["labels"]
    needs = ("inputs", "weight")

    def call():
        loss, gradients = ce.linear_cross_entropy_value_and_grad(x, w, labels, needs=needs)
        return loss, gradients.inputs, gradients.weight

    return call


def gaussian_features(arrays: Arrays):
    x, c, beta = arrays["inputs"], arrays["centers"], arrays["beta"]
    out = np.empty((len(x), len(c)), x.dtype)
    return lambda: ce.gaussian_features(x, c, beta, out=out)
