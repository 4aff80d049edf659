"""Calls of the cross-entropy and its derivatives."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from ..._typing import Array
from .. import _plain, _reference
from .._cases import Case, one_row_masked, some
from .._reference import Truth
from ._call import Output, Problem, Shape, entries_of, logits_of, random


@dataclass(eq=False)
class Loss:
    """The canonical arguments of a cross-entropy: rows, target, tangent and options."""

    case: Case
    given: Array
    rows: Array
    shape: Shape
    target: Array
    tangent: Array
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def scalar(self) -> np.dtype[Any]:
        return _plain.compute(self.rows).dtype

    def plain_options(self) -> dict[str, Any]:
        return DEFAULTS | self.options


DEFAULTS: dict[str, Any] = {
    "class_weight": None,
    "sample_weight": None,
    "ignore_index": None,
    "label_smoothing": 0.0,
    "temperature": 1.0,
    "softcap": None,
    "z_loss": 0.0,
    "where": None,
    "reduction": "mean",
    "normalizer": "weight",
    "empty": "nan",
}


def loss_options(
    case: Case, rows: Array, n_weights: int, rng: np.random.Generator
) -> dict[str, Any]:
    """The case's options, with its words turned into arrays."""
    options = dict(case.options)
    if options.get("class_weight") == "some":
        options["class_weight"] = 0.25 + rng.random(n_weights)
    if options.get("sample_weight") == "some":
        options["sample_weight"] = 0.25 + rng.random(len(rows))
        options["sample_weight"][2] = 0
    if "where" in options:
        options["where"] = (some() if options["where"] == "some" else one_row_masked)(rows)
    return options


def make_target(
    case: Case, rows: Array, options: dict[str, Any], rng: np.random.Generator
) -> Array:
    """Labels (M,) or targets (M, K) of the case's kind, on classes that are present and finite."""
    m, k = rows.shape
    usable = np.isfinite(rows.astype(np.float64)) | (m == 0)
    if "where" in options:
        usable = usable & options["where"]
    labels = (rng.random((m, k)) * usable).argmax(axis=1)
    kind = _plain.compute(rows).dtype
    if case.target in ("first", "second"):
        return np.full(m, ("first", "second").index(case.target))
    if case.target in ("ignored", "ignoring"):
        labels[:: 1 if case.target == "ignored" else 3] = options["ignore_index"]
    if case.target == "onehot":
        return np.eye(k, dtype=kind)[labels]
    if case.target not in ("targets", "unnormalised"):
        return labels
    masses = rng.gamma(1.0, size=(m, k)) * usable
    if case.target == "unnormalised":
        masses[0] = 0
        return masses.astype(kind)
    sums = masses.sum(axis=1, keepdims=True)
    return (masses / np.where(sums > 0, sums, 1)).astype(kind)


@cache
def loss_arguments(case: Case, dtype: str) -> Loss:
    """Rows, target, tangent and options of a case, the same for every operation on it."""
    given, rows, shape = logits_of(case, dtype)
    rng = random(case)
    rng.standard_normal(5)
    options = loss_options(case, rows, shape.k, rng)
    target = make_target(case, rows, options, rng)
    tangent = rng.standard_normal(rows.shape).astype(rows.dtype)
    return Loss(case, given, rows, shape, target, tangent, options)


@cache
def _loss_truth(loss: Loss) -> dict[str, Truth]:
    if "many" in loss.case.tags:
        entries = entries_of(loss.case, loss.rows)
        value, gradient = _reference.labelled_loss(loss.rows, loss.target, entries)
        return {"loss": value, "gradient": gradient}
    both = _reference.cross_entropy(loss.rows, loss.target, loss.tangent, **loss.options)
    named = {name: getattr(both, name) for name in ("loss", "gradient", "loss_tangent", "hvp")}
    return {name: value for name, value in named.items() if value is not None}


@cache
def _loss_plain(loss: Loss) -> dict[str, Array]:
    rows, target = loss.rows, loss.target
    found = _plain.cross_entropy(rows, target, loss.tangent, **loss.plain_options())
    entries = entries_of(loss.case, rows)
    return {name: a[:, entries] if a.ndim == 2 else a for name, a in found.items()}


_LOSS_OUTPUTS = {
    "cross_entropy": ("loss",),
    "cross_entropy_value_and_grad": ("loss", "gradient"),
    "cross_entropy_jvp": ("loss", "loss_tangent"),
    "cross_entropy_hvp": ("hvp",),
}


def cross_entropy_problem(name: str, case: Case, dtype: str) -> Problem:
    """cross_entropy and its value_and_grad, jvp and hvp."""
    loss = loss_arguments(case, dtype)
    shape, options = loss.shape, dict(loss.options)
    target = loss.target
    target = shape.public(target) if target.ndim == 2 else target.reshape(shape.batch)
    if "where" in options:
        options["where"] = shape.public(options["where"])
    if "sample_weight" in options:
        options["sample_weight"] = options["sample_weight"].reshape(shape.batch)
    args = (shape.public(loss.given), target)
    if name in ("cross_entropy_jvp", "cross_entropy_hvp"):
        args = (*args, shape.public(loss.tangent))
    outputs = tuple(_loss_output(output, loss) for output in _LOSS_OUTPUTS[name])
    return Problem(
        args,
        {"axis": case.axis, **options},
        outputs,
        lambda: _loss_truth(loss),
        lambda: _loss_plain(loss),
    )


def _loss_output(name: str, loss: Loss) -> Output:
    shape, entries = loss.shape, entries_of(loss.case, loss.rows)
    if name in ("gradient", "hvp"):
        return Output(name, shape.full, loss.rows.dtype, lambda a: shape.rows(a)[:, entries])
    if loss.options.get("reduction") == "none":
        return Output(name, shape.batch, loss.rows.dtype, np.ravel)
    return Output(name, (), loss.scalar, np.ravel)
