"""Checks of Gaussian features and linear layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .._typing import Array, ArrayLike, Floating
from ._arrays import as_floating, check_same_shape, compute_dtype
from ._scalars import as_index, check_choice

__all__ = [
    "Gaussian",
    "Linear",
    "as_cotangent",
    "as_gaussian",
    "as_linear",
    "as_needs",
    "as_tangents",
    "as_workspace",
]


class Gaussian(NamedTuple):
    """Inputs (..., D), centers (n, D) and beta (n,) of one dtype, float32 or float64.

    ``dtype`` is that of the inputs as given, and of the results.
    """

    inputs: Floating
    centers: Floating
    beta: Floating
    dtype: np.dtype[Any]


def as_gaussian(inputs: ArrayLike, centers: ArrayLike, beta: ArrayLike, kind: str) -> Gaussian:
    """Check the parameters of Gaussian features; all take the inputs' dtype."""
    check_choice(kind, ("additive", "radial"), "kind")
    given = as_floating(inputs, "inputs")
    x = given.astype(compute_dtype(given.dtype), copy=False)
    c = np.ascontiguousarray(as_floating(centers, "centers"), x.dtype)
    b = np.asarray(as_floating(beta, "beta"), x.dtype, order="C")  # a single number stays one
    if x.ndim == 0:
        raise ValueError("inputs is a single number: pass an array of shape (..., D)")
    if c.ndim != 2 or c.shape[1] != x.shape[-1] or c.shape[0] == 0:
        raise ValueError(
            f"centers has shape {c.shape}, but inputs of shape {x.shape} ask for "
            f"(n, {x.shape[-1]}), one center a feature"
        )
    check_same_shape(b.shape, (len(c),), "beta", f"{len(c)} centers")
    bad = ~((b > 0.0) & (b < math.inf))
    if bad.any():
        index = int(bad.argmax())
        raise ValueError(f"beta[{index}] is {b[index]}: every beta must be positive and finite")
    return Gaussian(x, c, b, given.dtype)


class Linear(NamedTuple):
    """Inputs as rows (N, n), weight (K, n) and bias (K,) or None, and the shape before the rows."""

    inputs: Floating
    weight: Floating
    bias: Floating | None
    shape: tuple[int, ...]


def as_linear(inputs: ArrayLike, weight: ArrayLike, bias: ArrayLike | None) -> Linear:
    """Check a linear layer and what goes into it; each keeps its dtype."""
    x = as_floating(inputs, "inputs")
    w = as_floating(weight, "weight")
    if x.ndim == 0:
        raise ValueError("inputs is a single number: pass an array of shape (..., n)")
    if w.ndim != 2 or w.shape[1] != x.shape[-1] or w.shape[0] == 0:
        raise ValueError(
            f"weight has shape {w.shape}, but inputs of shape {x.shape} ask for "
            f"(K, {x.shape[-1]}), one row a class"
        )
    b = None
    if bias is not None:
        b = as_floating(bias, "bias")
        check_same_shape(b.shape, (len(w),), "bias", f"a weight of {len(w)} classes")
    rows = x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    return Linear(rows, w, b, x.shape[:-1])


def as_tangents(
    tangents: Sequence[ArrayLike | None], layer: Linear
) -> tuple[Floating | None, Floating | None, Floating | None]:
    """Directions of inputs (N, n), weight (K, n) and bias (K,); None where nothing moves."""
    if isinstance(tangents, np.ndarray) or len(tangents) != 3:
        raise TypeError(
            "tangents must be LinearGradients(inputs, weight, bias), with None for what does not "
            f"move, got {type(tangents).__name__}"
        )
    inputs, weight, bias = (
        None if tangent is None else as_floating(tangent, f"tangents.{name}")
        for name, tangent in zip(("inputs", "weight", "bias"), tangents, strict=True)
    )
    if inputs is not None:
        shape = (*layer.shape, layer.inputs.shape[1])
        check_same_shape(inputs.shape, shape, "tangents.inputs", "inputs")
        inputs = inputs.reshape(layer.inputs.shape)
    if weight is not None:
        check_same_shape(weight.shape, layer.weight.shape, "tangents.weight", "weight")
    if bias is not None:
        if layer.bias is None:
            raise ValueError("tangents.bias is given, but there is no bias: pass bias, or None")
        check_same_shape(bias.shape, layer.bias.shape, "tangents.bias", "bias")
    return inputs, weight, bias


def as_workspace(
    workspace_bytes: int | None, default: int, least: int, what: str = "one row of logits"
) -> int:
    """The number of bytes to work in; less than the least possible is an error that says it."""
    if workspace_bytes is None:
        return max(default, least)
    given = as_index(workspace_bytes, "workspace_bytes")
    if given < least:
        raise ValueError(
            f"workspace_bytes is {given}, but this call needs {least} at least: {what}"
        )
    return given


def as_needs(needs: Sequence[str], choices: tuple[str, ...]) -> tuple[str, ...]:
    """Which gradients are asked for."""
    if isinstance(needs, str):
        raise TypeError(f"needs must be a tuple of names, for example ({needs!r},), got a string")
    for name in needs:
        check_choice(name, choices, "each of needs")
    return tuple(needs)


def as_cotangent(
    cotangent: ArrayLike | None, shape: tuple[int, ...], reduction: str
) -> Array | None:
    """One factor a row for the gradients of unreduced losses, as (N,)."""
    if reduction != "none":
        if cotangent is not None:
            raise ValueError(
                'cotangent goes with reduction="none", '
                f"but reduction is {reduction!r}: leave it out"
            )
        return None
    if cotangent is None:
        raise ValueError(
            'reduction="none" needs a cotangent: what each row\'s loss is multiplied by, '
            "for example np.ones(...) of the labels' shape"
        )
    factors = as_floating(cotangent, "cotangent")
    check_same_shape(factors.shape, shape, "cotangent", "one factor a row")
    return factors.reshape(-1)
