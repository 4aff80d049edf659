"""One call's worth of data, small enough to print, and its truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from ..._typing import Array
from .. import _plain, _reference
from .._problems._call import Shape, laid_out
from .._problems._cross_entropy import DEFAULTS
from .._reference import Truth, exact, mp, truth
from . import _textbook
from ._kinds import Kind


@dataclass(frozen=True, eq=False)
class Example:
    """Rows of logits (M, K), a target where there is one, options, and how a caller holds them.

    A linear layer takes the logits as its inputs and the unit matrix as its weight, unless `weight`
    is another. `recipe` is the expression that makes logits too many to be printed.
    """

    name: str
    logits: Array
    target: Array | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    batch: tuple[int, ...] | None = None
    axis: int = -1
    layout: str = "C"
    weight: Array | None = None
    cotangent: Array | None = None
    recipe: str = ""

    @property
    def shape(self) -> Shape:
        """How the rows look to a caller."""
        m, k = self.logits.shape
        return Shape((m,) if self.batch is None else self.batch, k, self.axis, self.layout)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The logits' dtype."""
        return self.logits.dtype

    @property
    def floats(self) -> Array:
        """The logits as floats: whole numbers as float64."""
        return self.logits.astype(np.float64) if self.dtype.kind in "iub" else self.logits

    def public(self, array: Array) -> Array:
        """Rows as the caller's array."""
        shape = self.shape
        if array.ndim == 2:
            return shape.public(array)
        return laid_out(array.reshape(shape.batch), "C")

    def row(self, i: int) -> Example:
        """One row alone."""
        options = {k: v[i : i + 1] if _by_row(k, v, self) else v for k, v in self.options.items()}
        return replace(
            self,
            logits=self.logits[i : i + 1],
            target=None if self.target is None else self.target[i : i + 1],
            cotangent=None if self.cotangent is None else self.cotangent[i : i + 1],
            options=options,
        )

    def key(self) -> tuple[Any, ...]:
        """What tells its numbers from others'."""
        arrays = (self.logits, self.target, self.weight, self.cotangent)
        options = tuple((name, _frozen(value)) for name, value in sorted(self.options.items()))
        return (*map(_frozen, arrays), options)


def _by_row(name: str, value: Any, example: Example) -> bool:
    return name in ("sample_weight", "where") and len(value) == len(example.logits)


def _frozen(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    return value


@dataclass(frozen=True)
class Due:
    """What one output should be: its truth, and two yardsticks' errors are measured against it.

    `fine` is the formula without cancellation, `textbook` the one that everybody writes first.
    """

    truth: Truth
    fine: Array
    textbook: Array


class _Question:
    """A kind and an example, equal where the numbers are: what answers are remembered by."""

    def __init__(self, kind: Kind, example: Example, saved: str, derivative: bool) -> None:
        self.kind, self.example, self.saved, self.derivative = kind, example, saved, derivative
        self.key = (kind.name, saved, derivative, example.key())

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Question) and self.key == other.key


def due(kind: Kind, example: Example, saved: str = "", derivative: bool = False) -> dict[str, Due]:
    """The outputs' truth and yardsticks; with `derivative`, the gradient of a value too."""
    return _due(_Question(kind, example, saved, derivative))


@lru_cache(maxsize=20_000)
def _due(question: _Question) -> dict[str, Due]:
    kind, example = question.kind, question.example
    with np.errstate(all="ignore"):
        if kind.linear:
            return _linear(example)
        if kind.labelled:
            return _loss(example)
        if kind.product:
            return {"value": _product(kind.name, example, question.saved)}
        return _softmax(kind.name, example, question.derivative)


def _loss(example: Example) -> dict[str, Due]:
    rows, target = example.floats, example.target
    assert target is not None
    found = _reference.cross_entropy(rows, target, **example.options)
    plain = _plain.cross_entropy(rows, target, **(DEFAULTS | dict(example.options)))
    book = _textbook.cross_entropy(rows, target, example.options) or plain
    return {
        "loss": Due(found.loss, plain["loss"], book["loss"]),
        "gradient": Due(found.gradient, plain["gradient"], book["gradient"]),
    }


def _softmax(name: str, example: Example, derivative: bool) -> dict[str, Due]:
    options = dict(example.options)
    rows, mask, t = example.floats, options.get("where"), options.get("temperature", 1.0)
    scaled = rows if t == 1 else exact(rows) / mp.mpf(t)
    plainly = rows if t == 1 else (rows / t).astype(rows.dtype)
    found = {
        "value": Due(
            getattr(_reference, name)(scaled, mask),
            getattr(_plain, name)(plainly, mask),
            getattr(_textbook, name)(plainly, mask),
        )
    }
    if derivative:
        found["gradient"] = _slope(name, rows)
    return found


def _slope(name: str, rows: Array) -> Due:
    """The gradient of logsumexp, or of the first class's column of a softmax or its logarithm."""
    first = np.zeros(len(rows), int)
    if name == "logsumexp":
        return Due(_reference.softmax(rows), _plain.softmax(rows), _textbook.softmax(rows))
    if name == "log_softmax":  # minus the gradient of the loss of label 0
        options: dict[str, Any] = {"reduction": "sum"}
        value = _reference.cross_entropy(rows, first, **options).gradient.value
        plain = _plain.cross_entropy(rows, first, **(DEFAULTS | options))["gradient"]
        book = _textbook.cross_entropy(rows, first, options)
        assert book is not None
        return Due(truth(-value), -plain, -book["gradient"])
    unit = np.eye(rows.shape[1], dtype=rows.dtype)[first]
    p = _reference.softmax(rows).value
    plain = _plain.softmax_vjp(_plain.softmax(rows), unit)
    return Due(_reference.softmax_vjp(p, unit), plain, plain)


def saved_of(name: str, example: Example, saved: str) -> Array:
    """What the forward pass of the plain formula saved."""
    if saved == "logits":
        return example.logits
    return getattr(_plain, saved)(example.floats)


def _product(name: str, example: Example, saved: str) -> Due:
    kept: Any = saved_of(name, example, saved)
    plain_kept = kept
    if saved == "logits":
        forward = "log_softmax" if name.startswith("log_softmax") else "softmax"
        kept = getattr(_reference, forward)(example.floats).value
        plain_kept = getattr(_plain, forward)(example.floats)
    further = () if example.cotangent is None else (example.cotangent,)
    plain = getattr(_plain, name)(plain_kept, *further)
    return Due(getattr(_reference, name)(kept, *further), plain, plain)


def weight_of(example: Example) -> Array:
    """The weight of a linear layer: the unit matrix where nothing else is said."""
    if example.weight is not None:
        return example.weight
    return np.eye(example.logits.shape[1], dtype=example.dtype)


def _linear(example: Example) -> dict[str, Due]:
    options, target = dict(example.options), example.target
    assert target is not None
    bias, inputs, weight = options.pop("bias", None), example.floats, weight_of(example)
    found = _reference.linear_cross_entropy(inputs, weight, target, bias, **options)
    every = DEFAULTS | options
    still = (np.zeros_like(inputs), np.zeros_like(weight), np.zeros_like(weight[:, 0]))
    plain = _plain.linear_cross_entropy(inputs, weight, target, bias, still, **every)
    book = _textbook.linear_cross_entropy(inputs, weight, target, bias, options) or plain
    return {
        name: Due(found[name], plain[name], book[name]) for name in ("loss", "inputs", "weight")
    }
