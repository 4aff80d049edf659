"""The chunk of rows that makes a peer the fastest, found by trying; one may be given instead."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from .problems import Call, Problem

GIVEN = "BENCHMARK_CHUNK"  # an environment variable: a process that measures memory tries nothing

_SIZES = (128, 512, 2048, 8192)
_MOST_BYTES = 2 << 30  # of a chunk's logits


class Chosen:
    """A call, and how many rows its chunk has."""

    def __init__(self, call: Call, rows: int):
        self.call, self.rows = call, rows

    def __call__(self):
        return self.call()


def fastest(problem: Problem, with_chunk: Callable[[int], Call]) -> Chosen:
    """Return the call that was the fastest of one round over the sizes, each called before."""
    sizes = candidates(problem)
    calls = [Chosen(with_chunk(rows), rows) for rows in sizes]
    return calls[0] if len(calls) == 1 else min(calls, key=_second_call)


def candidates(problem: Problem) -> list[int]:
    """Return divisors of the number of rows, next below the sizes that are tried."""
    if given := os.environ.get(GIVEN):
        return [int(given)]
    n_samples, _, n_classes = problem.shape
    divisors = [n for n in range(1, n_samples + 1) if n_samples % n == 0]
    sizes = [size for size in _SIZES if 4 * size * n_classes <= _MOST_BYTES]
    return sorted({max(n for n in divisors if n <= size) for size in sizes or _SIZES[:1]})


def _second_call(call: Call) -> float:
    call()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
