"""Run an implementation through the table of cases and count its errors in ulp."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np

from .._typing import Array
from ._cases import Case
from ._problems import OPERATIONS, Operation, Output, Problem, dtype_named
from ._reference import Truth
from ._ulp import ulp_error, worst

# error <= FACTOR * max(error of the plain formula there, FLOOR) + 1 ulp, entry by entry. The floor
# stands for what no careful formula of these operations does better than: the plain one is
# sometimes exact by luck. Measured: on every floor of kernels, errors are 0.93 of that at most.
FACTOR = 2.0
FLOOR = {"float16": 0.5, "bfloat16": 0.5, "float32": 2.0, "float64": 2.0}


@dataclass(frozen=True)
class Record:
    """One output of one call, judged.

    `ulp` is the worst error of its entries in units in the last place, `bound` what was allowed
    there, `index` where that entry stands among the rows; where entries are beyond their bounds, it
    is the worst of those. `problem` says what was wrong in words, and is empty for an output that
    passed.
    """

    operation: str
    output: str
    dtype: str
    case: str
    ulp: float
    bound: float
    index: tuple[int, ...] = ()
    expected: float = math.nan
    got: float = math.nan
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong."""
        return not self.problem

    def as_dict(self) -> dict[str, Any]:
        """The record as plain values for JSON, a number that is not finite as its name."""
        values = asdict(self) | {"index": list(self.index), "passed": self.passed}
        for name in ("ulp", "bound", "expected", "got"):
            if not math.isfinite(values[name]):
                values[name] = str(values[name])
        return values


def run(
    implementation: Mapping[str, Callable[..., Any]] | object,
    *,
    operations: Iterable[str] | None = None,
    dtypes: Iterable[str] | None = None,
) -> list[Record]:
    """Judge functions by the table of cases against the truth in mpmath.

    error <= 2 max(error of the plain formula in the same precision, floor) + 1 ulp,
    for each entry of each output

    Parameters
    ----------
    implementation : mapping or namespace
        The functions by their names (`softmax`, `cross_entropy_value_and_grad`, ...). Names it
        lacks are not judged.
    operations : iterable of str, optional
        Judge only these. One that the implementation lacks is an error.
    dtypes : iterable of str, optional
        Judge only in these dtypes ("float16", "bfloat16", "float32", "float64", integer names).
        Without the package ml_dtypes there is no bfloat16.

    Returns
    -------
    list of Record
        One for each output of each call.

    Raises
    ------
    ValueError
        For an operation that is not in the table or not in the implementation, and where nothing
        at all is to be judged.

    Examples
    --------
    >>> import numpy as np
    >>> from crossent import verify
    >>> def softmax(logits, *, axis=-1, where=None):
    ...     e = np.exp(logits)  # nothing is subtracted: overflows
    ...     return e / e.sum(axis=axis, keepdims=True)
    >>> with np.errstate(all="ignore"):
    ...     records = verify.run({"softmax": softmax}, dtypes=["float64"])
    >>> [r.got for r in records if r.case == "far apart"]
    [nan]
    """
    judged = _chosen(implementation, operations)
    wanted = None if dtypes is None else set(dtypes)
    return [
        record
        for operation, function in judged
        for case in operation.cases
        for dtype in case.dtypes
        if (wanted is None or dtype in wanted) and _exists(dtype)
        for record in judge(function, operation, case, dtype)
    ]


def _chosen(
    implementation: Mapping[str, Callable[..., Any]] | object, names: Iterable[str] | None
) -> list[tuple[Operation, Callable[..., Any]]]:
    """The operations to judge with their functions."""
    table = {operation.name: operation for operation in OPERATIONS}
    if isinstance(implementation, Mapping):
        functions = dict(implementation)
    else:
        functions = {n: getattr(implementation, n) for n in table if hasattr(implementation, n)}
    wanted = [name for name in table if name in functions] if names is None else list(names)
    for name in wanted:
        if name not in table:
            raise ValueError(f"no operation is called {name!r}; there are {', '.join(table)}")
        if name not in functions:
            raise ValueError(f"the implementation has no function {name!r}")
    if not wanted:
        raise ValueError(f"nothing to judge: expected functions named {', '.join(table)}")
    return [(table[name], functions[name]) for name in wanted]


def _exists(dtype: str) -> bool:
    try:
        dtype_named(dtype)
    except ImportError:
        return False
    return True


def judge(
    function: Callable[..., Any], operation: Operation, case: Case, dtype: str
) -> list[Record]:
    """The records of one call."""
    with np.errstate(all="ignore"):
        problem = operation.problem(case, dtype)
        before = [argument.tobytes() for argument in _arrays(problem)]
        try:
            results = _flat(function(*problem.args, **problem.kwargs))
        except Exception as error:  # whatever a judged function raises is a finding
            text = f"raised {type(error).__name__}: {error}"
            return [_failed(operation, "call", dtype, case, text)]
        if len(results) != len(problem.outputs):
            text = f"returned {len(results)} arrays where {len(problem.outputs)} were due"
            return [_failed(operation, "call", dtype, case, text)]
        records = [
            _compared(result, output, (operation, dtype, case))
            for output, result in zip(problem.outputs, results, strict=True)
        ]
        if [argument.tobytes() for argument in _arrays(problem)] != before:
            records.append(_failed(operation, "call", dtype, case, "changed its arguments"))
        return records


def _arrays(problem: Problem) -> list[Array]:
    values = (*problem.args, *problem.kwargs.values())
    return [value for value in values if isinstance(value, np.ndarray)]


def _flat(result: Any) -> list[Array]:
    """The arrays of a result, with tuples opened."""
    if isinstance(result, tuple):
        return [array for part in result for array in _flat(part)]
    return [np.asarray(result)]


def _failed(operation: Operation, output: str, dtype: str, case: Case, problem: str) -> Record:
    return Record(operation.name, output, dtype, case.name, math.inf, 0.0, problem=problem)


def _compared(result: Array, output: Output, at: tuple[Operation, str, Case]) -> Record:
    """One output against the truth."""
    operation, dtype, case = at
    for what, wanted, came in (
        ("shape", output.shape, result.shape),
        ("dtype", output.dtype, result.dtype),
    ):
        if wanted != came:
            text = f"has {what} {came}, expected {wanted}"
            return _failed(operation, output.name, dtype, case, text)
    found = worst(output.rows(result), *_due(operation, case, dtype)[output.name])
    off = found.ulp > found.allowed
    text = f"{found.ulp:.3g} ulp off where {found.allowed:.3g} are allowed" if off else ""
    return Record(operation.name, output.name, dtype, case.name, *found, problem=text)


@cache
def _due(operation: Operation, case: Case, dtype: str) -> dict[str, tuple[Truth, Array]]:
    """The truth of each output of a call and the errors allowed: the same for whoever is judged."""
    problem = operation.problem(case, dtype)
    truth, plain = problem.truth(), problem.plain()
    names = [output.name for output in problem.outputs]
    return {name: (truth[name], bounds_of(plain[name], truth[name])) for name in names}


def bounds_of(plain: Array, truth: Truth) -> Array:
    """What is allowed each entry: twice the plain formula's error there (or the floor), and 1 ulp.

    Where the plain formula fails outright (inf off) nothing is to be learnt: the floor stands.
    """
    errors = ulp_error(plain, truth)
    learnt = np.where(np.isfinite(errors), errors, 0.0)
    return FACTOR * np.maximum(learnt, FLOOR[plain.dtype.name]) + 1.0
