"""Two threads beside one, and several callers at once: `python -m benchmarks.threads`.

What a second thread can bring is shown by a copy of as many bytes.
Prints the table, and writes it between the `threads` marks of docs/performance.md.
"""

from __future__ import annotations

import argparse
import threading
from typing import NamedTuple

import numpy as np

import crossent as ce
from crossent.bench import peak_bytes

from .machine import keep_to_two_cores, machine
from .problems import Call
from .render import ROOT, put
from .rounds import take_turns

SHAPES = [(100_000, 100), (16_384, 1000), (1024, 32_768)]
OPERATIONS = ("softmax", "log_softmax", "logsumexp", "copy")
PAGE = ROOT / "docs" / "performance.md"
HEAD = (
    "| operation | shape | 1 thread | 2 threads | as fast | two callers | as fast | memory |",
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
)


class Line(NamedTuple):
    """One operation at one shape: the times of the same work done in three ways, and its memory."""

    operation: str
    shape: tuple[int, int]
    one: float
    two: float
    callers: float  # two Python threads, each calling on one half with one thread of its own
    extra_bytes: int | None

    def __str__(self) -> str:
        shape = "x".join(map(str, self.shape))
        times = (self.one, self.two, self.one / self.two, self.callers, self.one / self.callers)
        one, two, gain, callers, gain_of_callers = times
        memory = "-" if self.extra_bytes is None else f"{self.extra_bytes / 1024:.0f} KiB"
        return (
            f"| {self.operation} | {shape} | {_ms(one)} | {_ms(two)} | {gain:.2f} "
            f"| {_ms(callers)} | {gain_of_callers:.2f} | {memory} |"
        )


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms"


def _work(operation: str, logits: np.ndarray, out: np.ndarray) -> Call:
    if operation == "copy":
        return lambda: np.copyto(out, logits)
    function = getattr(ce, operation)
    return lambda: function(logits, out=out)


def _out(operation: str, logits: np.ndarray) -> np.ndarray:
    return np.empty(len(logits) if operation == "logsumexp" else logits.shape, logits.dtype)


def _with_threads(count: int, call: Call) -> Call:
    def set_and_call() -> None:
        ce.set_num_threads(count)
        call()

    return set_and_call


def _at_once(calls: list[Call]) -> Call:
    """Return the call that makes all of them, each from a thread of Python."""

    def together() -> None:
        others = [threading.Thread(target=call) for call in calls[1:]]
        for other in others:
            other.start()
        calls[0]()
        for other in others:
            other.join()

    return together


def _halves(operation: str, logits: np.ndarray, out: np.ndarray) -> list[Call]:
    middle = len(logits) // 2
    return [_work(operation, logits[half], out[half]) for half in (np.s_[:middle], np.s_[middle:])]


def measure(operation: str, shape: tuple[int, int], rounds: int) -> Line:
    """Return the times of one operation; what the copy takes two threads for is two callers."""
    logits = np.random.default_rng(0).standard_normal(shape, np.float32)
    out = _out(operation, logits)
    whole, halves = _work(operation, logits, out), _at_once(_halves(operation, logits, out))
    calls: dict[str, Call] = {
        "one": _with_threads(1, whole),
        "callers": _with_threads(1, halves),
    }
    if operation != "copy":
        calls["two"] = _with_threads(2, whole)
    for call in calls.values():
        call()
    times = {name: time.seconds for name, time in take_turns(calls, rounds).items()}
    extra = None if operation == "copy" else peak_bytes(calls["two"])
    two = times.get("two", times["callers"])
    return Line(operation, shape, times["one"], two, times["callers"], extra)


def main() -> None:
    """Measure, print and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--no-write", action="store_true", help="leave the page as it is")
    chosen = options.parse_args()
    keep_to_two_cores("benchmarks.threads")
    lines = [*HEAD]
    for shape in SHAPES:
        for operation in OPERATIONS:
            lines.append(str(measure(operation, shape, chosen.rounds)))
            print(lines[-1], flush=True)
    where = machine()
    lines += ["", f"Float32, `out=`, on {where['processor']} ({where['isa']}, {where['date']})."]
    if not chosen.no_write:
        put(PAGE, "threads", lines)


if __name__ == "__main__":
    main()
