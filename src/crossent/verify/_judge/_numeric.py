"""The properties that are comparisons with the truth: ordinary values, extremes, edges, dtypes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from .. import _cases
from .._problems._call import dtype_named
from ._compare import Failure, Measure, attempt, compared, edge, fine, gradual, gross, textbook
from ._example import Example
from ._likeness import likeness
from ._property import (
    EXTREME,
    ORDINARY,
    Check,
    Property,
    answered,
    any_absent,
    derivatives_of,
    example_of,
    finite_layer,
    floats_of,
    from_cases,
    from_logits,
    measured,
    plain_cases,
    rows_of,
    values_of,
)
from ._recognise import benign
from ._subject import Subject

_REFUSALS = (TypeError, ValueError, NotImplementedError, RuntimeError)
Rows = Sequence[Sequence[float]]


def _table(
    rows: Mapping[str, Rows], labels: Callable[[Sequence[float]], int]
) -> Callable[[Subject], list[Example]]:
    """One example a row, by dtype."""

    def table(subject: Subject) -> list[Example]:
        return [
            rows_of(subject, f"logits {_few(row)}", [row], dtype, [labels(row)])
            for dtype in floats_of(subject)
            for row in rows[dtype]
        ]

    return table


def _few(row: Sequence[float]) -> str:
    shown = ", ".join(f"{number:g}" for number in row[:4])
    return f"[{shown}{', ...' if len(row) > 4 else ''}]"


def _largest(row: Sequence[float]) -> int:
    return int(np.argmax(row))


def _smallest(row: Sequence[float]) -> int:
    return int(np.argmin(row))


_CONFIDENT = [case for case in EXTREME if case.name.startswith("dominant")]  # what tells most
# Rows where every probability stands (so that its logarithm does), and those that need the maximum.
_NEAR: dict[str, Rows] = {
    "float32": [[1000, 1000], [1000, 990], [89, 88.5], [1e38, 1e38, 1e38], [95] + [0] * 59],
    "float64": [[1000, 1000], [1000, 990], [710, 709.5], [1e300] * 3, [720] + [0] * 59],
}
_FAR: dict[str, Rows] = {
    "float32": [[-1000, -1000], [-1000, -1001], [0, -80], [-1e38, -1e38], [0, -1000]],
    "float64": [[-1000, -1000], [-1000, -1001], [0, -600], [-1e300, -1e300], [0, -1e4]],
}


def _benign_table(subject: Subject) -> list[Example]:
    return [benign(subject.kind, dtype) for dtype in floats_of(subject)]


def _ordinary(subject: Subject) -> list[Example]:
    return [*_benign_table(subject), *from_cases(ORDINARY)(subject)]


def _rounding(measure: Measure) -> Check:
    """A comparison where nothing is gross: what is gross is another property's business."""

    def check(subject: Subject, example: Example) -> Failure | None:
        failure = compared(subject, example, measure)
        return failure if failure and compared(subject, example, gross) is None else None

    return check


def _no_values(subject: Subject) -> str:
    return "" if values_of(subject) else "it returns derivatives alone"


def _no_derivatives(subject: Subject) -> str:
    return "" if derivatives_of(subject) else "it returns no derivative"


def _at_once(subject: Subject, example: Example) -> Failure | None:
    """Rows (M, K) given to what takes single rows: an error, or the right results."""
    together = replace(subject, rowwise=False, reduction="none")
    found = attempt(together, example)
    if isinstance(found, Failure):
        return None
    failure = compared(together, example, gross)
    if failure is None:
        return None
    text = f"right for single rows (K,), but for rows (M, K) {failure.problem}"
    return replace(failure, problem=text + likeness(together, "values"))


def _subnormal_table(subject: Subject) -> list[Example]:
    cases = [case for case in EXTREME if case.name == "subnormal probabilities"]
    rows: dict[str, Rows] = {"float32": [[0.0, -90.0, -100.0]], "float64": [[0.0, -715.0, -740.0]]}
    return [*_table(rows, _largest)(subject), *from_cases(cases)(subject)]


def _no_small_results(subject: Subject) -> str:
    if subject.kind.name in ("log_softmax", "logsumexp") and not subject.derivative:
        return "its results are logarithms"
    if subject.framework.name == "jax":
        return "XLA replaces subnormal numbers by 0 on the CPU in whatever it runs"
    if "gradient" not in subject.outputs and subject.kind.name != "softmax":
        return "its results are logarithms"
    return finite_layer(subject)


def _not_a_float(subject: Subject, example: Example) -> Failure | None:
    found = attempt(subject, example)
    if isinstance(found, Failure):
        return found
    for name, array in found.items():
        if array.dtype.kind not in "fV" and array.dtype.name != "bfloat16":
            return Failure(example, f"{name} has dtype {array.dtype}, which is no float")
        if array.dtype.itemsize < example.dtype.itemsize:
            return Failure(example, f"{name} is {array.dtype} for logits in {example.dtype}")
    return None


