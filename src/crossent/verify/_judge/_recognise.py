"""What a function is and how it is called: by its name, its signature and one benign call."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any, Unpack, get_args, get_origin, get_type_hints

import numpy as np

from ._compare import Failure, attempt, compared, gross
from ._example import Example
from ._frameworks import frameworks_of
from ._kinds import KINDS, OPTION_NAMES, ROLE_NAMES, Kind, kind_named, kinds_by_name
from ._subject import Subject

LOGITS = np.array([[0.5, -1.0, 2.0, 0.25], [1.0, 0.25, -0.5, 1.5], [0.0, 1.5, -2.0, 1.0]])
LABELS = np.array([2, 1, 2])  # with a neighbour on either side
COTANGENT = np.array([[1.0, -0.5, 0.25, 2.0], [0.5, 1.0, -1.0, 0.0], [-1.0, 0.5, 0.5, 1.0]])
WEIGHT = np.array([[1.0, 0.5, -1.0, 0.0], [0.0, 1.0, 0.5, -0.5], [0.5, -1.0, 1.0, 0.25],
                   [-0.5, 0.25, 0.0, 1.0], [0.25, 0.0, 0.5, 0.5]])  # fmt: skip
_NEEDED = {"axis": -1, "temperature": 1.0, "reduction": "mean", "label_smoothing": 0.0,
           "ignore_index": -100, "z_loss": 0.0}  # fmt: skip


class Unrecognised(ValueError):
    """A function of which it cannot be told what it computes, or how it is called."""


@dataclass(frozen=True)
class Reading:
    """A signature read: which parameters are arguments, and which of our options it has."""

    arguments: tuple[str, ...]  # without a default, by position
    by_keyword: tuple[str, ...]  # without a default, by keyword only
    words: Mapping[str, str]
    fixed: Mapping[str, Any]


def benign(kind: Kind, dtype: str = "float32") -> Example:
    """Three ordinary rows of four classes."""
    number = np.dtype(dtype)
    return Example(
        "three ordinary rows",
        LOGITS.astype(number),
        LABELS if kind.labelled else None,
        weight=WEIGHT.astype(number) if kind.linear else None,
        cotangent=COTANGENT.astype(number) if "cotangent" in kind.arguments else None,
    )


def recognised(
    function: Callable[..., Any], name: str, home: str, like: str | None = None
) -> tuple[Subject, str]:
    """The function as something to be judged, and how that was found out.

    Raises `Unrecognised` where neither name nor benign call tell what it computes.
    """
    named = kind_named(like) if like else _kind_of_name(function, name, home)
    told = [named] if named else []
    kinds = told if like else [*told, *(k for k in KINDS.values() if k is not named)]
    best: Subject | None = None
    first: Mapping[str, Any] | Failure | None = None  # what came of the likeliest call
    for kind in kinds:
        for subject in _styles(function, (name, home), kind):
            example = benign(kind)
            found = attempt(subject, example)
            first = found if first is None else first
            if isinstance(found, Failure):
                if found.endless:
                    return subject, _how(kind, named, like)
                continue
            if compared(subject, example, gross) is None:
                return _of_lists(_with_mask(subject, example), example), _how(kind, named, like)
            if best is None and kind is named and _due_shapes(subject, example):
                best = subject
    if best is not None:
        return best, _how(best.kind, named, like)
    if named is not None:
        return _first(function, (name, home), named), _how(named, named, like)
    why = "neither its name nor its results for three ordinary rows say so"
    if isinstance(first, Failure):
        at = f" ({first.line})" if first.line else ""
        why = f"its name does not say so, and with three ordinary rows it {first.problem}{at}"
    raise Unrecognised(
        f"cannot tell what {name} computes: {why}; name one of {', '.join(KINDS)}, or judge a few "
        "lines around it that take (logits) or (logits, labels)"
    )


def _kind_of_name(function: Callable[..., Any], name: str, home: str) -> Kind | None:
    """The first kind that the name speaks of and that takes as many arguments."""
    kinds = kinds_by_name(name)
    fitting = (k for k in kinds if next(_styles(function, (name, home), k), None))
    return next(fitting, kinds[0] if kinds else None)


def _with_mask(subject: Subject, example: Example) -> Subject:
    """The function with a mask of what goes, where that is what it takes, not of what stays."""
    stays = np.ones(example.logits.shape, bool)
    stays[:, 0] = False
    masked = replace(example, options={"where": stays})
    turned = replace(subject, keep=False)
    if (
        "where" not in subject.words
        or compared(subject, masked, gross, subject.kind.outputs) is None
    ):
        return subject
    return subject if compared(turned, masked, gross, subject.kind.outputs) else turned


def _of_lists(subject: Subject, example: Example) -> Subject:
    """A function of one row that answers an array with Python's own numbers takes a list."""
    if not subject.rowwise or subject.lists:
        return subject
    turned = replace(subject, lists=True)
    numbers = subject.call(subject.variables(example), example)[0]
    while type(numbers) in (list, tuple) and numbers:
        numbers = numbers[0]
    own = type(numbers) is float
    return turned if own and compared(turned, example, gross) is None else subject


def _how(kind: Kind, named: Kind | None, like: str | None) -> str:
    if like:
        return "as asked"
    return "by its name" if kind is named else "by its results for three ordinary rows"


def _due_shapes(subject: Subject, example: Example) -> bool:
    """Whether the results have their shapes, however wrong they are."""
    failure = compared(subject, example, lambda here, _: np.full(here.truth.value.shape, np.inf))
    return failure is None or failure.compared


