"""The properties of options, which only those functions have that offer them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from .. import _cases
from .._cases import Case, normal
from ._compare import Failure, attempt, compared, edge, gross
from ._example import Example
from ._property import (
    Property,
    answered,
    any_absent,
    example_of,
    floats_of,
    from_cases,
    from_logits,
    lacks,
    measured,
    values_of,
)
from ._recognise import LABELS, benign
from ._subject import Subject

_ALL_DTYPES = ("float32", "float64")


def takes_targets(subject: Subject) -> bool:
    """Whether one-hot rows in the place of labels are understood."""
    if not subject.kind.labelled:
        return False
    if not subject.labels:
        return True
    example = benign(subject.kind)
    onehot = np.eye(example.logits.shape[1], dtype=example.dtype)[LABELS]
    return compared(subject, replace(example, target=onehot), gross) is None


def _no_targets(subject: Subject) -> str:
    if not subject.kind.labelled:
        return "it takes no labels"
    return "" if takes_targets(subject) else "it takes labels, no probabilities"


def no_labels(subject: Subject) -> str:
    if not subject.kind.labelled:
        return "it takes no labels"
    return "" if subject.labels else "it takes one-hot rows, no labels"


_SOFT = [
    Case("one-hot rows", normal(3, 4), target="onehot"),
    Case("probabilities", normal(3, 4), target="targets"),
    Case("rows of any sum", normal(4, 3), target="unnormalised"),
]
_CERTAIN = [
    Case(case.name, case.rows, target="onehot") for case in _cases.EDGES if case.name == "some -inf"
]


def _with(word: str, cases: Iterable[Case]) -> Callable[[Subject], list[Example]]:
    """The examples whose options the function has, all of them."""
    found = [case for case in cases if word in case.options]

    def table(subject: Subject) -> list[Example]:
        return [
            example_of(subject, case, dtype)
            for case in found
            if set(case.options) <= set(subject.words)
            for dtype in floats_of(subject, _ALL_DTYPES)
        ]

    return table


_LOSS_CASES = [
    Case(f"{name}, labels", normal(6, 5, 2), target="labels", options=options)
    for name, options in _cases.OPTIONS
]
_IGNORING = [Case(name, normal(6, 5), target="ignoring", options=o) for name, o in _cases.IGNORED]
_ALL_IGNORED = [
    Case("all rows ignored", normal(3, 4), target="ignored", options={"ignore_index": -100})
]
_MASKED = [case for case in _cases.MASKS if case.name == "masked"]
_MASKED_EDGES = [case for case in _cases.MASKS if case.name not in ("masked", "masked, axis 0")]


def _temperatures(subject: Subject) -> list[Example]:
    if subject.kind.labelled:
        return _with("temperature", _LOSS_CASES)(subject)
    return [
        replace(benign(subject.kind, dtype), options={"temperature": t}, name=f"temperature {t:g}")
        for t in (2.0, 0.5)
        for dtype in floats_of(subject)
    ]


def _masks(subject: Subject) -> list[Example]:
    if subject.kind.labelled:
        return _with("where", _LOSS_CASES)(subject)
    return from_cases(_MASKED)(subject)


def _unoptioned(subject: Subject, example: Example) -> Failure | None:
    """The losses' derivatives know the options; those of the softmax family stand without them."""
    return compared(subject, example, gross, None if subject.kind.labelled else values_of(subject))


def _weighted(subject: Subject, example: Example) -> Failure | None:
    """Means divide by the weights in use; by the count of rows is another meaning, as good."""
    failure = compared(subject, example, gross)
    reduction = subject.options(example.options).get("reduction")
    if failure is None or reduction != "mean":
        return failure
    asked = {**example.options, "reduction": "mean"}
    count = float(len(example.logits))
    other = replace(example, options={**asked, "normalizer": count})
    return failure if compared(subject, other, gross) else None


def _counted(subject: Subject, example: Example) -> Failure | None:
    """Rows of which some are ignored and some are not."""
    left = (example.target != example.options["ignore_index"]).any()
    return compared(subject, example, gross) if left else None


