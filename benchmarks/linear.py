"""Measure the linear layer with its loss and every gradient, against its peers and its products.

Three tables: `times` (rounds of all peers taking turns in one process), `peaks` (each call's memory
in a process of its own) and `largest` (how many classes fit into 4 GB). A row replaces the one
of the same shape and peer, so a table can be made problem by problem and peer by peer.
"""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import numpy as np

from . import linear_memory, peers, products
from .machine import keep_to_two_cores, machine
from .pages import read_if_there, write
from .problems import LINEAR, LINEAR_BY_CLASSES, LINEAR_CHOSEN, Call, Problem, arrays
from .rounds import Time, take_turns
from .run import RESULTS, Row, judged_calls

ADAPTERS = (
    "crossent_adapter",
    "products",
    "numpy_formula",
    "torch_adapter",
    "torch_compiled",
    "torch_fused",
    "torch_fused_tuned",
    "jax_adapter",
    "jax_scan",
)
SQUARE = "square product"
COLUMNS = (
    *("shape", "peer", "version", "seconds", "fastest", "rounds", "ratio", "gflops", "chunk"),
    *("peak_bytes", "error", "note"),
)


def operations(problem: Problem) -> int:
    """Return how many additions and multiplications the three products take."""
    n_samples, n_features, n_classes = problem.shape
    return 6 * n_samples * n_features * n_classes


def timed_rows(problem: Problem, adapters: list[ModuleType], rounds: int) -> list[Row]:
    """Measure one problem: every peer that fits into memory, the products alone and the square."""
    fitting = [a for a in adapters if not linear_memory.too_large(problem, a.NAME)]
    rows: list[Row] = [
        {"peer": a.NAME, "version": a.VERSION, "note": linear_memory.too_large(problem, a.NAME)}
        for a in adapters
        if a not in fitting
    ]
    data = arrays(problem)
    calls: dict[str, Call] = {}
    with np.errstate(all="ignore"):
        for judged in judged_calls(problem, data, fitting):
            adapter = judged["adapter"]
            row = {"peer": adapter.NAME, "version": adapter.VERSION}
            rows.append(row | {name: judged.get(name, "") for name in ("error", "note")})
            if "call" in judged:
                calls[adapter.NAME] = judged["call"]
                rows[-1]["chunk"] = getattr(judged["call"], "rows", "")
        calls[SQUARE] = products.square()
        calls[SQUARE]()
        times = take_turns(calls, rounds)
    rows.append({"peer": SQUARE, "version": products.VERSION, "note": ""})
    for row in rows:
        row |= {"shape": problem.size} | _figures(row["peer"], problem, times)
    for adapter in fitting:
        getattr(adapter, "forget", lambda: None)()
    return rows


def _figures(peer: str, problem: Problem, times: dict[str, Time]) -> Row:
    """Return one row's time, crossent's time over it, and the rate of its products."""
    if peer not in times:
        return {}
    seconds, fastest, rounds = times[peer]
    made = 2 * products.SQUARE**3 if peer == SQUARE else operations(problem)
    ours = times.get("crossent") if peer != SQUARE else None
    return {
        "seconds": f"{seconds:.4g}",
        "fastest": f"{fastest:.4g}",
        "rounds": rounds,
        "ratio": f"{ours.seconds / seconds:.3f}" if ours else "",
        "gflops": f"{made / seconds / 1e9:.4g}",
    }


def show(row: Row) -> None:
    """Print one row for people."""
    time = f"{1e3 * float(row['seconds']):10.2f} ms" if row.get("seconds") else " " * 13
    rate = f"{row['gflops']:>7} GF/s" if row.get("gflops") else " " * 12
    peak = f"{row['peak_bytes'] / 1e6:9.1f} MB" if row.get("peak_bytes") else ""
    chunk = f"chunk {row['chunk']}" if row.get("chunk") else ""
    ratio = f"ours/its {row.get('ratio') or '-':>7}"
    print(f"    {row['peer']:24}{time} {rate}  {ratio} {peak} {chunk} {row['note']}", flush=True)


def merge(rows: Iterable[Row], path: pathlib.Path) -> None:
    """Write the rows in the place of those of the same shape and peer."""
    where = machine()
    held: dict[tuple[str, str], Row] = {
        (row["shape"], row["peer"]): row for row in read_if_there(path)
    }
    held |= {(row["shape"], row["peer"]): row | where for row in rows}
    write(path, [*COLUMNS, *where], [held[key] for key in sorted(held, key=_order)])
    print(f"written to {path}")


def _order(key: tuple[str, str]) -> tuple[Any, ...]:
    """Order by shape as a number, then crossent first."""
    n, d, k = map(int, key[0].split("x"))
    return n, d, k, key[1] != "crossent", key[1]


def chosen_problems(which: str, only: str) -> list[Problem]:
    """Return a set of problems, or those of the shapes named alone."""
    sets = {"chosen": LINEAR_CHOSEN, "all": LINEAR, "classes": LINEAR_BY_CLASSES}
    return [problem for problem in sets[which] if not only or problem.size in only.split(",")]


def main() -> None:
    """Measure and write one table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("table", choices=["times", "peaks", "largest"])
    options.add_argument("--set", choices=["chosen", "all", "classes"], default="chosen")
    options.add_argument("--only", default="", help="shapes as NxDxK, with commas")
    options.add_argument("--peers", default=",".join(ADAPTERS), help="adapters, with commas")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--output", type=pathlib.Path, default=None)
    chosen = options.parse_args()
    keep_to_two_cores("benchmarks.linear")
    names = tuple(chosen.peers.split(","))
    adapters, absent = peers.load(names)
    for name, why in absent.items():
        print(f"without {name}: {why}")
    output = chosen.output or RESULTS / f"linear-{chosen.table}.csv"
    if chosen.table == "largest":
        rows = [linear_memory.largest_row(adapter) for adapter in adapters if _judged(adapter)]
        merge(rows, output)
        return
    for problem in chosen_problems(chosen.set, chosen.only):
        print(problem, flush=True)
        if chosen.table == "times":
            rows = timed_rows(problem, adapters, chosen.rounds)
        else:
            rows = [linear_memory.peak_row(problem, a) for a in adapters if _judged(a)]
        for row in rows:
            show(row)
        merge(rows, output)


def _judged(adapter: ModuleType) -> bool:
    return not getattr(adapter, "LIMIT", False)


if __name__ == "__main__":
    main()
