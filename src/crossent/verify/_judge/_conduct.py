"""How a function behaves, whatever it computes: memory, state, layouts, order, repeated calls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..._typing import Array
from ._compare import Failure, attempt, shown
from ._example import Example
from ._property import Property, floats_of, lacks, recipe, rows_of
from ._recognise import benign
from ._subject import Subject
from ._threads import in_threads
from ._world import kept_random_states, world

_ROUGH = 1e-3  # relative: these comparisons are not about digits
_MAY_REFUSE = ("unaligned", "big-endian")


def _benign(subject: Subject) -> list[Example]:
    return [benign(subject.kind, floats_of(subject)[0])]


def differs(got: Array, expected: Array, same_bits: bool = False) -> tuple[int, ...] | None:
    """The first entry in which two arrays differ; NaN is equal to NaN."""
    if got.shape != expected.shape:
        return ()
    a, b = (np.asarray(x, np.float64) for x in (got, expected))
    with np.errstate(all="ignore"):
        near = a == b if same_bits else np.abs(a - b) <= _ROUGH * (1e-3 + np.abs(b))
    apart = ~(near | (a == b) | (np.isnan(a) & np.isnan(b)))
    if not apart.any():
        return None
    return tuple(int(i) for i in np.argwhere(apart)[0])


def between(
    example: Example, found: dict[str, Array], expected: dict[str, Array], text: str, *,
    same_bits: bool = False,
) -> Failure | None:  # fmt: skip
    """The first difference between two calls' results."""
    for name, wanted in expected.items():
        entry = differs(found[name], wanted, same_bits)
        if entry is None:
            continue
        if found[name].shape != wanted.shape:
            return Failure(example, f"{text}: {name} has shape {found[name].shape}")
        due, got = float(wanted[entry]), float(found[name][entry])
        wished, came = shown(due, got)
        problem = f"{text}: {name} is {came} where {wished} is due"
        return Failure(example, problem, name, entry, due, got)
    return None


def _unchanged(subject: Subject, example: Example) -> Failure | None:
    variables = subject.variables(example)
    before = {name: np.array(subject.framework.back(v)) for name, v in variables.items()}
    subject.call(variables, example)
    for name, kept in before.items():
        after = subject.framework.back(variables[name])
        if after.tobytes() != kept.tobytes():
            return Failure(example, f"the call changed its argument {name}")
    return None


def _own_memory(subject: Subject, example: Example) -> Failure | None:
    variables = subject.variables(example)
    raw = subject.call(variables, example)
    first = subject.named(raw)
    kept = {name: np.array(array) for name, array in first.items()}
    for array in first.values():
        if any(np.shares_memory(array, subject.framework.back(v)) for v in variables.values()):
            return Failure(example, "the result shares memory with an argument")
    other = replace(example, logits=example.logits[::-1] * 2)
    subject.call(subject.variables(other), other)
    again = subject.named(raw)
    return between(example, again, kept, "a later call changed an earlier result", same_bits=True)


def _repeatable(subject: Subject, example: Example) -> Failure | None:
    first = subject.results(example)
    turned = _turned(example)
    between_calls = subject.results(turned)
    again = subject.results(example)
    failure = between(example, again, first, "the same call again", same_bits=True)
    if failure:
        return failure
    back = {name: array[::-1] if array.ndim and len(array) == len(example.logits) else array
            for name, array in between_calls.items() if name != "weight"}  # fmt: skip
    kept = {name: first[name] for name in back}
    return between(example, back, kept, "the rows in another order, after another call")


def _turned(example: Example) -> Example:
    return replace(
        example,
        logits=example.logits[::-1].copy(),
        target=None if example.target is None else example.target[::-1].copy(),
        cotangent=None if example.cotangent is None else example.cotangent[::-1].copy(),
    )


def _no_traces(subject: Subject, example: Example) -> Failure | None:
    """Modes and random states are as before."""
    variables = subject.variables(example)
    with kept_random_states(subject.framework.name), np.errstate():
        before = world(subject.framework.name)
        subject.bare_call(variables, example)
        after = world(subject.framework.name)
    changed = [name for name, value in before.items() if after[name] != value]
    return Failure(example, f"the call changed {' and '.join(changed)}") if changed else None


def _apart(subject: Subject) -> list[Example]:
    rows = [[0.0, 1, 2], [500, 501, 503], [-500, -498, -501]]
    return [rows_of(subject, "rows far from one another", rows, floats_of(subject)[0], [2, 1, 0])]


def _alone(subject: Subject, example: Example) -> Failure | None:
    """Each row gets what it gets alone."""
    return _row_by_row(subject, example, same_bits=False)


def _same_bits(subject: Subject, example: Example) -> Failure | None:
    return _row_by_row(subject, example, same_bits=True)


def _row_by_row(subject: Subject, example: Example, *, same_bits: bool) -> Failure | None:
    together = subject.results(example)
    m = len(example.logits)
    for i in range(m):
        alone = subject.results(example.row(i))
        reduction = subject.options(example.options).get("reduction", "none")
        scale = m if reduction == "mean" else 1
        for name, array in together.items():
            if name == "weight" or not array.ndim or len(array) != m:
                continue
            found, wanted = {name: array[i]}, {name: alone[name][0] / scale}
            text = f"row {i} among {m} rows is not what it is alone"
            failure = between(example, found, wanted, text, same_bits=same_bits)
            if failure:
                return replace(failure, entry=(i, *failure.entry))
    return None


