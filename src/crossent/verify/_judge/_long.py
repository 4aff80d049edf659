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
_THOUSAND = 1_000
_EQUAL = 70_000  # more than the largest float16
_FEW = 2_000  # enough to see whether memory grows with the square of the classes
_ALLOWED = {"float16": 2.0, "bfloat16": 2.0, "float32": 5.0, "float64": 5.0}
_ROUGHLY = 10_000.0  # ulp: the plain formula is some tens off


@lru_cache(maxsize=8)
def _rows(dtype: str, count: int) -> tuple[Array, str]:
    if dtype in ("float16", "bfloat16"):
        return np.full((1, _EQUAL), 0.5).astype(dtype_named(dtype)), f"np.full((1, {_EQUAL}), 0.5)"
    expression = _SEED_RECIPE.format(scale=3, k=count)
    drawn = np.random.default_rng(0).standard_normal((1, count))
    return (np.round(3 * drawn * 16) / 16).astype(dtype_named(dtype)), expression


@lru_cache(maxsize=32)
def _truth(name: str, dtype: str, count: int) -> tuple[Truth, tuple[int, ...]]:
    rows, _ = _rows(dtype, count)
    places = (0, 1, rows.shape[1] - 1, int(rows[0].argmax()), int(rows[0].argmin()))
    if name == "logsumexp":
        return _reference.logsumexp(rows), places
    return getattr(_reference, name)(rows, None, np.array(places)), places


def _table(count: int, *dtypes: str) -> Table:
    def table(subject: Subject) -> list[Example]:
        found = []
        for dtype in floats_of(subject, dtypes):
            rows, expression = _rows(dtype, count)
            made = recipe(subject.framework.name, expression, dtype)
            found.append(Example(f"{rows.shape[1]} classes", rows, recipe=made))
        return found

    return table


def _check(subject: Subject, example: Example) -> Failure | None:
    return _within(subject, example, _ALLOWED[example.dtype.name])


def _rough_check(subject: Subject, example: Example) -> Failure | None:
    return _within(subject, example, _ROUGHLY)


def _within(subject: Subject, example: Example, allowed: float) -> Failure | None:
    """Why some entries are further off than `allowed` ulp, if they are."""
    dtype = example.dtype.name
    found = attempt(subject, example, (subject.kind.outputs[0],))
    if isinstance(found, Failure):
        return found
    truth, places = _truth(subject.kind.name, dtype, example.logits.shape[1])
    name = subject.kind.outputs[0]
    due = (1,) if subject.kind.name == "logsumexp" else example.logits.shape
    result = found[name].astype(example.dtype)
    if result.size != due[-1]:
        return Failure(example, f"{name} has shape {result.shape} where {due} is due")
    result = result.reshape(1, -1)
    rows = result[:, list(places)] if result.shape[1] > 1 else result.ravel()
    off = worst(rows, truth, allowed)
    if off.ulp <= off.allowed:
        return None
    entry = (0, places[off.entry[-1]]) if rows.ndim == 2 else off.entry
    problem = told(name, off.ulp, off.allowed, (off.expected, off.got))
    return Failure(example, problem, name, entry, off.expected, off.got, off.ulp)


def _other_kind(subject: Subject) -> str:
    judged = subject.kind.name in ("softmax", "log_softmax", "logsumexp")
    return "" if judged else "softmax, its logarithm and logsumexp are judged by this"


def _absent(subject: Subject) -> str:
    return _other_kind(subject) or ("it takes lists" if subject.lists else _square(subject))


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
        "a thousand classes",
        f"{_THOUSAND} classes are all there",
        _table(_THOUSAND, "float32", "float64"),
        _rough_check,
        _other_kind,
    ),
    Property(
        "many classes",
        f"{_MANY} classes cost no digits",
        _table(_MANY, "float32", "float64"),
        _check,
        _absent,
        required=False,
    ),
    Property(
        "sixteen bits",
        f"{_EQUAL} classes in 16 bits are added up in more",
        _table(_EQUAL, "float16", "bfloat16"),
        _check,
        _absent,
        required=False,
    ),
)
