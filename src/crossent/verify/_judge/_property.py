"""What a property is, and the examples it is judged by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..._typing import Array
from .. import _cases
from .._cases import Case
from .._problems._call import dtype_named, logits_of, random
from .._problems._cross_entropy import loss_arguments
from ._compare import Failure, Measure, compared
from ._example import Example
from ._kinds import Kind
from ._subject import Subject

_PRINTED = 100  # numbers; of more the expression that made them is shown
_SQUARES = 17  # classes of a Jacobian whose truth is soon computed
_WEIGHTS = ("class_weight", "sample_weight")

Check = Callable[[Subject, Example], Failure | None]
Table = Callable[[Subject], Iterable[Example]]


@dataclass(frozen=True, eq=False)
class Property:
    """Something that is asked of a function.

    `demand` says what, `table` its examples and `check` what is wrong with one. `absent` says why
    a function has not got it. What is `required` decides the verdict; the rest is noted. With a
    `palette` further examples are drawn of these logits, of so many `rows` at most. What is not
    `numeric` is judged also where ordinary values are wrong already; one that `shrinks` not has
    examples that are what they are.
    """

    name: str
    demand: str
    table: Table
    check: Check
    absent: Callable[[Subject], str] = lambda subject: ""
    required: bool = True
    palette: tuple[float, ...] = ()
    rows: int = 1
    shrinks: bool = True
    numeric: bool = True


def floats_of(subject: Subject, wanted: Iterable[str] = ("float32", "float64")) -> list[str]:
    """The wanted dtypes that the framework has here."""
    found = []
    for name in wanted:
        try:
            dtype_named(name)
        except ImportError:  # bfloat16 without ml_dtypes
            continue
        if name in subject.framework.dtypes:
            found.append(name)
    return found


def values_of(subject: Subject) -> tuple[str, ...]:
    """The outputs that are no derivatives."""
    if subject.kind.product or subject.kind.outputs == ("gradient",):
        return ()
    return tuple(name for name in subject.outputs if name in ("value", "loss"))


def derivatives_of(subject: Subject) -> tuple[str, ...]:
    """The outputs that are derivatives."""
    return tuple(name for name in subject.outputs if name not in values_of(subject))


def plain_cases(cases: Iterable[Case]) -> list[Case]:
    """Cases of rows by the last axis, contiguous, with some rows."""
    return [
        c for c in cases
        if c.axis == -1 and c.batch is None and c.layout == "C" and "no rows" not in c.name
        and c.name != "a thousand classes"
    ]  # fmt: skip


def example_of(subject: Subject, case: Case, dtype: str) -> Example:
    """A case of the table as an example for this kind of function."""
    kind = subject.kind
    if kind.labelled:
        loss = loss_arguments(case, dtype)
        given, target, options = loss.given, loss.target, _rounded(loss.options, loss.rows)
    else:
        given, target, options = logits_of(case, dtype)[0], None, {}
        if case.where is not None:
            options = {"where": case.where(given)}
    cotangent = None
    if "cotangent" in kind.arguments:
        cotangent = random(case).standard_normal(given.shape).astype(given.dtype)
    expression = ""
    if given.size > _PRINTED and case in ORDINARY and cotangent is None:
        seed = f"[ord(c) for c in {case.name!r}]"
        drawn_so = f"3 * np.random.default_rng({seed}).standard_normal({given.shape})"
        expression = recipe(subject.framework.name, drawn_so, dtype)
    return Example(
        case.name, given, target, options, case.batch, case.axis, case.layout,
        cotangent=cotangent, recipe=expression,
    )  # fmt: skip


def _rounded(options: dict[str, Any], rows: Array) -> dict[str, Any]:
    """The options with weights in the dtype of the logits."""
    weights = {name: options[name].astype(rows.dtype) for name in _WEIGHTS if name in options}
    return {**options, **weights}


def recipe(framework: str, expression: str, dtype: str) -> str:
    """The expression of a framework's array that NumPy makes."""
    if framework == "torch":
        return f"torch.tensor({expression}, dtype=torch.{dtype})"
    return f"jnp.array({expression}, jnp.{dtype})" if framework == "jax" else (
        f"({expression}).astype(np.{dtype})"
    )  # fmt: skip