def _first(function: Callable[..., Any], at: tuple[str, str], kind: Kind) -> Subject:
    """The likeliest style of a function that returns nothing sensible at all."""
    for subject in _styles(function, at, kind):
        return subject
    raise Unrecognised(
        f"{at[0]} does not take what a {kind.name} takes ({', '.join(kind.arguments)}); "
        "judge a few lines around it that do"
    )


def _styles(function: Callable[..., Any], at: tuple[str, str], kind: Kind) -> Iterator[Subject]:
    """The ways in which a function of a kind may be called, the usual ones first."""
    bases = [
        Subject(function, *at, kind, framework, order, keywords, reading.words, fixed=reading.fixed)
        for reading in _readings(function, kind)
        for framework in frameworks_of(function)
        for order, keywords in _orders(reading, kind)
    ]
    for base in bases:
        yield from _variants(base)
    for base in bases:
        if not kind.linear and base.framework.name == "numpy":
            yield from _unusual(base)


def _variants(base: Subject) -> Iterator[Subject]:
    """Forms of target, reductions, orders of outputs."""
    for form in _forms(base):
        yield replace(base, **form)


def _unusual(base: Subject) -> Iterator[Subject]:
    """Lists in the place of arrays, and one row at a time."""
    forms = _forms(base)
    yield from (replace(base, **form, lists=True) for form in forms)
    words = {name: theirs for name, theirs in base.words.items() if name != "axis"}
    for form in forms:
        if form.get("reduction", "none") == "none" and base.kind.name != "softmax_jacobian":
            for lists in (False, True):
                yield replace(base, **form, words=words, rowwise=True, lists=lists)


def _forms(base: Subject) -> list[dict[str, Any]]:
    kind = base.kind
    forms: list[dict[str, Any]] = [{}]
    if kind.labelled:
        forms = [{"labels": labels, "reduction": reduction}
                 for labels in (True, False) for reduction in ("mean", "sum", "none")]  # fmt: skip
    if kind.product:
        own = "log_softmax" if kind.name.startswith("log") else "softmax"
        forms = [{"saved": saved} for saved in (own, "logits")]
    if len(kind.outputs) == 2:
        forms = [{**form, "returns": returns} for form in forms
                 for returns in permutations(kind.outputs)]  # fmt: skip
    return forms


def _readings(function: Callable[..., Any], kind: Kind) -> Iterator[Reading]:
    """How a signature may be read; without one, the kind's arguments and a guess at an axis."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        for words in ({"axis": "dim"}, {"axis": "axis"}, {}):
            yield Reading(tuple(kind.arguments), (), words, {})
        return
    words = dict(_words(parameters, kind, _unpacked(function)))
    arguments, by_keyword = [], []
    fixed: dict[str, Any] = {}
    for p in parameters:
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            if p.kind is p.VAR_POSITIONAL and not arguments:
                arguments = list(kind.arguments)
            continue
        option = next((ours for ours, theirs in words.items() if theirs == p.name), None)
        if option is not None:
            if p.default is p.empty and option in _NEEDED:
                fixed[p.name] = _NEEDED[option]
            continue
        if p.kind is p.KEYWORD_ONLY:
            if p.default is p.empty:
                by_keyword.append(p.name)
        elif p.default is p.empty or len(arguments) < len(kind.arguments) - len(by_keyword):
            arguments.append(p.name)
    yield Reading(tuple(arguments), tuple(by_keyword), words, fixed)
    if "axis" in words and words["axis"] not in fixed:
        yield Reading(
            tuple(arguments), tuple(by_keyword), {k: v for k, v in words.items() if k != "axis"}, {}
        )


def _unpacked(function: Callable[..., Any]) -> list[str]:
    """The names that `**options: Unpack[SomeTypedDict]` stands for."""
    try:
        hints = get_type_hints(function)
    except Exception:  # annotations that cannot be read say nothing
        return []
    return [
        name
        for hint in hints.values()
        if get_origin(hint) is Unpack
        for name in get_type_hints(get_args(hint)[0])
    ]


def _words(parameters: Any, kind: Kind, further: list[str]) -> Iterator[tuple[str, str]]:
    """Our options by the function's own names."""
    names = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    names += further
    required = {p.name for p in parameters if p.default is p.empty}
    softmax = kind.name in ("softmax", "log_softmax", "logsumexp")
    for option, theirs in OPTION_NAMES.items():
        if option == "bias" and not kind.linear:
            continue
        if option in ("out", "where", "temperature", "axis"):
            if (option == "out" and not softmax) or (option != "axis" and kind.product):
                continue
            if option == "axis" and kind.linear:
                continue
        elif not kind.labelled and option != "bias":
            continue
        for name in theirs:
            if name in names and not (name == "weight" and kind.linear and name in required):
                yield option, name
                break


def _orders(reading: Reading, kind: Kind) -> Iterator[tuple[tuple[str, ...], dict[str, str]]]:
    """Which argument is what: as the names say, else every order that there is."""
    count = len(reading.arguments) + len(reading.by_keyword)
    if count != len(kind.arguments):
        return
    named = tuple(_role(name, kind) for name in reading.arguments)
    keywords = {_role(name, kind): name for name in reading.by_keyword}
    if len({*named, *keywords} - {""}) == count:
        yield named, keywords
    if keywords:
        return
    for order in permutations(kind.arguments):
        if order != named:
            yield order, {}


def _role(name: str, kind: Kind) -> str:
    lowered = name.lower() if len(name) > 1 else name
    for role in sorted(kind.arguments, key=list(ROLE_NAMES).index):
        if lowered in ROLE_NAMES[role] or (lowered.startswith(role) and len(lowered) > 1):
            return role
    return ""