def _many_rows(subject: Subject) -> list[Example]:
    rows = np.random.default_rng(0).standard_normal((9, 33)) * 3
    made = rows_of(subject, "nine rows", rows.tolist(), floats_of(subject)[0], list(range(9)))
    expression = "3 * np.random.default_rng(0).standard_normal((9, 33))"
    if subject.kind.product:
        return [made]
    if "reduction" in subject.words:
        made = replace(made, options={"reduction": "sum"})
    return [replace(made, recipe=recipe(subject.framework.name, expression, made.dtype.name))]


def _no_bits(subject: Subject) -> str:
    if subject.kind.labelled and subject.reduction == "mean" and "reduction" not in subject.words:
        return "it divides by the number of rows"
    return _one_at_a_time(subject)


def _one_at_a_time(subject: Subject) -> str:
    return "it takes one row at a time" if subject.rowwise else ""


def _layouts(subject: Subject) -> list[Example]:
    wide = benign(subject.kind, floats_of(subject)[0])
    return [replace(wide, layout=layout, name=f"layout {layout}")
            for layout in subject.framework.layouts]  # fmt: skip


def _no_layouts(subject: Subject) -> str:
    if subject.lists:
        return "it takes lists"
    return "" if subject.framework.layouts else "its arrays have no strides"


def _as_contiguous(subject: Subject, example: Example) -> Failure | None:
    expected = subject.results(replace(example, layout="C"))
    found = attempt(subject, example)
    if isinstance(found, Failure):
        refused = found.problem.startswith(("raised TypeError", "raised ValueError"))
        return None if refused and example.layout in _MAY_REFUSE else found
    return between(example, found, expected, f"{example.layout} memory")


def _shifts(subject: Subject) -> list[Example]:
    rows = [[0.0, 1.25, -2, 0.5], [3, 3, -1, 2]]
    return [rows_of(subject, "logits to be shifted by 32 and by -32", rows, dtype, [1, 3])
            for dtype in floats_of(subject)]  # fmt: skip


def _shifted(subject: Subject, example: Example) -> Failure | None:
    expected = subject.results(example)
    for shift in (32, -32):
        moved = replace(example, logits=example.logits + example.dtype.type(shift))
        found = subject.results(moved)
        if subject.kind.name == "logsumexp":
            found["value"] = found["value"] - shift
        failure = between(moved, found, expected, f"every logit plus {shift}")
        if failure:
            return failure
    return None


def _saved(subject: Subject) -> str:
    if subject.kind.linear:
        return "a layer's inputs are no logits"
    return "it begins with what the forward pass saved" if subject.kind.product else ""


def _empty(subject: Subject) -> list[Example]:
    dtype = floats_of(subject)[0]
    nothing = benign(subject.kind, dtype)
    return [
        replace(
            nothing,
            name="no rows",
            logits=nothing.logits[:0],
            target=None if nothing.target is None else nothing.target[:0],
            cotangent=None if nothing.cotangent is None else nothing.cotangent[:0],
        )
    ]


def _nothing(subject: Subject, example: Example) -> Failure | None:
    """Empty arrays come back empty, and the loss of no rows is 0 or NaN."""
    found = attempt(subject, example)
    if isinstance(found, Failure):
        return found
    for name, array in found.items():
        if name == "loss" and not array.ndim:
            if not (np.isnan(array) or array == 0):
                return Failure(example, f"the loss of no rows is {float(array):g}, not 0 or NaN")
        elif name != "weight" and (not array.ndim or len(array)):
            return Failure(example, f"{name} of no rows has shape {array.shape}")
    return None


def _no_empty(subject: Subject) -> str:
    if subject.lists:
        return "an empty list has no classes"
    return _one_at_a_time(subject)


def _into(subject: Subject, example: Example) -> Failure | None:
    """`out` receives the result, a new array or the logits themselves."""
    expected = subject.results(example)
    kept = expected["value"]
    for text in ("a new array as out", "the logits as out"):
        variables = subject.variables(example)
        logits = text == "the logits as out"
        if logits and kept.shape != example.logits.shape:
            break
        out = variables["z"] if logits else subject.framework.to(np.zeros_like(kept))
        subject.call(variables, example, **{subject.words["out"]: out})
        found = {"value": subject.framework.back(out)}
        failure = between(example, found, expected, text)
        if failure:
            return failure
    return None


CONDUCT = (
    Property("out", "out receives the result, and may be the logits themselves", _benign, _into,
             lacks("out"), numeric=False),
    Property("input unchanged", "arguments are not written to", _benign, _unchanged,
             lambda s: "" if s.framework.mutable and not s.lists else "its arguments are copies",
             numeric=False),
    Property("aliasing", "a result has memory of its own", _benign, _own_memory,
             lambda s: "" if s.framework.mutable else "its arrays cannot change", numeric=False),
    Property("determinism", "the same call gives the same bits, whatever was called before",
             _benign, _repeatable, numeric=False),
    Property("side effects", "modes and random states are left alone", _benign, _no_traces,
             numeric=False),
    Property("thread safety", "calls from several threads do not meet", _benign, in_threads,
             numeric=False),
    Property("layouts", "strides, order and byte order of the memory do not matter", _layouts,
             _as_contiguous, _no_layouts, numeric=False),
    Property("batch invariance", "a row's result does not depend on the other rows", _apart,
             _alone, _one_at_a_time, numeric=False),
    Property("same bits", "nor do its last bits", _many_rows, _same_bits, _no_bits,
             required=False, numeric=False),
    Property("shift invariance", "a number added to all logits changes no probability", _shifts,
             _shifted, _saved, numeric=False, palette=(0.0, 1.0, -1.0, 2.0, 3.5)),
    Property("empty batch", "no rows are no error", _empty, _nothing, _no_empty, numeric=False),
)  # fmt: skip
