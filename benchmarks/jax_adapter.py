"""JAX on the CPU, each operation under `jit`; a call ends when its result is there."""

# JAX is there with the extra `bench` only
# pyright: reportMissingImports=false

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np

from .problems import Arrays, Calls, Problem, blocks

NAME = "JAX jit"
VERSION = jax.__version__

jax.config.update("jax_enable_x64", True)  # or float64 arrays would be float32 ones

BLOCK = 64 << 20  # bytes of differences that Gaussian features may hold at once


def _calls(function: Callable[..., Any], *given: np.ndarray) -> Calls:
    compiled, arrays = jax.jit(function), [jnp.asarray(a) for a in given]
    return {"fresh": lambda: jax.block_until_ready(compiled(*arrays))}


def softmax(problem: Problem, arrays: Arrays) -> Calls:
    return _calls(lambda z: jax.nn.softmax(z, problem.axis), arrays["logits"])


def log_softmax(problem: Problem, arrays: Arrays) -> Calls:
    return _calls(lambda z: jax.nn.log_softmax(z, problem.axis), arrays["logits"])


def logsumexp(problem: Problem, arrays: Arrays) -> Calls:
    return _calls(lambda z: jax.nn.logsumexp(z, problem.axis), arrays["logits"])


def softmax_vjp(problem: Problem, arrays: Arrays) -> Calls:
    def call(p, g):
        return p * (g - (p * g).sum(problem.axis, keepdims=True))

    return _calls(call, arrays["probabilities"], arrays["cotangent"])


def log_softmax_vjp(problem: Problem, arrays: Arrays) -> Calls:
    def call(q, g):
        return g - jnp.exp(q) * g.sum(problem.axis, keepdims=True)

    return _calls(call, arrays["log_probabilities"], arrays["cotangent"])


def logsumexp_vjp(problem: Problem, arrays: Arrays) -> Calls:
    def call(z, g):
        return jnp.expand_dims(g, problem.axis) * jax.nn.softmax(z, problem.axis)

    return _calls(call, arrays["logits"], arrays["cotangent"])


def losses(z: jax.Array, labels: jax.Array, axis: int = -1) -> jax.Array:
    """Return -log softmax at the labels."""
    at = jnp.expand_dims(labels, axis)
    return -jnp.take_along_axis(jax.nn.log_softmax(z, axis), at, axis).squeeze(axis)


def cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    def loss(z, labels):
        return losses(z, labels, problem.axis).mean()

    return _calls(jax.value_and_grad(loss), arrays["logits"], arrays["labels"])


def binary_cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    def loss(u, y):
        return -(y * jax.nn.log_sigmoid(u) + (1 - y) * jax.nn.log_sigmoid(-u)).mean()

    return _calls(jax.value_and_grad(loss), arrays["logits"], arrays["targets"])


def linear_cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    def call(x, w, labels):
        loss = jax.value_and_grad(lambda x, w: losses(x @ w.T, labels).mean(), argnums=(0, 1))
        value, gradients = loss(x, w)
        return value, *gradients

    return _calls(call, *(arrays[name] for name in ("inputs", "weight", "labels")))


def _features(x: jax.Array, c: jax.Array, beta: jax.Array, kind: str) -> jax.Array:
    if kind == "radial":
        return jnp.exp(-beta * ((x * x).sum(1)[:, None] + (c * c).sum(1) - 2 * (x @ c.T)))
    return jnp.exp(-beta[:, None] * (x[:, None, :] - c) ** 2).sum(2)


def gaussian_features(problem: Problem, arrays: Arrays) -> Calls:
    n_blocks = len(blocks(problem, BLOCK))

    def call(x, c, beta):
        parts = x.reshape(n_blocks, -1, x.shape[1])
        found = jax.lax.map(lambda part: _features(part, c, beta, problem.kind), parts)
        return found.reshape(len(x), len(c))

    return _calls(call, arrays["inputs"], arrays["centers"], arrays["beta"])


def gaussian_features_vjp(problem: Problem, arrays: Arrays) -> Calls:
    n_blocks = len(blocks(problem, BLOCK))

    def value(x, c, beta):
        return _features(x, c, beta, problem.kind)

    def call(x, c, beta, h):
        def block(sums, part):
            rows, cotangent = part
            _, pull = jax.vjp(value, rows, c, beta)
            of_rows, *more = pull(cotangent)
            return jax.tree.map(jnp.add, sums, tuple(more)), of_rows

        parts = tuple(a.reshape(n_blocks, -1, a.shape[1]) for a in (x, h))
        sums, of_x = jax.lax.scan(block, (jnp.zeros_like(c), jnp.zeros_like(beta)), parts)
        return of_x.reshape(x.shape), *sums

    return _calls(call, *(arrays[a] for a in ("inputs", "centers", "beta", "cotangent")))


def forget() -> None:
    """Drop what was compiled for problems that are done."""
    jax.clear_caches()