def _nothing_left(subject: Subject, example: Example) -> Failure | None:
    """Loss and gradient are 0 both, or NaN both."""
    found = attempt(subject, example)
    if isinstance(found, Failure):
        return found
    kept = {"0" if not array.any() else "NaN" if np.isnan(array).all() else "something else"
            for array in found.values()}  # fmt: skip
    if len(kept) == 1 and "something else" not in kept:
        return None
    shown = ", ".join(f"{name} {array.ravel()[:3].tolist()}" for name, array in found.items())
    return Failure(example, f"all rows are ignored and the policy is not one: {shown}")


def _axis_cases(subject: Subject) -> list[Example]:
    cases = (
        Case("axis 0", normal(3, 2), axis=0),
        Case("axis in the middle", normal(4, 3), batch=(2, 2), axis=1),
        Case("two batch dimensions", normal(4, 3), batch=(2, 2)),
        Case("axis -3", normal(4, 3), batch=(2, 2), axis=-3),
        Case("one dimension", normal(1, 3), batch=()),
    )
    return from_cases(cases)(subject)


OPTIONS = (
    Property(
        "axes",
        "the classes may stand at any axis",
        _axis_cases,
        measured(gross),
        lacks("axis"),
    ),
    Property("masks", "masked classes are absent", _masks, _unoptioned, lacks("where")),
    Property(
        "masks at the edges",
        "what is masked may be NaN or inf; a row wholly masked is 0, its logsumexp -inf",
        from_cases(_MASKED_EDGES),
        measured(edge, values_of),
        any_absent(
            lacks("where"),
            from_logits,
            lambda s: "the options say nothing of it" if s.kind.labelled else "",
        ),
        required=False,
    ),
    Property(
        "temperature",
        "logits are divided by the temperature before anything else",
        _temperatures,
        _unoptioned,
        lacks("temperature"),
    ),
    Property(
        "targets",
        "targets may be probabilities of any sum: the gradient is s p - y",
        from_cases(_SOFT),
        measured(gross),
        _no_targets,
    ),
    Property(
        "certain targets",
        "a target of 0 at a logit of -inf adds 0",
        from_cases(_CERTAIN),
        answered(measured(gross)),
        any_absent(
            _no_targets, lambda s: "the layer is NaN already" if s.kind.linear else ""
        ),
    ),
    Property(
        "reduction",
        "none, sum and mean are what they say, for loss and gradient",
        lambda s: [replace(benign(s.kind, d), options={"reduction": r}, name=f"reduction {r}")
                   for r in ("none", "sum", "mean") for d in floats_of(s)
                   if not (s.kind.linear and r == "none")],
        measured(gross),
        lacks("reduction"),
    ),
    Property(
        "label smoothing",
        "targets are smoothed over all classes",
        _with("label_smoothing", _LOSS_CASES),
        _weighted,
        lacks("label_smoothing"),
    ),
    Property(
        "class weights",
        "each class's loss is multiplied by its weight",
        _with("class_weight", _LOSS_CASES),
        _weighted,
        lacks("class_weight"),
    ),
    Property(
        "sample weights",
        "each row's loss is multiplied by its weight",
        _with("sample_weight", _LOSS_CASES),
        _weighted,
        lacks("sample_weight"),
    ),
    Property(
        "softcap", "c tanh(z / c)", _with("softcap", _LOSS_CASES), measured(gross), lacks("softcap")
    ),
    Property(
        "z-loss",
        "zeta lse^2 is added",
        _with("z_loss", _LOSS_CASES),
        _weighted,
        lacks("z_loss"),
    ),
    Property(
        "ignored labels",
        "ignored rows add nothing and are not counted",
        _with("ignore_index", _IGNORING),
        _counted,
        lacks("ignore_index"),
    ),
    Property(
        "nothing left",
        "a mean over no rows is one policy for loss and gradient",
        _with("ignore_index", _ALL_IGNORED),
        _nothing_left,
        lacks("ignore_index"),
        required=False,
    ),
)  # fmt: skip
