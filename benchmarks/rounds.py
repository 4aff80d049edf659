"""Times of several calls that are fair to compare: their rounds take turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Hashable, Mapping
from typing import NamedTuple, TypeVar

from .problems import Call

Name = TypeVar("Name", bound=Hashable)

SLOW = 1.0  # seconds: a slower call has at most three rounds
VERY_SLOW = 10.0  # and a call slower than this has one


class Time(NamedTuple):
    """The median over the rounds, the fastest of them, and how many there were."""

    seconds: float
    fastest: float
    rounds: int


def take_turns(
    calls: Mapping[Name, Call], rounds: int, round_seconds: float = 0.05
) -> dict[Name, Time]:
    """Return the time of each call; all of them have been called before.

    A round repeats its call for about `round_seconds`. A call that is not timed comes first, unless
    it is slow: the threads that the call before it left spinning have then gone to sleep, and the
    memory that it frees is there again, which a system may otherwise have to fetch from its host.
    """
    found = {name: _repeats(call, round_seconds) for name, call in calls.items()}
    times: dict[Name, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            repeats, first = found[name]
            least = min([first, *times[name]])
            if len(times[name]) < _rounds_of(least, rounds):
                if least <= SLOW:
                    call()
                times[name].append(_seconds(call, repeats))
    return {
        name: Time(statistics.median(taken), min(taken), len(taken))
        for name, taken in times.items()
    }


def _rounds_of(seconds: float, rounds: int) -> int:
    if seconds > VERY_SLOW:
        return 1
    return 3 if seconds > SLOW else rounds


def _seconds(call: Call, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


def _repeats(call: Call, round_seconds: float) -> tuple[int, float]:
    """Return how many calls fill a round, and how long one took.

    Found by doubling, as one short call tells little.
    """
    repeats = 1
    while True:
        seconds = _seconds(call, repeats)
        if seconds * repeats >= round_seconds / 4:
            return max(1, round(round_seconds / seconds)), seconds
        repeats *= 2
