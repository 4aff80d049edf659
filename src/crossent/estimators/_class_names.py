"""Class names as JSON and back, of the type they had."""

from __future__ import annotations

import numbers
from itertools import pairwise
from typing import Any

import numpy as np

from .._typing import Array

__all__ = ["decoded", "decoded_names", "encoded", "encoded_names", "is_plain"]

_NUMBERS = {np.dtype(code).name: np.dtype(code) for code in "bBhHiIqQefd"}


def encoded_names(classes: Array) -> dict[str, Any]:
    """Class names as ``{"dtype": "text" | "object" | "bool" | "int64" ..., "names": [...]}``.

    Raises
    ------
    TypeError
        For names that JSON has no word for.
    """
    word = {"U": "text", "O": "object", "b": "bool"}.get(classes.dtype.kind, classes.dtype.name)
    if word not in ("text", "object", "bool", *_NUMBERS):
        raise TypeError(
            f"class names of dtype {classes.dtype} cannot be written to a model file: "
            "use text, integers, bool or floats"
        )
    for name in classes.tolist():
        if not is_plain(name):
            raise TypeError(f"the class name {name!r} cannot be written to a model file: use text")
    return {"dtype": word, "names": [encoded(name) for name in classes.tolist()]}


def decoded_names(stored: dict[str, Any]) -> Array:
    """The class names of `encoded_names`: two at least, of one type, in strictly rising order.

    Raises
    ------
    KeyError, TypeError, ValueError, OverflowError
        For anything else.
    """
    word, names = stored["dtype"], [decoded(name) for name in stored["names"]]
    if word == "object":
        classes = np.empty(len(names), dtype=object)
        classes[:] = names
    elif word in ("text", "bool", *_NUMBERS):
        python_type = {"text": str, "bool": bool}.get(word)
        if python_type is None:
            python_type = float if _NUMBERS[word].kind == "f" else int
        if any(type(name) is not python_type for name in names):
            raise ValueError(f"class names of dtype {word} must be {python_type.__name__}s")
        # Text takes the width of its longest name: a width stored could ask for any memory.
        dtype = {"text": np.dtype(str), "bool": np.dtype(bool)}.get(word)
        classes = np.array(names, dtype=_NUMBERS[word] if dtype is None else dtype)
    else:
        raise ValueError(f"class names of dtype {word!r} are not known")
    kept = classes.tolist()
    if len(kept) < 2 or not all(first < second for first, second in pairwise(kept)):
        raise ValueError("its class names must be two at least, each once, in rising order")
    return classes


def is_plain(value: Any) -> bool:
    """Whether JSON has a word for a single value."""
    plain = (str, bool, np.bool_, numbers.Integral, numbers.Real)
    return value is None or isinstance(value, plain)


def encoded(value: Any) -> Any:
    """Text, bool, integers and finite floats as they are; other floats as {"float": word}."""
    if value is None or isinstance(value, str):
        return None if value is None else str(value)
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    number = float(value)
    return number if np.isfinite(number) else {"float": repr(number)}


def decoded(value: Any) -> Any:
    """The value of `encoded`.

    Raises
    ------
    ValueError
        For a list, or an object that names no float.
    """
    if isinstance(value, dict):
        if value not in ({"float": word} for word in ("nan", "inf", "-inf")):
            raise ValueError(f"{value!r} is no value")
        return float(value["float"])
    if isinstance(value, list):
        raise ValueError("a list stands where one value is expected")
    return value
