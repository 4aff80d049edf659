"""Memory of the linear layer: what a call adds at its highest, and how many classes fit.

Each figure is measured in a process of its own, as the growth of what the system counts as its
memory: the gradients, which every peer returns, are in it, and so is a library's own allocator.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from crossent.bench import peak_bytes

from . import chunks, peers
from .problems import Problem, arrays
from .run import RESULTS, Row

# How many arrays of the logits' size a peer holds at once; the others work in chunks.
LOGITS_HELD = {"NumPy formula": 4, "torch": 3, "torch.compile": 3, "JAX jit": 3}

TIMES = RESULTS / "linear-times.csv"

LIMIT = 4 << 30  # bytes of the process, of which a step must stay below
STEP = (1024, 64)  # rows and features of that step
_SHARE = 0.8  # of the memory that is available


def available_bytes() -> int:
    """Return how much memory the system could give now."""
    lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("MemAvailable:"))
    return int(line.split()[1]) * 1024


def too_large(problem: Problem, peer: str) -> str:
    """Return why a peer that holds all logits is left out, or nothing."""
    n_samples, _, n_classes = problem.shape
    needed = LOGITS_HELD.get(peer, 0) * n_samples * n_classes * 4
    available = available_bytes()
    if needed <= _SHARE * available:
        return ""
    return f"needs about {needed / 1e9:.0f} GB, of which {available / 1e9:.0f} GB are free"


def peak_row(problem: Problem, adapter: ModuleType) -> Row:
    """Return what one call adds to a fresh process at its highest, the gradients included."""
    row: Row = {"shape": problem.size, "peer": adapter.NAME, "version": adapter.VERSION}
    if note := too_large(problem, adapter.NAME):
        return row | {"note": note}
    chunk = _fastest_chunk(problem, adapter.NAME)
    found = in_own_process("peak", adapter, problem, chunk)
    return row | {"peak_bytes": found.get("bytes", ""), "note": found.get("note", "")}


def _fastest_chunk(problem: Problem, peer: str) -> int:
    """Return the chunk that the table of times found to be the fastest, or the leanest."""
    if TIMES.exists():
        with TIMES.open(newline="") as file:
            for row in csv.DictReader(file):
                if (row["shape"], row["peer"]) == (problem.size, peer) and row["chunk"]:
                    return int(row["chunk"])
    return _leanest_chunk(problem)


def _leanest_chunk(problem: Problem) -> int:
    n_samples, _, _ = problem.shape
    return max(n for n in range(1, min(128, n_samples) + 1) if n_samples % n == 0)


def largest_row(adapter: ModuleType) -> Row:
    """Return the largest number of classes, to 2 %, whose step keeps the process within LIMIT."""
    shape = Problem("linear_cross_entropy", (*STEP, _largest(lambda k: _whole(adapter, k)))).size
    return {"shape": shape, "peer": adapter.NAME, "version": adapter.VERSION, "note": ""}


def _largest(whole: Callable[[int], float]) -> int:
    """Return how many classes fit: memory grows by about as much for each, so a line finds them."""
    fits, fails = 16_000, 32_000
    at_fits, at_fails = whole(fits), whole(fails)
    while at_fails <= LIMIT or fails > 1.02 * fits:
        slope = (at_fails - at_fits) / (fails - fits)
        guess = fits + (LIMIT - at_fits) / slope
        if at_fails <= LIMIT:
            guess = min(max(guess, 1.005 * fails), 4 * fails)
        else:  # just below the guess, then just above
            guess = 0.995 * guess if guess - fits > 0.01 * guess else 1.01 * guess
            guess = min(max(guess, fits + 0.1 * (fails - fits)), fails - 0.1 * (fails - fits))
        found = whole(int(guess))
        if at_fails <= LIMIT:
            fits, at_fits, fails, at_fails = fails, at_fails, int(guess), found
        elif found <= LIMIT:
            fits, at_fits = int(guess), found
        else:
            fails, at_fails = int(guess), found
    return fits


def _whole(adapter: ModuleType, n_classes: int) -> float:
    """Return the memory of a step's process; what fails for want of memory took twice the LIMIT."""
    problem = Problem("linear_cross_entropy", (*STEP, n_classes))
    found = in_own_process("whole", adapter, problem, _leanest_chunk(problem))
    print(f"    {adapter.NAME} {problem.size}: {found}", flush=True)
    return found.get("bytes", 2 * LIMIT)


def in_own_process(what: str, adapter: ModuleType, problem: Problem, chunk: int) -> dict[str, Any]:
    """Return {"bytes": ...} or {"note": why not} from a fresh interpreter."""
    module = adapter.__name__.rpartition(".")[2]
    command = [sys.executable, "-m", "benchmarks.linear_memory", what, module, problem.size]
    known = os.environ | {chunks.GIVEN: str(chunk)}
    done = subprocess.run(command, env=known, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
        return {"note": said[:200]}
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure one call in this process and print what it took."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("what", choices=["peak", "whole"])
    options.add_argument("adapter")
    options.add_argument("shape")
    chosen = options.parse_args()
    (adapter,), _ = peers.load((chosen.adapter,))
    problem = Problem("linear_cross_entropy", tuple(map(int, chosen.shape.split("x"))))
    call = adapter.linear_cross_entropy(problem, arrays(problem))["fresh"]
    grown = peak_bytes(call)
    if grown is None:
        raise SystemExit("this system does not tell how much memory a process had at most")
    whole = int(_status("VmHWM")) * 1024
    print(json.dumps({"bytes": grown if chosen.what == "peak" else whole}))


def _status(field: str) -> str:
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(field))
    return line.split()[1]


if __name__ == "__main__":
    main()