def _dtype_table(subject: Subject) -> list[Example]:
    return [benign(subject.kind, d) for d in floats_of(subject, subject.framework.dtypes)
            if dtype_named(d).itemsize > 2]  # fmt: skip


_SMALL_NUMBERS: dict[str, Rows] = {
    "int8": [[100, -100], [127, -128, 0]],
    "uint8": [[3, 2], [200, 0, 100]],
    "int64": [[3, -2, 0]],
}


def _whole_numbers(subject: Subject) -> list[Example]:
    few = [rows_of(subject, f"whole numbers in {dtype}", [row], dtype, [0])
           for dtype, rows in _SMALL_NUMBERS.items() for row in rows]  # fmt: skip
    cases = [example_of(subject, c, d) for c in _cases.WHOLE_NUMBERS for d in c.dtypes]
    return [*few, *cases]


def _whole(subject: Subject, example: Example) -> Failure | None:
    """A refusal is as good as the right result."""
    try:
        subject.call(subject.variables(example), example)
    except _REFUSALS:
        return None
    except BaseException:  # the comparison below reports it
        pass
    failure = compared(subject, example, gross, values_of(subject))
    if failure is None:
        return None
    as_floats = replace(example, logits=example.floats)
    wrong_anyway = compared(subject, as_floats, gross, values_of(subject))
    return None if wrong_anyway else failure


def _named(*names: str) -> Callable[[Subject], list[Example]]:
    return from_cases([case for case in plain_cases(_cases.EDGES) if case.name in names])


NUMERIC = (
    Property(
        "values",
        "ordinary logits have the right values",
        _ordinary,
        measured(gross, values_of),
        _no_values,
        palette=(0.0, 1.0, -1.0, 2.0, 0.5, -3.0, 5.0),
    ),
    Property(
        "derivatives",
        "ordinary logits have the right derivatives",
        _ordinary,
        measured(gross, derivatives_of),
        _no_derivatives,
        palette=(0.0, 1.0, -1.0, 2.0, 0.5, -3.0, 5.0),
    ),
    Property(
        "overflow",
        "logits beyond the range of exp have results",
        _table(_NEAR, _largest),
        measured(gross),
        from_logits,
        palette=(1000.0, 999.0, 995.0, 990.0),
    ),
    Property(
        "underflow",
        "logits far below 0, or below the largest, have results",
        _table(_FAR, _smallest),
        measured(gross),
        from_logits,
        palette=(-1000.0, -1001.0, -104.0, -80.0, 0.0),
    ),
    Property(
        "subnormals",
        "probabilities below the smallest normal number do not become 0",
        _subnormal_table,
        measured(gradual),
        _no_small_results,
    ),
    Property(
        "working precision",
        "rounding errors are those of the logits' dtype",
        from_cases([*ORDINARY, *(c for c in EXTREME if c.name != "subnormal probabilities")]),
        _rounding(textbook),
        palette=(0.0, 0.1, -0.3, 1.7, 5.3, 20.0),
    ),
    Property(
        "precision",
        "no digits are lost where none need be lost",
        from_cases([*_CONFIDENT, *(case for case in ORDINARY + EXTREME if case not in _CONFIDENT)]),
        _rounding(fine),
        lambda subject: "the matrix product rounds first" if subject.kind.linear else "",
        required=False,
        palette=(0.0, 0.1, -0.3, 1.7, 15.0, 20.0, 40.0),
    ),
    Property(
        "rows at once",
        "a function of single rows does not mistake rows (M, K) for one",
        _benign_table,
        _at_once,
        lambda subject: "" if subject.rowwise else "it takes rows (M, K)",
        required=False,
        shrinks=False,
    ),
    Property(
        "NaN",
        "a NaN makes its own row NaN, and no other",
        _named("a NaN"),
        measured(edge),
        finite_layer,
        palette=(0.0, 1.0, float("nan"), -2.0),
        rows=3,
    ),
    Property(
        "minus infinity",
        "a class at -inf has probability 0 and the others their own",
        _named("some -inf"),
        answered(measured(gross)),
        finite_layer,
    ),
    Property(
        "infinities",
        "a row with +inf, or of -inf alone, has no probabilities: NaN; its logsumexp is +inf, -inf",
        _named("all -inf", "a +inf", "NaN and +inf"),
        measured(edge, values_of),
        any_absent(_no_values, finite_layer),
        required=False,
    ),
    Property(
        "dtype",
        "results are floats, no narrower than the logits",
        _dtype_table,
        _not_a_float,
        numeric=False,
    ),
    Property(
        "integers",
        "whole numbers are computed as floats, or refused",
        _whole_numbers,
        _whole,
        any_absent(_no_values, lambda s: "its inputs are floats" if s.kind.linear else ""),
    ),
)
