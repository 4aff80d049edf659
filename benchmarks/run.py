"""Run every problem on every peer, in one process, their rounds taking turns: `make bench`.

A peer whose result is wrong gets no time. Each row of the table says on what it was measured;
compare times within one problem only.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import os
import pathlib
import platform
from types import ModuleType
from typing import Any

import numpy as np

import crossent as ce
from crossent.bench import measure_together

from . import import_time
from .problems import PROBLEMS, Arrays, Problem, arrays

ADAPTERS = ("crossent_adapter", "numpy_formula", "scipy_adapter")
RESULTS = pathlib.Path(__file__).parent / "results" / "operations.csv"
LARGEST_ERROR = {"float32": 1e-4, "float64": 1e-12}  # of the largest entry: wrong, not inexact

Row = dict[str, Any]


def load_adapters() -> list[ModuleType]:
    """Return the adapters whose library is installed, and say which are not."""
    adapters = []
    for name in ADAPTERS:
        try:
            adapters.append(importlib.import_module(f".{name}", __package__))
        except ModuleNotFoundError as missing:
            print(f"without {name}: {missing.name} is not installed")
    return adapters


def processor() -> str:
    """Return the processor's name as the system gives it."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def machine() -> Row:
    """Return what every row says about where it was measured."""
    info = ce.build_info()
    return {
        "kernels": info["kernels"],
        "isa": info["isa"],
        "threads": info["threads"],
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def truth(problem: Problem, data: Arrays) -> tuple[np.ndarray, ...]:
    """Return the operation's results by its formula in float64."""
    formula = importlib.import_module(".numpy_formula", __package__)
    exact = {k: a.astype(np.float64) if a.dtype.kind == "f" else a for k, a in data.items()}
    return as_tuple(getattr(formula, problem.operation)(exact)())


def as_tuple(result: Any) -> tuple[np.ndarray, ...]:
    return tuple(map(np.asarray, result if isinstance(result, tuple) else (result,)))


def error(result: Any, exact: tuple[np.ndarray, ...]) -> float:
    """Return the largest difference, as a fraction of the largest entry of what is right."""
    pairs = zip(as_tuple(result), exact, strict=True)
    return max(float(np.max(np.abs(got - right)) / np.max(np.abs(right))) for got, right in pairs)


def rows_of(problem: Problem, adapters: list[ModuleType], rounds: int) -> list[Row]:
    """Measure one problem on every peer that has its operation and gets it right."""
    data = arrays(problem)
    exact = truth(problem, data)
    peers = [adapter for adapter in adapters if hasattr(adapter, problem.operation)]
    calls = {peer.NAME: getattr(peer, problem.operation)(data) for peer in peers}
    errors = {name: error(call(), exact) for name, call in calls.items()}
    for name in [name for name in calls if not errors[name] <= LARGEST_ERROR[problem.dtype]]:
        print(f"{problem}: {name} is wrong by {errors[name]:.1e}, so it gets no time")
        del calls[name]
    del exact
    measured = measure_together(calls, rounds=rounds)
    ours = measured["crossent"].seconds
    return [
        {
            "operation": problem.operation,
            "shape": "x".join(map(str, problem.shape)),
            "dtype": problem.dtype,
            "peer": peer.NAME,
            "version": peer.VERSION,
            "seconds": f"{measured[peer.NAME].seconds:.4g}",
            "times_crossent": f"{measured[peer.NAME].seconds / ours:.2f}",
            "peak_bytes": measured[peer.NAME].peak_bytes,
            "error": f"{errors[peer.NAME]:.1e}",
        }
        for peer in peers
        if peer.NAME in measured
    ]


def import_row() -> Row:
    """Measure the import; the peer is NumPy's own, which every user pays anyway."""
    seconds = import_time.seconds_beyond_numpy()
    print(f"import beyond NumPy's own: {seconds:.3f} s (limit {import_time.LIMIT} s)")
    return {
        "operation": "import",
        "peer": "crossent",
        "version": ce.build_info()["version"],
        "seconds": f"{seconds:.4g}",
    }


def show(row: Row) -> None:
    """Print one row for people."""
    milliseconds = 1e3 * float(row["seconds"])
    peak = "" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 1e6:10.1f} MB"
    print(
        f"{row['operation']:22}{row['shape']:>14} {row['dtype']:8} {row['peer']:14}"
        f"{milliseconds:12.4f} ms {row['times_crossent']:>7} x{peak}",
        flush=True,
    )


def main() -> None:
    """Measure and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", default="", help="problems whose name contains this")
    options.add_argument("--rounds", type=int, default=7)
    chosen = options.parse_args()
    adapters = load_adapters()
    rows = [import_row()]
    for problem in PROBLEMS:
        if chosen.only in str(problem):
            for row in rows_of(problem, adapters, chosen.rounds):
                show(row)
                rows.append(row)
    where = machine()
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[-1], *where], restval="")
        writer.writeheader()
        writer.writerows(row | where for row in rows)
    print(f"written to {RESULTS.relative_to(pathlib.Path.cwd())}: {len(rows)} rows on {where}")


if __name__ == "__main__":
    main()
