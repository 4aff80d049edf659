"""A derivation with numbers, as a plain record: each step exact and in float32, JSON both ways."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any, Self

__all__ = ["MOST_SHOWN", "Derivation", "Float32", "Step"]

MOST_SHOWN = 10  # classes that are written out; of more, these are chosen

Nested = Any  # one value, a tuple of them (a class each), or a tuple of such tuples (a matrix)


@dataclass(frozen=True)
class Float32:
    """Values computed in float32, and how far off each is.

    ``error`` counts in ulp, the distance of two neighbouring float32 numbers at the exact value,
    from what is exact for the inputs as float32 holds them: it is the arithmetic's error alone.
    """

    value: Nested
    error: Nested


@dataclass(frozen=True)
class Step:
    """One line of a derivation.

    Parameters
    ----------
    name : str
        What the step is called in code, as ``"shift"``.
    title, formula : str
        For a reader.
    exact : str, tuple of str or tuple of tuples of str
        Decimal numbers of 25 digits: a scalar, one for each class shown, or a matrix of them.
        ``float`` reads each, where a double reaches that far.
    formula_float32 : Float32
        The formula as it stands, operation by operation in NumPy.
    crossent_float32 : Float32 or None
        The same from crossent's own function, where there is one.
    """

    name: str
    title: str
    formula: str
    exact: Nested
    formula_float32: Float32
    crossent_float32: Float32 | None = None


@dataclass(frozen=True)
class Derivation:
    """Softmax and cross-entropy of one row of logits, step by step.

    ``classes`` are the classes that the steps show: all of them, or the most probable ones and
    those the target asks for.
    """

    logits: tuple[float, ...]
    label: int | None
    targets: tuple[float, ...] | None
    temperature: float
    smoothing: float
    n_classes: int
    classes: tuple[int, ...]
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()

    def step(self, name: str) -> Step:
        """Give the step of that name.

        Raises
        ------
        KeyError
            If there is none.
        """
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(f"no step {name!r}; there are {', '.join(s.name for s in self.steps)}")

    def to_json(self) -> str:
        """Spell the record as JSON; a float32 that is not finite becomes "inf", "-inf", "nan"."""
        return json.dumps(_spelled(asdict(self)), indent=2, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read back what `to_json` gave.

        Raises
        ------
        ValueError
            If the text is not JSON or not such a record.
        """
        content = json.loads(text)
        content = _fields(content, cls)
        content["steps"] = tuple(_step(step) for step in content["steps"])
        for name in ("logits", "targets", "classes", "notes"):
            content[name] = _tuples(content[name])
        return cls(**content)


def _step(content: Any) -> Step:
    content = _fields(content, Step)
    for name in ("formula_float32", "crossent_float32"):
        if content[name] is not None:
            parts = _fields(content[name], Float32)
            content[name] = Float32(**{key: _numbers(part) for key, part in parts.items()})
    content["exact"] = _tuples(content["exact"])
    return Step(**content)


def _fields(content: Any, kind: type) -> dict[str, Any]:
    expected = set(kind.__dataclass_fields__)
    found = set(content) if isinstance(content, dict) else set()
    if found != expected:
        differing = ", ".join(sorted(found ^ expected))
        raise ValueError(f"not the JSON of a {kind.__name__}: see {differing}")
    return dict(content)


def _spelled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _spelled(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(entry) for entry in value) if isinstance(value, list) else value


def _numbers(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_numbers(entry) for entry in value)
    return float(value)
