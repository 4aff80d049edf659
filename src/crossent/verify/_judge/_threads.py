"""A function called from several threads that take turns at every line of it."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..._typing import Array
from ._compare import Failure
from ._example import Example
from ._limit import SECONDS
from ._subject import Subject

_THREADS = 4
_CALLS = 4
_TURNS = 100  # lines of a call after which the others get their turn
_PAUSE = 2e-5
_NOT_JUDGED = (str(Path(np.__file__).parent), str(Path(__file__).parent))


def in_threads(subject: Subject, example: Example) -> Failure | None:
    """Compare calls that run at once with the same calls one by one.

    A pause at each line of Python lets the other threads run there, so that a buffer they share is
    found out; code that is compiled is called many times at once.
    """
    examples = [_moved(example, i) for i in range(_THREADS)]
    expected = [_results(subject, e) for e in examples]
    for slowly in (True, False):
        found: list[list[dict[str, Array]]] = [[] for _ in examples]
        errors: list[BaseException] = []
        gate = threading.Barrier(_THREADS)

        def work(i: int, slowly: bool = slowly, found: Any = found, errors: Any = errors,
                 gate: Any = gate) -> None:  # fmt: skip
            gate.wait(SECONDS)
            if slowly:
                sys.settrace(_turns())
            try:
                calls = 1 if slowly else _CALLS
                found[i] += [_results(subject, examples[i]) for _ in range(calls)]
            except Exception as error:
                errors.append(error)
            finally:
                sys.settrace(None)

        threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(_THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
        if any(thread.is_alive() for thread in threads):
            return Failure(example, f"called from {_THREADS} threads, it did not end in time")
        if errors:
            name = type(errors[0]).__name__
            return Failure(
                example, f"called from {_THREADS} threads, it raised {name}: {errors[0]}"
            )
        for at_once, alone in zip(found, expected, strict=True):
            for name, array in alone.items():
                if any(not np.array_equal(r[name], array, equal_nan=True) for r in at_once):
                    return Failure(example, f"{name} is another when threads call at once")
    return None


def _results(subject: Subject, example: Example) -> dict[str, Array]:
    found = subject.named(subject.call(subject.variables(example), example))
    return {name: np.array(array, np.float64) for name, array in found.items()}


def _moved(example: Example, i: int) -> Example:
    return replace(example, logits=np.roll(example.logits, i, axis=1) * (1 + i))


def _turns() -> Any:
    """A tracer that hands over at every line."""
    left = [_TURNS]

    def trace(frame: Any, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename.startswith(_NOT_JUDGED):
            return None
        if left[0] > 0:
            left[0] -= 1
            time.sleep(_PAUSE)
        return trace

    return trace
