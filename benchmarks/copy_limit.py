"""The limit: two threads that move the bytes an operation must move, and do nothing with them."""

from __future__ import annotations

import functools
import queue
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .problems import Arrays, Call, Calls, Problem

NAME = "copy"
VERSION = np.__version__
LIMIT = True  # it computes nothing: its results are not judged

_ALONE = 1 << 20  # bytes below which a second thread costs more than it moves


class Move(NamedTuple):
    """An array to write (None: nothing is kept) and those to read for it."""

    written: np.ndarray | None
    read: tuple[np.ndarray, ...]


class _Second:
    """A thread that waits for the second half of the work."""

    def __init__(self) -> None:
        self.work: queue.SimpleQueue[Callable[[], Any]] = queue.SimpleQueue()
        self.done: queue.SimpleQueue[None] = queue.SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            self.work.get()()
            self.done.put(None)


@functools.cache
def _second() -> _Second:
    return _Second()


def _move(move: Move) -> None:
    written, read = move
    if written is None:
        np.bitwise_or.reduce(read[0])
    elif not read:
        written.fill(0)
    elif read[0] is written:
        np.invert(written, out=written)
    elif len(read) == 1:
        np.copyto(written, read[0])
    else:
        np.bitwise_or(*read, out=written)


def _words(array: np.ndarray) -> np.ndarray:
    """Return the bytes as the widest words that divide them."""
    width = next(width for width in (8, 4, 2, 1) if array.nbytes % width == 0)
    return array.reshape(-1).view(f"u{width}")


def _part(move: Move, second: bool) -> Move:
    """Return one half of a move; what is read and written in place stays one array."""
    halves: dict[int, np.ndarray] = {}
    for array in (*move.read, move.written):
        if array is not None:
            middle = array.size // 2
            halves[id(array)] = array[middle:] if second else array[:middle]
    written = None if move.written is None else halves[id(move.written)]
    return Move(written, tuple(halves[id(array)] for array in move.read))


def _mover(written: np.ndarray | None, *read: np.ndarray) -> Call:
    """Return the call that reads the arrays and writes the first, on two threads if it is long."""
    words = {id(array): _words(array) for array in (*read, written) if array is not None}
    target = None if written is None else words[id(written)]
    move = Move(target, tuple(words[id(array)] for array in read))
    if sum(array.nbytes for array in words.values()) < _ALONE:
        return lambda: _move(move)
    mine, its = _part(move, second=False), _part(move, second=True)

    second = _second()

    def both() -> None:
        second.work.put(lambda: _move(its))
        _move(mine)
        second.done.get()

    return both


def _calls(like: np.ndarray, *read: np.ndarray) -> Calls:
    """Return the calls that write an array `like` one and read the others."""
    out = np.empty_like(like)
    into = _mover(out, *read)

    def fresh():
        new = np.empty_like(like)
        _mover(new, *read)()
        return new

    return {"fresh": fresh, "out": into}


def softmax(problem: Problem, arrays: Arrays) -> Calls:
    return _calls(arrays["logits"], arrays["logits"])


log_softmax = softmax


def logsumexp(problem: Problem, arrays: Arrays) -> Calls:
    z = arrays["logits"]
    out = np.empty(np.delete(z.shape, problem.axis), z.dtype)
    calls = {mode: _mover(out) for mode in ("fresh", "out")}  # one number a row
    return _with(calls, z)


def softmax_vjp(problem: Problem, arrays: Arrays) -> Calls:
    read = [array for name, array in arrays.items() if name != "cotangent"]
    return _calls(arrays["cotangent"], *read, arrays["cotangent"])


log_softmax_vjp = softmax_vjp


def logsumexp_vjp(problem: Problem, arrays: Arrays) -> Calls:
    return _with(_calls(arrays["logits"], arrays["logits"]), arrays["cotangent"])


def cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    own = arrays["logits"].copy()
    calls = _calls(own, arrays["logits"])
    del calls["out"]
    return _with(calls | {"in place": _mover(own, own)}, arrays["labels"])


def binary_cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    return _calls(arrays["logits"], arrays["logits"], arrays["targets"])


def linear_cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    return {"fresh": _calls(arrays["inputs"], arrays["inputs"])["fresh"]}


def _with(calls: Calls, also_read: np.ndarray) -> Calls:
    """Return the calls with one more array read."""
    read = _mover(None, also_read)
    return {mode: lambda call=call: (call(), read()) for mode, call in calls.items()}
