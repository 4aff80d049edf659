"""Rows of very many classes, judged at some of their entries."""

from __future__ import annotations

import tracemalloc
from functools import lru_cache

import numpy as np

from ..._typing import Array
from .. import _reference
from .._problems._call import dtype_named
from .._reference import Truth
from .._ulp import worst
from ._compare import Failure, attempt, told
from ._example import Example
from ._property import Property, Table, floats_of, recipe
from ._subject import Subject

_SEED_RECIPE = "np.round({scale} * np.random.default_rng(0).standard_normal((1, {k})) * 16) / 16"
_MANY = 100_003
_EQUAL = 70_000  # more than the largest float16
_FEW = 2_000  # enough to see whether memory grows with the square of the classes
_ALLOWED = {"float16": 2.0, "bfloat16": 2.0, "float32": 5.0, "float64": 5.0}


@lru_cache(maxsize=8)
def _rows(dtype: str) -> tuple[Array, str]:
    if dtype in ("float16", "bfloat16"):
        return np.full((1, _EQUAL), 0.5).astype(dtype_named(dtype)), f"np.full((1, {_EQUAL}), 0.5)"
    expression = _SEED_RECIPE.format(scale=3, k=_MANY)
    drawn = np.random.default_rng(0).standard_normal((1, _MANY))
    return (np.round(3 * drawn * 16) / 16).astype(dtype_named(dtype)), expression


@lru_cache(maxsize=32)
def _truth(name: str, dtype: str) -> tuple[Truth, tuple[int, ...]]:
    rows, _ = _rows(dtype)
    places = (0, 1, rows.shape[1] - 1, int(rows[0].argmax()), int(rows[0].argmin()))
    if name == "logsumexp":
        return _reference.logsumexp(rows), places
    return getattr(_reference, name)(rows, None, np.array(places)), places


def _table(*dtypes: str) -> Table:
    def table(subject: Subject) -> list[Example]:
        found = []
        for dtype in floats_of(subject, dtypes):
            rows, expression = _rows(dtype)
            made = recipe(subject.framework.name, expression, dtype)
            found.append(Example(f"{rows.shape[1]} classes", rows, recipe=made))
        return found

    return table


def _check(subject: Subject, example: Example) -> Failure | None:
    dtype = example.dtype.name
    found = attempt(subject, example, (subject.kind.outputs[0],))
    if isinstance(found, Failure):
        return found
    truth, places = _truth(subject.kind.name, dtype)
    name = subject.kind.outputs[0]
    due = (1,) if subject.kind.name == "logsumexp" else example.logits.shape
    result = found[name].astype(example.dtype)
    if result.size != due[-1]:
        return Failure(example, f"{name} has shape {result.shape} where {due} is due")
    result = result.reshape(1, -1)
    rows = result[:, list(places)] if result.shape[1] > 1 else result.ravel()
    off = worst(rows, truth, _ALLOWED[dtype])
    if off.ulp <= off.allowed:
        return None
    entry = (0, places[off.entry[-1]]) if rows.ndim == 2 else off.entry
    problem = told(name, off.ulp, off.allowed, (off.expected, off.got))
    return Failure(example, problem, name, entry, off.expected, off.got, off.ulp)


def _absent(subject: Subject) -> str:
    if subject.kind.name not in ("softmax", "log_softmax", "logsumexp"):
        return "softmax, its logarithm and logsumexp are judged by this"
    return "it takes lists" if subject.lists else _square(subject)


def _square(subject: Subject) -> str:
    """Why a function that makes K x K numbers is not given very many classes; else nothing."""
    traced = tracemalloc.is_tracing()
    tracemalloc.start()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    row = np.zeros((1, _FEW), np.float32)
    attempt(subject, Example(f"{_FEW} classes", row), (subject.kind.outputs[0],))
    peak = tracemalloc.get_traced_memory()[1] - before
    if not traced:
        tracemalloc.stop()
    return "its memory grows with the square of the classes" if peak >= 4 * _FEW**2 else ""


LONG = (
    Property(
        "many classes",
        f"{_MANY} classes cost no digits",
        _table("float32", "float64"),
        _check,
        _absent,
        required=False,
    ),
    Property(
        "sixteen bits",
        f"{_EQUAL} classes in 16 bits are added up in more",
        _table("float16", "bfloat16"),
        _check,
        _absent,
        required=False,
    ),
)
