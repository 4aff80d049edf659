"""A function to be judged, and how it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..._typing import Array
from ._example import Example, saved_of, weight_of
from ._frameworks import NumPy
from ._kinds import Kind
from ._limit import time_limit

VARIABLES = {"logits": "z", "inputs": "z", "saved": "z", "target": "t", "weight": "w",
             "cotangent": "g"}  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """A function with what was found out about it.

    `order` are the roles of its positional arguments, `keywords` of those it takes by keyword only;
    `words` gives its names for our options. `rowwise` functions take one row, `lists` ones lists.
    `returns` is the order of its outputs, and `reduction` what its loss is unless told otherwise.
    """

    function: Callable[..., Any]
    name: str
    home: str
    kind: Kind
    framework: NumPy
    order: tuple[str, ...]
    keywords: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    returns: tuple[str, ...] = ()
    rowwise: bool = False
    lists: bool = False
    labels: bool = True
    reduction: str = "mean"
    saved: str = ""
    keep: bool = True
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def derivative(self) -> bool:
        """Whether its framework differentiates it."""
        return self.framework.differentiates and self.kind.outputs in (("value",), ("loss",))

    @property
    def outputs(self) -> tuple[str, ...]:
        """What is judged: what it returns, and its derivative."""
        if not self.derivative or self.kind.product:
            return self.kind.outputs
        if self.kind.linear:
            return ("loss", "inputs")
        return (*self.kind.outputs, "gradient")

    def options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The options with the reduction that the function has, for the truth."""
        if not self.kind.labelled:
            return dict(given)
        return {"reduction": self.reduction, **given}

    def arguments(self, example: Example) -> dict[str, Array]:
        """The variables of a call, as the caller's arrays."""
        found: dict[str, Array] = {}
        for role in (*self.order, *self.keywords):
            if role == "saved":
                kept = saved_of(self.kind.name, example, self.saved)
                found["z"] = example.public(kept)
            elif role in ("logits", "inputs"):
                found["z"] = example.public(example.logits)
            elif role == "weight":
                found["w"] = np.array(weight_of(example))
            elif role == "cotangent" and example.cotangent is not None:
                found["g"] = example.public(example.cotangent)
            elif role == "target" and example.target is not None:
                found["t"] = example.public(self.target(example))
        for name in self.words:
            value = example.options.get(name)
            if isinstance(value, np.ndarray):
                by_row = name in ("sample_weight", "where")
                value = example.public(value) if by_row else np.array(value)
                found[name] = value if name != "where" or self.keep else ~value
        return found

    def target(self, example: Example) -> Array:
        """Labels, or one-hot rows for a function that knows no labels."""
        target = example.target
        assert target is not None
        if self.labels or target.ndim == 2:
            return target
        onehot = np.zeros(example.logits.shape, example.floats.dtype)
        onehot[np.arange(len(target)), target] = 1
        return onehot

    def parameters(self, example: Example) -> dict[str, Any]:
        """Keyword arguments: the name of a variable as a `Name`, or a plain value."""
        found: dict[str, Any] = {self.keywords[role]: Name(VARIABLES[role])
                                 for role in self.keywords}  # fmt: skip
        found |= self.fixed
        if "axis" in self.words:
            found[self.words["axis"]] = example.axis
        for name, value in example.options.items():
            if name in self.words:
                is_array = isinstance(value, np.ndarray)
                found[self.words[name]] = Name(name) if is_array else value
        return found

    def call(self, variables: Mapping[str, Any], example: Example, **further: Any) -> Any:
        """The function's own result; NumPy's error handling is as before afterwards."""
        with np.errstate():
            return self.bare_call(variables, example, **further)

    def bare_call(self, variables: Mapping[str, Any], example: Example, **further: Any) -> Any:
        """The function's own result for arguments in its framework."""
        positional = [variables[VARIABLES[role]] for role in self.order]
        by_name = {key: variables[value] if isinstance(value, Name) else value
                   for key, value in self.parameters(example).items()} | further  # fmt: skip
        with time_limit():
            if self.rowwise:
                rows = [[_row(x, i, self.lists) for x in positional]
                        for i in range(len(example.logits))]  # fmt: skip
                return [self.function(*row, **by_name) for row in rows]
            if self.lists:
                positional = [x.tolist() for x in positional]
            return self.function(*positional, **by_name)

    def variables(self, example: Example) -> dict[str, Any]:
        """The variables of a call, in the function's framework and in memory of their own."""
        return {key: self.framework.to(x) for key, x in self.arguments(example).items()}

    def results(self, example: Example, wanted: tuple[str, ...] | None = None) -> dict[str, Array]:
        """The outputs of a call by name; derivatives by the framework's own means are among them.

        `wanted` may leave those out. Raises whatever the function raises, and `Misshapen` for a
        result of another form.
        """
        variables = self.variables(example)
        found = self.named(self.call(variables, example))
        if len(found) < len(self.outputs) and (wanted is None or self.outputs[-1] in wanted):
            slope = self.framework.gradient(
                lambda z: self.number(self.call({**variables, "z": z}, example), example),
                variables["z"],
            )
            found[self.outputs[-1]] = self.framework.back(slope)
        return found

    def number(self, result: Any, example: Example) -> Any:
        """The one number of a result that is differentiated."""
        if self.kind.outputs == ("value",) and self.kind.name != "logsumexp":
            result = result[(slice(None),) * (example.axis % result.ndim) + (0,)]
        return result.sum()

    def named(self, result: Any) -> dict[str, Array]:
        """The arrays of a result by their names."""
        returns = self.returns or self.kind.outputs
        if result is None:
            raise Misshapen("returned None")
        if self.rowwise:
            parts = [_opened(part) for part in result]
            count = len(parts[0]) if parts else len(returns)
            opened = [np.array([self.framework.back(part[i]) for part in parts])
                      for i in range(count)]  # fmt: skip
        elif len(returns) == 1:
            opened = [result]
        else:
            opened = _opened(result)
        if len(opened) < len(returns):
            raise Misshapen(f"returned {len(opened)} results where {len(returns)} were due")
        pairs = zip(returns, opened, strict=False)
        return {name: self.framework.back(part) for name, part in pairs}


class Name(str):
    """The name of a variable."""


class Misshapen(Exception):
    """A result of another form than the kind has."""


def _row(variable: Any, i: int, as_list: bool) -> Any:
    row = variable[i]
    whole = isinstance(row, np.generic) and row.dtype.kind in "iu"
    return row.tolist() if as_list or whole else row


def _opened(result: Any) -> list[Any]:
    """The parts of a result, tuples in tuples opened."""
    if isinstance(result, tuple | list) and not all(isinstance(x, float | int) for x in result):
        return [part for item in result for part in (
            _opened(item) if isinstance(item, tuple) else [item])]  # fmt: skip
    return [result]
