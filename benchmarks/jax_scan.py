"""JAX with a scan over chunks of rows: loss and gradients of a chunk, added up as it goes."""

# JAX is there with the extra `bench` only
# pyright: reportMissingImports=false

from __future__ import annotations

import jax
import jax.numpy as jnp

from .chunks import fastest
from .jax_adapter import VERSION, forget, losses
from .problems import Arrays, Call, Calls, Problem

__all__ = ["NAME", "VERSION", "forget"]

NAME = "JAX scan"


def linear_cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    x, w, labels = (jnp.asarray(arrays[name]) for name in ("inputs", "weight", "labels"))

    def with_chunk(rows: int) -> Call:
        compiled = jax.jit(lambda x, w, labels: scanned(x, w, labels, rows))
        return lambda: jax.block_until_ready(compiled(x, w, labels))

    return {"fresh": fastest(problem, with_chunk)}


def scanned(x: jax.Array, w: jax.Array, labels: jax.Array, rows: int) -> tuple[jax.Array, ...]:
    """Return the mean loss and its gradients in x and w; the rows of a chunk divide those of x."""

    def chunk(sums, part):
        def loss(x, w):
            return losses(x @ w.T, part[1]).sum() / len(labels)

        value, (of_x, of_w) = jax.value_and_grad(loss, argnums=(0, 1))(part[0], w)
        return (sums[0] + value, sums[1] + of_w), of_x

    parts = x.reshape(-1, rows, x.shape[1]), labels.reshape(-1, rows)
    (value, of_w), of_x = jax.lax.scan(chunk, (jnp.zeros((), x.dtype), jnp.zeros_like(w)), parts)
    return value, of_x.reshape(x.shape), of_w
