"""Measure softmax regression against scikit-learn's solvers: seconds to a gap, and memory.

`times` fits each table with more and more iterations and notes how far each fit's objective is from
the optimum, by one formula for all (`classifiers_judge`). The optimum is the least objective that
any fit has reached, one of them run for as long as it lowers it. A solver is left when its gap is
below 1e-8 or a fit took longer than the cap. `peaks` notes by how much a process grows during a fit
of three iterations. A row replaces the one of the same table, solver and number of iterations.

    python -m benchmarks.classifiers times                  # the small tables
    python -m benchmarks.classifiers times --set all        # all, about ten minutes
    python -m benchmarks.classifiers times --only 20000 --solvers lbfgs --iterations 80,160 --cap 60
    python -m benchmarks.classifiers peaks --set all
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

from crossent import SoftmaxClassifier
from crossent.bench import peak_bytes

from . import render_classifiers
from .classifiers_judge import OURS, SOLVERS, objective, sensible, version
from .classifiers_problems import TABLES, Table
from .machine import keep_to_two_cores, machine
from .pages import ROOT, read_if_there, write

RESULTS = ROOT / "benchmarks" / "results"
COLUMNS = ("table", "size", "solver", "version", "max_iter", "seconds", "objective", "gap", "note")
PEAK_COLUMNS = ("table", "size", "solver", "version", "peak_bytes", "note")
ITERATIONS = (1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640, 896, 1280)
OF_LARGE = ITERATIONS[5::2]
LEAST_GAP = 1e-8
Row = dict[str, Any]
_MANY_ROUNDS_BELOW = 0.5  # seconds of a fit that is made three times, its median kept


class Plan(NamedTuple):
    """How far a solver's curve goes: iterations of its fits, and the seconds of one at most."""

    iterations: tuple[int, ...] = ()  # none: those of the table's size
    cap: float = 20.0


def curve(table: Table, X: Any, y: Any, solver: str, best: float, plan: Plan) -> list[Row]:
    """Fit with more and more iterations, until the gap is small or a fit takes too long."""
    rows: list[Row] = []
    for max_iter in plan.iterations or (ITERATIONS if table.is_small else OF_LARGE):
        seconds, model = timed(solver, X, y, max_iter)
        value = objective(X, y, model.coef_, model.intercept_)
        row = {"table": table.name, "size": table.size, "solver": solver, "max_iter": max_iter}
        rows.append(row | {"version": version(solver), "seconds": seconds, "objective": value})
        gap = value / best - 1.0
        print(f"  {solver:28s} {max_iter:5d} {seconds:9.4f} s  gap {gap:9.2e}", flush=True)
        if gap <= LEAST_GAP:
            break
        if seconds > plan.cap:
            rows[-1]["note"] = f"left after a fit of more than {plan.cap:g} s"
            break
    return rows


def timed(solver: str, X: Any, y: Any, max_iter: int) -> tuple[float, Any]:
    """Return the seconds of a fit, of a short one the median of three, and the model."""
    found, model = [], None
    for _ in range(3):
        start = time.perf_counter()
        model = SOLVERS[solver](X, y, max_iter)
        found.append(time.perf_counter() - start)
        if found[0] > _MANY_ROUNDS_BELOW:
            break
    return statistics.median(found), model


def best_objective(X: Any, y: Any, known: Iterable[float]) -> float:
    """Return the least objective known, or that of a fit that runs until nothing is lower."""
    known = list(known)
    if known:
        return min(known)
    model = SoftmaxClassifier(tol=1e-10, max_iter=130).fit(X, y)
    return objective(X, y, model.coef_, model.intercept_)


