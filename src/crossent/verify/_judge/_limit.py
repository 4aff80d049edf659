"""A limit on how long a judged function may take."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SECONDS = 5.0


class OutOfTime(BaseException):
    """The function did not return in time. No `except Exception` of its own catches it."""

    def __str__(self) -> str:
        return f"did not return within {SECONDS:g} s"


@contextmanager
def time_limit() -> Iterator[None]:
    """Interrupt what runs longer than `SECONDS`.

    By a timer signal: on systems that have one, in the main thread, and where nobody else has set
    it. Elsewhere there is no limit. A loop in C is interrupted when it returns to Python.
    """
    here = threading.current_thread() is threading.main_thread()
    if not here or not hasattr(signal, "setitimer") or signal.getitimer(signal.ITIMER_REAL)[0]:
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
