"""One call compared with the truth, by one of four measures."""

from __future__ import annotations

import inspect
import math
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..._typing import Array
from .._run import bounds_of
from .._ulp import FORMATS, ulp_error, worst
from ._example import Due, Example, due
from ._limit import OutOfTime
from ._subject import Misshapen, Subject

# What is taken for wrong rather than rough, in ulp: 2e-3 relative in 32 bits and in 64.
_GROSS = {"float16": 32.0, "bfloat16": 16.0, "float32": 2.0**14, "float64": 2.0**43}


@dataclass(frozen=True)
class Failure:
    """What went wrong in one example: in words, and the entry furthest off."""

    example: Example
    problem: str
    output: str = ""
    entry: tuple[int, ...] = ()
    expected: float = math.nan
    got: float = math.nan
    ulp: float = math.inf
    line: str = ""  # of the function's own file, where it raised

    @property
    def compared(self) -> bool:
        """Whether there is an entry to show."""
        return bool(self.output)

    @property
    def endless(self) -> bool:
        """Whether the call did not return in time."""
        return self.problem == str(OutOfTime())


def edge(here: Due, dtype: str) -> Array:
    """Anything but gross errors, and no excuse."""
    return np.full(here.truth.value.shape, _GROSS[dtype])


def gross(here: Due, dtype: str) -> Array:
    """Anything but gross errors; where the textbook formula itself is poor, four times its own."""
    return _flushable(
        np.maximum(_GROSS[dtype], 4 * _error(here.textbook, here, dtype)), here, dtype
    )


def gradual(here: Due, dtype: str) -> Array:
    """What any formula reaches in the same dtype: four times the textbook's error, and rounding.

    A plain sum of K terms is off by K / 2 ulp at most, wherever it begins.
    """
    terms = here.truth.value.size
    basis = 16 + terms / 2 + 4 * np.nan_to_num(_error(here.fine, here, dtype), posinf=0)
    return np.maximum(basis, 4 * _error(here.textbook, here, dtype))


def textbook(here: Due, dtype: str) -> Array:
    """The same, where nothing is said of subnormal numbers."""
    return _flushable(gradual(here, dtype), here, dtype)


def fine(here: Due, dtype: str) -> Array:
    """Twice the error of the formula without cancellation (or its floor), and one ulp."""
    return _flushable(bounds_of(_cast(here.fine, dtype), here.truth), here, dtype)


def _flushable(allowed: Array, here: Due, dtype: str) -> Array:
    """As much as it takes to replace a subnormal number by 0: another property's business."""
    return np.where(_subnormal(here, dtype), np.maximum(allowed, _subnormals(dtype)), allowed)


def _subnormal(here: Due, dtype: str) -> Array:
    smallest = 2.0 ** FORMATS[dtype].smallest
    magnitudes = np.abs(here.truth.value.astype(np.float64))
    return (magnitudes < smallest) & (magnitudes > 0)


def _subnormals(dtype: str) -> float:
    """The ulp between 0 and the smallest normal number."""
    return 2.0 ** (FORMATS[dtype].precision - 1)


Measure = Callable[[Due, str], Array]


def _cast(array: Array, dtype: str) -> Array:
    kind = array.dtype if array.dtype.name == dtype else _numpy_dtype(dtype)
    return array.astype(kind)


def _numpy_dtype(name: str) -> np.dtype[Any]:
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def _error(yardstick: Array, here: Due, dtype: str) -> Array:
    return ulp_error(_cast(yardstick, dtype).reshape(here.truth.value.shape), here.truth)


def attempt(
    subject: Subject, example: Example, outputs: tuple[str, ...] | None = None
) -> dict[str, Array] | Failure:
    """The results of a call (all, or those needed for some outputs), or what prevented them."""
    try:
        return subject.results(example, outputs)
    except (OutOfTime, Misshapen) as error:
        return Failure(example, str(error))
    except (Exception, SystemExit) as error:  # whatever a judged function raises is a finding
        text = f"raised {type(error).__name__}: {first_line(error)}"
        return Failure(example, text, line=line_of(error, subject.function))


def line_of(error: BaseException, function: Callable[..., Any]) -> str:
    """The last line of the function's own file on the way to an error, and where it stands."""
    function = inspect.unwrap(function)
    code = getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
    own = [
        step for step in traceback.extract_tb(error.__traceback__)
        if code is not None and step.filename == code.co_filename
    ]  # fmt: skip
    return f"{own[-1].filename}, line {own[-1].lineno}: {own[-1].line}" if own else ""