def measure_times(tables: list[Table], solvers: list[str], plan: Plan) -> None:
    """Measure the tables, solver by solver, each beginning with a fit that warms up."""
    path = RESULTS / "classifiers.csv"
    for table in tables:
        made = table.make()
        if made is None:
            print(f"{table.name}: ../shared/data/pendigits.csv is not there")
            continue
        X, y = made
        before = [
            r for r in read_if_there(path) if (r["table"], r["size"]) == (table.name, table.size)
        ]
        best = best_objective(X, y, [float(r["best"]) for r in before if r.get("best")])
        print(f"{table.name} {table.size}: optimum {best!r}")
        rows = []
        for solver in solvers:
            if sensible(solver, X, int(y.max()) + 1):
                SOLVERS[solver](X, y, 1)
                rows += curve(table, X, y, solver, best, plan)
        best = min([best, *(row["objective"] for row in rows)])
        rows = [row | {"best": best, "gap": row["objective"] / best - 1.0} for row in rows]
        merge(rows, path, (*COLUMNS, "best"), ("table", "size", "solver"))


def measure_peaks(tables: list[Table], solvers: list[str]) -> None:
    """Measure the growth of a process of its own for each table and solver."""
    for table in tables:
        for solver in solvers:
            names = [f"{table.name}|{table.size}", solver]
            command = [sys.executable, "-m", "benchmarks.classifiers", "peak", *names]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            said = (done.stdout.splitlines() or [""])[-1]
            row = {"table": table.name, "size": table.size, "solver": solver}
            row |= {"version": version(solver)}
            found = json.loads(said) if done.returncode == 0 else {"note": done.stderr[-200:]}
            print(table.name, table.size, solver, found, flush=True)
            keys = ("table", "size", "solver")
            merge([row | found], RESULTS / "classifiers-peaks.csv", PEAK_COLUMNS, keys)


def peak(name: str, solver: str) -> None:
    """Print by how much this process grows during a fit of three iterations."""
    (table,) = (t for t in TABLES if f"{t.name}|{t.size}" == name)
    made = table.make()
    if made is None:
        raise SystemExit("../shared/data/pendigits.csv is not there")
    X, y = made
    if not sensible(solver, X, int(y.max()) + 1):
        print(json.dumps({"note": "not sensible here"}))
        return
    print(json.dumps({"peak_bytes": peak_bytes(lambda: SOLVERS[solver](X, y, 3))}))


def merge(rows: list[Row], path: pathlib.Path, columns: tuple[str, ...], keys: Any) -> None:
    """Write rows in the place of those with the same keys."""
    new = {tuple(str(row[key]) for key in keys) for row in rows}
    kept = [row for row in read_if_there(path) if tuple(row[key] for key in keys) not in new]
    where = machine()
    write(path, (*columns, *where), [*kept, *(row | where for row in rows)])


def main() -> None:
    """Measure what the command line names, and write the page."""
    options = argparse.ArgumentParser(description="softmax regression against scikit-learn")
    options.add_argument("what", choices=["times", "peaks", "peak", "render"])
    options.add_argument("names", nargs="*", help="for `peak`: table|size and solver")
    options.add_argument("--set", choices=["small", "all"], default="small")
    options.add_argument("--only", default="", help="tables whose name and size hold this")
    options.add_argument("--solvers", default=";".join(SOLVERS), help="separated by ;")
    options.add_argument("--cap", type=float, default=20.0, help="seconds of a fit at most")
    options.add_argument(
        "--iterations", default="", help="of the fits, separated by commas: fewer for slow solvers"
    )
    chosen = options.parse_args()
    keep_to_two_cores("benchmarks.classifiers")
    warnings.simplefilter("ignore")
    tables = [t for t in TABLES if t.is_small or chosen.set == "all" or chosen.only]
    tables = [t for t in tables if chosen.only in f"{t.name} {t.size}"]
    solvers = [s for s in SOLVERS if s in chosen.solvers.split(";")]
    if chosen.what == "peak":
        peak(*chosen.names)
        return
    if chosen.what == "times":
        iterations = tuple(int(number) for number in chosen.iterations.split(",") if number)
        measure_times(tables, solvers, Plan(iterations, chosen.cap))
    if chosen.what == "peaks":
        measure_peaks(tables, [s for s in solvers if s in (OURS, "lbfgs", "newton-cg")])
    render_classifiers.render(RESULTS, ROOT / "docs")


if __name__ == "__main__":
    main()
