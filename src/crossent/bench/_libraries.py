"""The operations of crossent, as formulas in NumPy, and of the libraries that are installed.

Each library has a function from arrays to its calls, by the operation's name. `logits` (N, K) and
`labels` (N,) are those of the operations without a layer; with `inputs` (N, n) and `weight` (K, n)
there is the linear layer alone.
"""

# the libraries are there where someone installed them
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from .. import ops
from .._typing import Array
from .._version import __version__

__all__ = ["NONE_BUT_FLOAT32", "installed"]

Call = Callable[[], Any]
Calls = dict[str, Call]

NONE_BUT_FLOAT32 = ("JAX jit",)
"""What computes in float32, whatever it is given, unless the whole process is told otherwise."""


def installed() -> dict[str, tuple[str, Callable[[Mapping[str, Array]], Calls]]]:
    """The version and the calls of each library that is there, crossent first."""
    found = {"crossent": (__version__, _crossent), "NumPy formula": (np.__version__, _formula)}
    for name, package, calls in (
        ("SciPy", "scipy", _scipy),
        ("torch", "torch", _torch),
        ("JAX jit", "jax", _jax),
    ):
        if find_spec(package) is not None:
            found[name] = (import_module(package).__version__, calls)
    return found


def _crossent(arrays: Mapping[str, Array]) -> Calls:
    labels = arrays["labels"]
    if "weight" in arrays:
        x, w = arrays["inputs"], arrays["weight"]
        return {
            "linear_cross_entropy, gradients": lambda: ops.linear_cross_entropy_value_and_grad(
                x, w, labels
            )
        }
    z = arrays["logits"]
    return {
        "softmax": lambda: ops.softmax(z),
        "log_softmax": lambda: ops.log_softmax(z),
        "logsumexp": lambda: ops.logsumexp(z),
        "cross_entropy, gradient": lambda: ops.cross_entropy_value_and_grad(z, labels),
    }


def _formula(arrays: Mapping[str, Array]) -> Calls:
    labels = arrays["labels"]
    if "weight" in arrays:
        x, w = arrays["inputs"], arrays["weight"]

        def linear() -> Any:
            loss, gradient = _loss_and_gradient(x @ w.T, labels)
            return loss, gradient @ w, gradient.T @ x

        return {"linear_cross_entropy, gradients": linear}
    z = arrays["logits"]
    return {
        "softmax": lambda: _softmax(z),
        "log_softmax": lambda: z - _logsumexp(z),
        "logsumexp": lambda: _logsumexp(z)[:, 0],
        "cross_entropy, gradient": lambda: _loss_and_gradient(z, labels),
    }


def _softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    e /= e.sum(axis=-1, keepdims=True)
    return e


def _logsumexp(z: Array) -> Array:
    top = z.max(axis=-1, keepdims=True)
    return top + np.log(np.exp(z - top).sum(axis=-1, keepdims=True))


def _loss_and_gradient(z: Array, labels: Array) -> tuple[float, Array]:
    rows = np.arange(len(z))
    loss = float(np.mean(_logsumexp(z)[:, 0] - z[rows, labels]))
    gradient = _softmax(z)
    gradient[rows, labels] -= 1
    gradient /= len(z)
    return loss, gradient


def _scipy(arrays: Mapping[str, Array]) -> Calls:
    if "weight" in arrays:
        return {}
    from scipy import special

    z = arrays["logits"]
    return {
        "softmax": lambda: special.softmax(z, axis=-1),
        "log_softmax": lambda: special.log_softmax(z, axis=-1),
        "logsumexp": lambda: special.logsumexp(z, axis=-1),
    }


def _torch(arrays: Mapping[str, Array]) -> Calls:
    import torch
    from torch.nn import functional

    given = {name: torch.from_numpy(array) for name, array in arrays.items()}
    labels = given["labels"]

    def with_gradients(loss: Callable[..., Any], *tensors: Any) -> Call:
        return lambda: torch.autograd.grad(loss(*tensors), tensors)

    if "weight" in given:
        x, w = given["inputs"].requires_grad_(), given["weight"].requires_grad_()

        def loss(x: Any, w: Any) -> Any:
            return functional.cross_entropy(functional.linear(x, w), labels)

        return {"linear_cross_entropy, gradients": with_gradients(loss, x, w)}
    z, variable = given["logits"], given["logits"].clone().requires_grad_()
    return {
        "softmax": lambda: torch.softmax(z, -1),
        "log_softmax": lambda: torch.log_softmax(z, -1),
        "logsumexp": lambda: torch.logsumexp(z, -1),
        "cross_entropy, gradient": with_gradients(
            lambda z: functional.cross_entropy(z, labels), variable
        ),
    }


def _jax(arrays: Mapping[str, Array]) -> Calls:
    import jax

    labels = jax.numpy.asarray(arrays["labels"])

    def loss(z: Any) -> Any:
        chosen = jax.numpy.take_along_axis(z, labels[:, None], axis=-1)[:, 0]
        return jax.numpy.mean(jax.nn.logsumexp(z, axis=-1) - chosen)

    def jitted(function: Callable[..., Any], *given: Any) -> Call:
        compiled = jax.jit(function)
        return lambda: jax.block_until_ready(compiled(*given))

    if "weight" in arrays:
        x, w = jax.numpy.asarray(arrays["inputs"]), jax.numpy.asarray(arrays["weight"])
        layer = jax.value_and_grad(lambda x, w: loss(x @ w.T), (0, 1))
        return {"linear_cross_entropy, gradients": jitted(layer, x, w)}
    z = jax.numpy.asarray(arrays["logits"])
    return {
        "softmax": jitted(jax.nn.softmax, z),
        "log_softmax": jitted(jax.nn.log_softmax, z),
        "logsumexp": jitted(lambda z: jax.nn.logsumexp(z, axis=-1), z),
        "cross_entropy, gradient": jitted(jax.value_and_grad(loss), z),
    }
