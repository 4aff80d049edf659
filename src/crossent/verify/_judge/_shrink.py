"""A failing example made small, and failing examples looked for: by hypothesis."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky, NoSuchExample

from ..._typing import Array
from ._compare import Failure
from ._example import Example
from ._property import Property, drawn, floats_of
from ._subject import Subject

SECONDS = 2.0  # for each property: compiled functions are slow to meet new shapes
_DRAWS = 12
_TRIES = 40
_DIGITS = (0, 1, 3, None)  # after the point; None keeps the number


class _Enough(BaseException):
    """The time is up."""


def _settings(count: int) -> settings:
    return settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        phases=(Phase.generate, Phase.shrink),
    )


class _Search:
    """The smallest failure met so far, until the time is up."""

    def __init__(self, property_: Property, subject: Subject, seconds: float) -> None:
        self.property, self.subject = property_, subject
        self.until = time.monotonic() + seconds
        self.best: Failure | None = None

    def fails(self, example: Example | None) -> bool:
        """Whether an example fails in the same way; raises `_Enough` when the time is up."""
        if time.monotonic() > self.until:
            raise _Enough
        if example is None:
            return False
        failure = checked(self.property, self.subject, example)
        if failure is None:
            return False
        if self.best is None or size(failure.example) <= size(self.best.example):
            self.best = failure
        return True

    def run(self, strategy: st.SearchStrategy[Example | None], count: int) -> Failure | None:
        """The best failure found, if any."""
        with suppress(NoSuchExample, Flaky, _Enough):  # flaky: the function keeps state
            find(strategy, self.fails, settings=_settings(count))
        return self.best


def checked(property_: Property, subject: Subject, example: Example) -> Failure | None:
    """What is wrong with one example, errors of the function included."""
    from ._compare import first_line
    from ._limit import OutOfTime
    from ._subject import Misshapen

    try:
        return property_.check(subject, example)
    except (OutOfTime, Misshapen) as error:
        return Failure(example, str(error))
    except (Exception, SystemExit) as error:
        return Failure(example, f"raised {type(error).__name__}: {first_line(error)}")


def size(example: Example) -> tuple[int, int]:
    """How much there is to read in an example."""
    values = example.logits.astype(np.float64)
    return values.size, len(repr(values.tolist()))


def shrunk(property_: Property, subject: Subject, failure: Failure) -> Failure:
    """The same failure with rows and classes left out and numbers rounded, as far as it stands."""
    example = failure.example
    whole = example.batch is not None or example.weight is not None or example.recipe
    if whole or not property_.shrinks or not example.logits.size or failure.endless:
        return failure
    search = _Search(property_, subject, SECONDS)
    search.best = failure
    return search.run(_parts(example), _TRIES) or failure


def searched(property_: Property, subject: Subject) -> Failure | None:
    """A failing example of the property's own logits, and the smallest."""
    if not property_.palette:
        return None
    dtypes = floats_of(subject)
    return _Search(property_, subject, SECONDS).run(_drawn(property_, subject, dtypes), _DRAWS)


@st.composite
def _drawn(
    draw: Callable[..., Any], property_: Property, subject: Subject, dtypes: list[str]
) -> Any:
    m, k = property_.rows, 3  # one shape alone for what is compiled for each
    if subject.framework.name != "jax":
        m, k = draw(st.integers(1, m)), draw(st.integers(2, 4))
    numbers = st.sampled_from(property_.palette)
    rows = [[draw(numbers) for _ in range(k)] for _ in range(m)]
    dtype, seed = draw(st.sampled_from(dtypes)), draw(st.integers(0, 3))
    return drawn(property_, subject, np.array(rows), dtype, seed)


@st.composite
def _parts(draw: Callable[..., Any], example: Example) -> Any:
    m, k = example.logits.shape
    rows = sorted(draw(st.lists(st.integers(0, m - 1), min_size=1, max_size=m, unique=True)))
    classes = sorted(draw(st.lists(st.integers(0, k - 1), min_size=1, max_size=k, unique=True)))
    digits = draw(st.sampled_from(_DIGITS))
    return part_of(example, np.array(rows), np.array(classes), digits)


def part_of(example: Example, rows: Array, classes: Array, digits: int | None) -> Example | None:
    """Some rows and classes of an example; None where a label would be lost."""
    logits = example.logits[np.ix_(rows, classes)]
    if digits is not None and logits.dtype.kind not in "biu":
        logits = np.round(logits.astype(np.float64), digits).astype(
            logits.dtype
        ) + logits.dtype.type(0)
    target = example.target
    if target is not None:
        target = target[rows]
        if target.ndim == 2:
            target = target[:, classes]
        else:
            ignored = target == example.options.get("ignore_index")
            if not np.isin(target[~ignored], classes).all():
                return None
            places = np.searchsorted(classes, target).clip(0, len(classes) - 1)
            target = np.where(ignored, target, places)
    cotangent = None if example.cotangent is None else example.cotangent[np.ix_(rows, classes)]
    cut = {"class_weight": classes, "sample_weight": rows, "where": np.ix_(rows, classes)}
    options = {name: value[cut[name]] if isinstance(value, np.ndarray) else value
               for name, value in example.options.items()}  # fmt: skip
    return replace(example, logits=logits, target=target, cotangent=cotangent, options=options)
