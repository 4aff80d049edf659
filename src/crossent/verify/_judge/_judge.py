"""A function taken through every property."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ._calculus import CALCULUS
from ._compare import Failure, worst_error
from ._conduct import CONDUCT
from ._labels import LABEL_PROPERTIES
from ._likeness import likeness
from ._long import LONG
from ._numeric import NUMERIC
from ._options import OPTIONS
from ._program import program_of
from ._property import Property
from ._recognise import recognised
from ._report import ABSENT, FAILED, NOT_JUDGED, NOTED, PASSED, Finding, Report
from ._shrink import SECONDS, checked, searched, shrunk, size
from ._subject import Subject
from ._world import kept_random_states

PROPERTIES: tuple[Property, ...] = (
    *NUMERIC, *LONG, *CALCULUS, *OPTIONS, *LABEL_PROPERTIES, *CONDUCT,
)  # fmt: skip


def judged(
    function: Callable[..., Any],
    *,
    name: str,
    home: str,
    like: str | None = None,
    strict: bool = False,
    only: Iterable[str] | None = None,
) -> Report:
    """The findings on a function, every property's or those of `only`."""
    wanted = None if only is None else set(only)
    unknown = (wanted or set()) - {p.name for p in PROPERTIES}
    if unknown:
        raise ValueError(
            f"no property is called {', '.join(sorted(unknown))}; "
            f"there are {', '.join(p.name for p in PROPERTIES)}"
        )
    with warnings.catch_warnings(), np.errstate(all="ignore"), kept_random_states("numpy"):
        warnings.simplefilter("ignore")
        subject, how = recognised(function, name, home, like)
        findings: list[Finding] = []
        wrong = broken = ""
        for property_ in PROPERTIES:
            if wanted is not None and property_.name not in wanted:
                continue
            unjudged = broken or (wrong if property_.numeric else "")
            finding = _finding(property_, subject, strict, unjudged)
            if finding.status == FAILED and property_.name in ("values", "derivatives"):
                wrong = wrong or f"ordinary {property_.name} are wrong already"
                broken = broken or ("" if finding.output else "ordinary calls fail already")
            findings.append(finding)
        errors = {} if wrong or wanted else _errors(subject)
    return Report(name, subject.kind.name, how, subject.framework.name, tuple(findings), errors)


def _finding(property_: Property, subject: Subject, strict: bool, unjudged: str) -> Finding:
    """One property of the function; not judged for the reason given, if there is one."""
    about = (property_.name, property_.demand, property_.required)
    if unjudged:
        return Finding(*about, NOT_JUDGED, unjudged)
    reason = property_.absent(subject)
    if reason:
        return Finding(*about, ABSENT, reason)
    failure = _failure(property_, subject)
    if failure is None:
        return Finding(*about, PASSED)
    status = FAILED if property_.required or strict else NOTED
    message = failure.problem
    if property_.name in ("values", "derivatives"):
        message += likeness(subject, property_.name)
    lines = program_of(subject, property_.name, failure)
    return Finding(
        *about, status, message, failure.example.name, lines, failure.output, failure.entry,
        failure.expected, failure.got,
    )  # fmt: skip


def _failure(property_: Property, subject: Subject) -> Failure | None:
    """The smallest failing example: of the table, made smaller, or drawn."""
    found: Failure | None = None
    started = time.monotonic()
    for example in property_.table(subject):
        failure = checked(property_, subject, example)
        if failure is not None and (found is None or size(example) < size(found.example)):
            found = failure
        if found is not None and (found.endless or time.monotonic() - started > SECONDS):
            break
    return shrunk(property_, subject, found) if found else searched(property_, subject)


def _errors(subject: Subject) -> dict[tuple[str, str], float]:
    """The worst errors over the table, by output and dtype."""
    found: dict[tuple[str, str], float] = {}
    table = next(p for p in PROPERTIES if p.name == "precision").table
    for example in table(subject):
        for output, ulp in worst_error(subject, example).items():
            key = (output, example.floats.dtype.name)
            found[key] = max(found.get(key, 0.0), ulp)
    return found