def from_cases(
    cases: Iterable[Case], dtypes: Iterable[str] = ("float32", "float64")
) -> Callable[[Subject], list[Example]]:
    """Examples of the cases in the dtypes that they and the framework have."""
    cases, dtypes = tuple(cases), tuple(dtypes)

    def table(subject: Subject) -> list[Example]:
        made = [
            example_of(subject, case, dtype)
            for case in cases
            for dtype in floats_of(subject, dtypes)
            if dtype in case.dtypes
        ]
        if subject.kind.name == "softmax_jacobian":
            return [example for example in made if example.logits.shape[1] <= _SQUARES]
        return made

    return table


def rows_of(
    subject: Subject, name: str, rows: Sequence[Sequence[float]], dtype: str, labels: list[int]
) -> Example:
    """An example of these very rows; the labels are for those who take labels."""
    kind = subject.kind
    logits = np.array(rows, np.float64).astype(dtype_named(dtype))
    cotangent = None
    if "cotangent" in kind.arguments:
        cotangent = np.resize([1.0, -0.5, 2.0], logits.shape).astype(logits.dtype)
    target = np.array(labels) if kind.labelled else None
    return Example(name, logits, target, cotangent=cotangent)


def measured(
    measure: Measure, outputs: Callable[[Subject], tuple[str, ...]] | None = None
) -> Check:
    """A comparison with the truth."""

    def check(subject: Subject, example: Example) -> Failure | None:
        return compared(subject, example, measure, outputs(subject) if outputs else None)

    return check


def answered(check: Check) -> Check:
    """A check of rows with one finite logit at least: the others have no probabilities."""

    def answers(subject: Subject, example: Example) -> Failure | None:
        fine = np.isfinite(example.logits).any(axis=1).all()
        return check(subject, example) if fine else None

    return answers


def drawn(property_: Property, subject: Subject, rows: Array, dtype: str, seed: int) -> Example:
    """An example of drawn rows, with labels on finite classes where they are needed."""
    logits = rows.astype(dtype_named(dtype))
    rng = np.random.default_rng(seed)
    usable = np.isfinite(rows)
    labels = (rng.random(rows.shape) * usable).argmax(axis=1)
    made = rows_of(subject, "drawn by hypothesis", rows.tolist(), dtype, labels.tolist())
    return replace(made, logits=logits)


# ------------------------------------------------------------ why a function has not got a property


def lacks(*words: str) -> Callable[[Subject], str]:
    """Not applicable to a function without these options."""

    def absent(subject: Subject) -> str:
        missing = [word for word in words if word not in subject.words]
        return f"it has no {' or '.join(missing)}" if missing else ""

    return absent


def needs_logits(kind: Kind) -> str:
    """Not applicable to what begins with probabilities."""
    return "it begins with what the forward pass saved" if kind.product else ""


def from_logits(subject: Subject) -> str:
    """Not applicable to derivatives given saved results."""
    return needs_logits(subject.kind)


def finite_layer(subject: Subject) -> str:
    """Not applicable to what a linear layer makes NaN of."""
    if subject.kind.linear:
        return "0 times inf in the matrix product is NaN already"
    return from_logits(subject)


def any_absent(*reasons: Callable[[Subject], str]) -> Callable[[Subject], str]:
    """The first reason that holds."""

    def absent(subject: Subject) -> str:
        return next((text for reason in reasons if (text := reason(subject))), "")

    return absent


ORDINARY = plain_cases(_cases.SHAPES)
EXTREME = plain_cases(_cases.VALUES)
