"""Every kernel as a call on random arguments of M rows, so that tests can ask the same of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from crossent import _kernels as kernels
from crossent._arguments import LossOptions
from tests.kernels import tables
from tests.kernels.truth import Array

PLAIN = LossOptions()
FULL = LossOptions(0.1, 1.7, 4.0, 0.01)


class Call(NamedTuple):
    """The rows of each argument, and what to call with them and with fresh rows of results."""

    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    run: Callable[..., None]


def _rows(n_rows: int, n_classes: int, dtype: Any) -> tuple[Array, Array, Array, Array]:
    rng = np.random.default_rng([n_rows, n_classes])
    z, g = (rng.normal(0, 5, (n_rows, n_classes)).astype(dtype) for _ in range(2))
    return z, g, rng.integers(0, n_classes, n_rows), rng.uniform(0, 2, n_rows)


def all_calls(n_rows: int, n_classes: int, dtype: Any) -> dict[str, Call]:
    """Every kernel whose rows (or elements) do not depend on each other."""
    z, g, labels, weight = _rows(n_rows, n_classes, dtype)
    column = np.ascontiguousarray(z[:, 0])
    targets = np.abs(g).astype(tables.computed(dtype))
    matrix, vector, doubles = np.empty_like(z), np.empty(n_rows, dtype), np.empty(n_rows)
    k = kernels
    calls = {
        "softmax": Call((z,), (matrix,), k.softmax_rows),
        "log_softmax": Call((z,), (matrix,), k.log_softmax_rows),
        "logsumexp": Call((z,), (vector,), k.logsumexp_rows),
        "softmax_vjp": Call((np.abs(z), g), (matrix,), k.softmax_vjp_rows),
        "log_softmax_vjp": Call((-np.abs(z), g), (matrix,), k.log_softmax_vjp_rows),
        "log_softmax_jvp": Call((-np.abs(z), g), (matrix,), k.log_softmax_jvp_rows),
        "logsumexp_vjp": Call((z, column), (matrix,), k.logsumexp_vjp_rows),
        "logsumexp_jvp": Call((z, g), (vector,), k.logsumexp_jvp_rows),
        "sigmoid": Call((column,), (vector,), k.sigmoid_elements),
        "binary": Call(
            (column, (targets[:, 0] % 1).copy(), weight),
            (doubles, vector),
            lambda x, y, w, loss, out: k.binary_cross_entropy_elements(
                x, y, w, 0.3, PLAIN, loss, out
            ),
        ),
    }
    for name, target, options in [
        ("labels", labels, PLAIN),
        ("targets", targets, PLAIN),
        ("options", labels, FULL),
    ]:
        calls[f"cross_entropy {name}"] = Call(
            (z, target, weight),
            (doubles, matrix),
            lambda z, t, w, loss, out, o=options: k.cross_entropy_rows(z, t, w, 0.3, o, loss, out),
        )
        calls[f"cross_entropy_jvp {name}"] = Call(
            (z, target, g, weight),
            (doubles, doubles.copy()),
            lambda z, t, v, w, loss, out, o=options: k.cross_entropy_jvp_rows(
                z, t, v, w, o, loss, out
            ),
        )
        calls[f"cross_entropy_hvp {name}"] = Call(
            (z, target, g, weight),
            (matrix,),
            lambda z, t, v, w, out, o=options: k.cross_entropy_hvp_rows(
                z, t, v, w, 0.3, o, False, out
            ),
        )
    return calls


def gaussian_calls(shape: tuple[int, int, int], dtype: Any) -> dict[str, Call]:
    """Features and gradients of N inputs of D coordinates by n centers, both kinds."""
    n_samples, n_inputs, n_features = shape
    rng = np.random.default_rng(shape)
    x, c = rng.normal(0, 1, (n_samples, n_inputs)), rng.normal(0, 1, (n_features, n_inputs))
    beta, h = rng.uniform(0.1, 1, n_features) / n_inputs, rng.normal(0, 1, (n_samples, n_features))
    x, c, beta, h = (array.astype(dtype) for array in (x, c, beta, h))
    calls = {}
    for kind in ("additive", "radial"):
        calls[kind] = Call(
            (x, c, beta),
            (np.empty_like(h),),
            lambda x, c, b, out, kind=kind: kernels.gaussian_features_rows(x, c, b, kind, out),
        )
        calls[f"{kind} vjp"] = Call(
            (x, c, beta, h),
            (np.empty_like(x), np.empty_like(c), np.empty_like(beta)),
            lambda x, c, b, h, *out, kind=kind: kernels.gaussian_features_vjp_rows(
                x, c, b, h, kind, *out
            ),
        )
    return calls


def results(call: Call) -> list[bytes]:
    """The bits of fresh results."""
    fresh = [np.zeros_like(array) for array in call.outputs]
    call.run(*call.inputs, *fresh)
    return [array.tobytes() for array in fresh]