def first_line(error: BaseException) -> str:
    """The first line of a message, and not too much of it."""
    line = (str(error).strip().splitlines() or ["(no message)"])[0]
    return line if len(line) <= 160 else f"{line[:157]}..."


def compared(
    subject: Subject, example: Example, measure: Measure, outputs: tuple[str, ...] | None = None
) -> Failure | None:
    """The first output of a call that is beyond its measure."""
    found = attempt(subject, example, outputs)
    if isinstance(found, Failure):
        return found
    truths = truths_of(subject, example)
    for name in outputs or subject.outputs:
        failure = _judged(subject, example, name, (found[name], truths[name], measure))
        if failure:
            return failure
    return None


def truths_of(subject: Subject, example: Example) -> dict[str, Due]:
    """What every output of a call should be."""
    known = {k: v for k, v in example.options.items() if k != "out"}
    asked = example_with(example, subject.options(known))
    derivative = "gradient" in subject.outputs and not subject.kind.labelled
    return due(subject.kind, asked, subject.saved, derivative)


def example_with(example: Example, options: dict[str, Any]) -> Example:
    """The example with other options."""
    return replace(example, options=options)


def as_rows(subject: Subject, example: Example, name: str, result: Array, like: Array) -> Array:
    """A result as the truth's rows; raises `Misshapen` where it has another shape."""
    shape = example.shape
    per_row = (subject.kind.name == "logsumexp" and name == "value") or (
        name == "loss" and subject.options(example.options)["reduction"] == "none"
    )
    if per_row:
        wanted = shape.batch
    elif name == "loss":
        wanted = ()
    elif subject.kind.linear or subject.kind.name == "softmax_jacobian":
        wanted = like.shape
    else:
        wanted = shape.full
    if per_row and result.size == like.size and result.ndim > len(wanted):
        result = result.reshape(wanted)  # with the axis kept
    if result.shape != wanted:
        raise Misshapen(f"{name} has shape {result.shape} where {wanted} is due")
    if wanted == shape.full and like.ndim == 2 and not subject.kind.linear:
        return shape.rows(result)
    return result.reshape(like.shape)


def _judged(
    subject: Subject, example: Example, name: str, at: tuple[Array, Due, Measure]
) -> Failure | None:
    """One output against its truth."""
    result, here, measure = at
    try:
        rows = as_rows(subject, example, name, result, here.truth.value)
    except Misshapen as error:
        return Failure(example, str(error))
    if rows.dtype.kind in "biuO":
        rows = rows.astype(np.float64)
    if rows.dtype.kind == "c":
        return Failure(example, f"{name} is complex")
    dtype = example.floats.dtype.name
    if example.dtype.kind in "biu":  # whole numbers may become any float
        dtype = rows.dtype.newbyteorder("=").name
    rows = _cast(rows, dtype if dtype in FORMATS else "float64")
    if not rows.size:
        return None
    off = worst(rows, here.truth, measure(here, rows.dtype.name))
    if off.ulp <= off.allowed:
        return None
    return Failure(
        example, told(name, off.ulp, off.allowed, (off.expected, off.got)), name, off.entry,
        off.expected, off.got, off.ulp,
    )  # fmt: skip


def told(name: str, ulp: float, allowed: float, pair: tuple[float, float]) -> str:
    """An error in words: in ulp where it is one of rounding, else by the two numbers."""
    if ulp < 1e6:
        return f"{name} is {ulp:.3g} ulp off where {allowed:.3g} are allowed"
    due, came = shown(*pair)
    return f"{name} is {came} where {due} is due"


def shown(expected: float, got: float) -> tuple[str, str]:
    """Two numbers in as many digits as tell them apart."""
    for digits in (6, 9, 17):
        pair = f"{expected:.{digits}g}", f"{got:.{digits}g}"
        if pair[0] != pair[1]:
            break
    return pair


def worst_error(subject: Subject, example: Example) -> dict[str, float]:
    """The largest error of each output in ulp, nothing where the call failed."""
    found = attempt(subject, example)
    if isinstance(found, Failure):
        return {}
    errors = {}
    for name, here in truths_of(subject, example).items():
        if name not in found:
            continue
        try:
            rows = as_rows(subject, example, name, found[name], here.truth.value)
        except Misshapen:
            continue
        dtype = example.floats.dtype.name
        rows = _cast(rows, dtype)
        counted = np.where(_subnormal(here, dtype), 0.0, ulp_error(rows, here.truth))
        errors[name] = float(counted.max(initial=0.0))
    return errors
