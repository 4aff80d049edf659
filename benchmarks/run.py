"""Measure every problem on every peer, in one process, their rounds taking turns: `make bench`.

A peer whose result is wrong gets no time. Compare times within one problem only; each row says on
what it was measured.
"""

from __future__ import annotations

import argparse
import gc
import pathlib
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

import crossent as ce
from crossent.bench import peak_bytes

from . import import_time, pages, peers
from .machine import keep_to_two_cores, machine
from .problems import CHOSEN, FULL, Arrays, Call, Problem, arrays
from .rounds import SLOW, Time, take_turns
from .truth import LARGEST_ERROR, Right, as_tuple, error, right_results

RESULTS = pathlib.Path(__file__).parent / "results"

Row = dict[str, Any]
Which = tuple[str, str]  # a peer and the mode of its call

# "ratio" is crossent's time over the peer's, both in the same mode (below 1: crossent is faster);
# "least" is crossent's with `out=` or in place over the peer's, which may be fresh.
COLUMNS = (
    *("operation", "kind", "shape", "axis", "dtype", "peer", "version", "mode", "seconds"),
    *("fastest", "rounds", "ratio", "least", "peak_bytes", "error", "note"),
)


def judged_calls(problem: Problem, data: Arrays, adapters: list[ModuleType]) -> Iterator[Row]:
    """Call every peer once, which compiles it, and yield its calls with their errors."""
    right = right_results(problem, data)
    for adapter in adapters:
        if not hasattr(adapter, problem.operation):
            continue
        try:
            calls = getattr(adapter, problem.operation)(problem, data)
        except Exception as refusal:
            yield {"adapter": adapter, "mode": "fresh", "note": _said(refusal)}
            continue
        for mode, call in calls.items():
            yield {"adapter": adapter, "mode": mode} | _judged(adapter, call, right, problem.dtype)


def _judged(adapter: ModuleType, call: Call, right: list[Right], dtype: str) -> Row:
    """Return a call with its error, or why it gets no time."""
    try:
        result = call()
        if getattr(adapter, "LIMIT", False):
            return {"call": call}
        to_numpy = getattr(adapter, "numpy", np.asarray)
        off = error(tuple(to_numpy(part) for part in as_tuple(result)), right)
    except Exception as refusal:
        return {"note": _said(refusal)}
    if not off <= LARGEST_ERROR[dtype]:
        return {"error": f"{off:.1e}", "note": "wrong, so it gets no time"}
    return {"call": call, "error": f"{off:.1e}"}


def _said(refusal: Exception) -> str:
    return f"raised {type(refusal).__name__}: {str(refusal).strip()}".split("\n", 1)[0][:200]


def rows_of(problem: Problem, adapters: list[ModuleType], rounds: int) -> list[Row]:
    """Measure one problem on every peer that has its operation and gets it right."""
    data = arrays(problem)
    with np.errstate(all="ignore"):  # peers overflow; whether that spoils the result is judged
        judged = list(judged_calls(problem, data, adapters))
        calls: dict[Which, Call] = {
            (row["adapter"].NAME, row["mode"]): row["call"] for row in judged if "call" in row
        }
        times = take_turns(calls, rounds)
        peaks = {
            which: peak_bytes(call) for which, call in calls.items() if times[which].seconds < SLOW
        }
    about = {
        "operation": problem.operation,
        "kind": problem.kind,
        "shape": problem.size,
        "axis": problem.axis,
        "dtype": problem.dtype,
    }
    rows = [
        about
        | {"peer": row["adapter"].NAME, "version": row["adapter"].VERSION}
        | {name: row.get(name, "") for name in ("mode", "error", "note")}
        | _figures((row["adapter"].NAME, row["mode"]), times)
        | {"peak_bytes": peaks.get((row["adapter"].NAME, row["mode"]), "")}
        for row in judged
    ]
    del data, judged, calls, times, peaks
    gc.collect()  # a problem may hold gigabytes
    for adapter in adapters:
        getattr(adapter, "forget", lambda: None)()
    return rows


def _figures(which: Which, times: dict[Which, Time]) -> Row:
    """Return one row's time and its two ratios."""
    if which not in times:
        return {}
    seconds, fastest, rounds = times[which]
    ours = {mode: t.seconds for (peer, mode), t in times.items() if peer == "crossent"}
    same, least = ours.get(which[1]), ours.get("in place", ours.get("out"))
    return {
        "seconds": f"{seconds:.4g}",
        "fastest": f"{fastest:.4g}",
        "rounds": rounds,
        "ratio": f"{same / seconds:.3f}" if same else "",
        "least": f"{least / seconds:.3f}" if least else "",
    }


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
    time = f"{1e3 * float(row['seconds']):12.4f} ms" if row.get("seconds") else " " * 15
    ratio = f"ours/its {row.get('ratio') or '-':>7}"
    print(f"    {row['peer']:14}{row['mode']:9}{time}  {ratio}  {row['note']}", flush=True)


def updated(path: pathlib.Path, rows: list[Row], problems: list[Problem]) -> list[Row]:
    """Return the rows of a table with those measured now in it, in the order of the problems."""
    measured = {_problem_of(row) for row in rows}
    kept = [row for row in pages.read_if_there(path) if _problem_of(row) not in measured]
    order = {str(problem): place for place, problem in enumerate(problems)}
    named = [row for row in (*kept, *rows) if row["operation"]]
    return sorted(named, key=lambda row: order.get(_problem_of(row), -1))


def _problem_of(row: Row) -> str:
    """Return the name of a row's problem."""
    axis = "" if str(row.get("axis", "-1")) in ("-1", "") else f"axis={row['axis']}"
    names = (row[name] for name in ("operation", "kind", "shape") if row.get(name))
    return " ".join(filter(None, (*names, axis, row.get("dtype", ""))))


def write(rows: Iterable[Row], path: pathlib.Path, absent: dict[str, str]) -> None:
    """Write the table; the peers that could not be measured are named in it."""
    where = machine()
    missing = [{"peer": name, "note": why} for name, why in absent.items()]
    pages.write(path, [*COLUMNS, *where], (where | row for row in (*rows, *missing)))
    print(f"written to {path}, measured on {where}")


def chosen_problems(full: bool, only: str) -> list[Problem]:
    """Return the problems asked for: the chosen ones, or all, whose name has every word."""
    every = list(dict.fromkeys([*CHOSEN, *FULL])) if full else CHOSEN
    words = only.split()
    return [problem for problem in every if all(w in str(problem).split() for w in words)]


def main() -> None:
    """Measure and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--full", action="store_true", help="all problems, not the chosen ones")
    options.add_argument("--only", default="", help="problems whose name has all these words")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--update", action="store_true", help="keep the other rows of the table")
    options.add_argument("--output", type=pathlib.Path, default=None)
    chosen = options.parse_args()
    keep_to_two_cores("benchmarks.run")
    adapters, absent = peers.load()
    for name, why in absent.items():
        print(f"without {name}: {why}")
    rows: list[Row] = [import_row()]
    default = RESULTS / ("speed-full.csv" if chosen.full else "speed.csv")
    for problem in chosen_problems(chosen.full, chosen.only):
        print(problem, flush=True)
        for row in rows_of(problem, adapters, chosen.rounds):
            show(row)
            rows.append(row)
    path = chosen.output or default
    if chosen.update:
        rows = updated(path, rows, chosen_problems(chosen.full, ""))
    write(rows, path, absent)


if __name__ == "__main__":
    main()
