"""Calls of the two-class loss, the Gaussian features and the linear layer with its loss."""

from __future__ import annotations

from functools import cache

import numpy as np

from ..._typing import Array
from .. import _plain, _reference
from .._cases import Case
from .._reference import Truth
from ._call import Output, Problem, dtype_named, logits_of, random
from ._cross_entropy import DEFAULTS, loss_options, make_target

N_FEATURES = 3


def sigmoid_problem(name: str, case: Case, dtype: str) -> Problem:
    """sigmoid: any shape, no classes."""
    _, rows, _ = logits_of(case, dtype)
    return Problem(
        (rows,),
        {},
        (Output("value", rows.shape, rows.dtype, np.ravel),),
        lambda: {"value": _reference.sigmoid(rows.ravel())},
        lambda: {"value": _plain.sigmoid(rows.ravel())},
    )


def binary_problem(name: str, case: Case, dtype: str) -> Problem:
    """binary_cross_entropy and its value_and_grad: one logit a row."""
    _, rows, _ = logits_of(case, dtype)
    logits, rng = rows[:, 0], random(case)
    rng.standard_normal(3)
    options = loss_options(case, rows, 2, rng)
    kind = _plain.compute(rows).dtype
    target: Array = rng.integers(0, 2, len(rows))
    if case.target == "targets":
        target = rng.random(len(rows)).astype(kind)

    @cache
    def truth() -> dict[str, Truth]:
        found = _reference.binary_cross_entropy(logits, target, **options)
        return {"loss": found.loss, "gradient": found.gradient}

    def plain() -> dict[str, Array]:
        pairs = np.stack([np.zeros_like(logits), logits], axis=1)
        y = target.astype(kind)
        both = np.stack([1 - y, y], axis=1)
        found = _plain.cross_entropy(pairs, both, **(DEFAULTS | options))
        return {"loss": found["loss"], "gradient": found["gradient"][:, 1]}

    lossy = rows.dtype if options.get("reduction") == "none" else kind
    shape = (len(rows),) if options.get("reduction") == "none" else ()
    outputs = (Output("loss", shape, lossy, np.ravel),)
    if name.endswith("value_and_grad"):
        outputs = (*outputs, Output("gradient", (len(rows),), rows.dtype))
    return Problem((logits, target), options, outputs, truth, plain)


def gaussian_problem(name: str, case: Case, dtype: str) -> Problem:
    """gaussian_features and gaussian_features_vjp."""
    _, inputs, _ = logits_of(case, dtype)
    rng, kind = random(case), case.options["kind"]
    n_inputs = inputs.shape[1]
    rng.standard_normal(11)
    home = inputs.mean() if len(inputs) else 0.0
    near = home if abs(home) > 100 else 0.0
    centers = (near + rng.standard_normal((4, n_inputs))).astype(inputs.dtype)
    beta = (0.2 + rng.random(4)).astype(inputs.dtype)
    if name == "gaussian_features":
        args = (inputs, centers, beta)
        outputs = (Output("value", (len(inputs), 4), inputs.dtype),)
        return Problem(
            args,
            {"kind": kind},
            outputs,
            lambda: {"value": _reference.gaussian_features(*args, kind)},
            lambda: {"value": _plain.gaussian_features(*args, kind)},
        )
    cotangent = rng.standard_normal((len(inputs), 4)).astype(inputs.dtype)
    shapes = {"inputs": inputs.shape, "centers": centers.shape, "beta": beta.shape}
    whole = (inputs, centers, beta, cotangent)
    return Problem(
        whole,
        {"kind": kind},
        tuple(Output(key, shape, inputs.dtype) for key, shape in shapes.items()),
        lambda: dict(zip(shapes, _reference.gaussian_features_vjp(*whole, kind), strict=True)),
        lambda: dict(zip(shapes, _plain.gaussian_features_vjp(*whole, kind), strict=True)),
    )


_LINEAR_OUTPUTS = {
    "linear_cross_entropy": ("loss",),
    "linear_cross_entropy_value_and_grad": ("loss", "inputs", "weight", "bias"),
    "linear_cross_entropy_jvp": ("loss", "loss_tangent"),
    "linear_cross_entropy_hvp": ("hvp_inputs", "hvp_weight", "hvp_bias"),
}


def linear_problem(name: str, case: Case, dtype: str) -> Problem:
    """linear_cross_entropy and its derivatives, on a few features."""
    rows, rng = case.rows(random(case)), random(case)
    number = dtype_named(dtype)
    shapes = {
        "inputs": (len(rows), N_FEATURES),
        "weight": (rows.shape[1], N_FEATURES),
        "bias": (rows.shape[1],),
    }
    inputs, weight, bias = (rng.standard_normal(s).astype(number) for s in shapes.values())
    options = loss_options(case, rows, rows.shape[1], rng)
    target = make_target(case, rows.astype(number), options, rng)
    dphi, dw, db = (rng.standard_normal(s).astype(number) for s in shapes.values())

    @cache
    def truth() -> dict[str, Truth]:
        return _reference.linear_cross_entropy(
            inputs, weight, target, bias, (dphi, dw, db), **options
        )

    def plain() -> dict[str, Array]:
        every = DEFAULTS | options
        return _plain.linear_cross_entropy(inputs, weight, target, bias, (dphi, dw, db), **every)

    def output(key: str) -> Output:
        shape = shapes.get(key.removeprefix("hvp_"), ())
        return Output(key, shape, number) if shape else Output(key, (), number, np.ravel)

    moved = {"tangents": (dphi, dw, db)} if name.endswith(("_jvp", "_hvp")) else {}
    return Problem(
        (inputs, weight, target),
        {"bias": bias, **moved, **options},
        tuple(output(key) for key in _LINEAR_OUTPUTS[name]),
        truth,
        plain,
    )
