"""Put what was measured into the docs: a table and a plot of the speed, a table of the accuracy.

Everything between `<!-- NAME:begin -->` and `<!-- NAME:end -->` is written anew.
"""

from __future__ import annotations

import argparse
import math
import pathlib
from collections.abc import Iterable

from . import plot, problems, render_linear
from .pages import ROOT, Row, line, put, read

RESULTS = pathlib.Path(__file__).parent / "results"

Group = list[Row]  # the rows of one problem

NO_LIMIT = problems.GAUSSIANS  # bound by arithmetic
KEY = ("operation", "kind", "shape", "axis", "dtype")
PEERS = ("NumPy formula", "SciPy", "torch", "torch.compile", "JAX jit")
LEAST_BYTES = 1 << 20  # of logits: below this a call is bound by its overhead, not by its bytes


def groups(rows: Iterable[Row]) -> list[Group]:
    """Return the rows of each problem, in the order of the table."""
    found: dict[tuple[str, ...], Group] = {}
    for row in rows:
        if row["shape"]:
            found.setdefault(tuple(row[name] for name in KEY), []).append(row)
    return list(found.values())


def seconds(group: Group, peer: str, modes: Iterable[str]) -> float | None:
    """Return a peer's time in the first of the modes that it has."""
    times = {row["mode"]: row["seconds"] for row in group if row["peer"] == peer}
    return next((float(times[mode]) for mode in modes if times.get(mode)), None)


def _least(group: Group) -> str:
    """Return the mode in which crossent allocates nothing, where the operation has one."""
    modes = {row["mode"] for row in group if row["peer"] == "crossent"}
    return next((mode for mode in ("in place", "out") if mode in modes), "fresh")


def has_limit(row: Row) -> bool:
    """Return whether what bounds the problem is to move its bytes."""
    entries = math.prod(map(int, row["shape"].split("x")))
    size = {"float64": 8, "float32": 4}.get(row["dtype"], 2)
    return row["operation"] not in NO_LIMIT and entries * size >= LEAST_BYTES


def _time(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{1e6 * value:.3g} µs" if value < 1e-3 else f"{1e3 * value:.3g} ms"


def _times(ours: float | None, its: float | None) -> str:
    return "-" if ours is None or its is None else f"{its / ours:.3g}"


def speed_table(rows: list[Row]) -> list[str]:
    """Return the Markdown lines of the chosen problems: how many times as long each peer takes."""
    chosen = {(p.operation, p.kind, p.size, str(p.axis), p.dtype) for p in problems.CHOSEN}
    heads = ["operation", "shape", "dtype", "crossent", "fresh", "of the limit"]
    lines = [line([*heads, "torch `out=`", *PEERS]), line(["---"] * 3 + ["---:"] * 9)]
    for group in groups(rows):
        head = group[0]
        if tuple(head[name] for name in KEY) not in chosen:
            continue
        least = _least(group)
        ours, fresh = seconds(group, "crossent", [least]), seconds(group, "crossent", ["fresh"])
        limit = seconds(group, "copy", [least]) if has_limit(head) else None
        axis = "" if head["axis"] == "-1" else f", axis {head['axis']}"
        cells = [f"{head['operation']} {head['kind']}".strip(), head["shape"] + axis, head["dtype"]]
        cells += [_time(ours), _time(fresh)]
        cells.append("-" if limit is None or ours is None else f"{ours / limit:.2f}")
        cells.append(_times(ours, seconds(group, "torch", ["out"])))
        cells += [_times(fresh, seconds(group, peer, ["fresh"])) for peer in PEERS]
        lines.append(line(cells))
    return [*lines, "", *_notes(rows)]


def _notes(rows: list[Row]) -> list[str]:
    """Return where the rows were measured, and whoever is not in them, or not everywhere."""
    lines = [
        f"Measured on {', '.join(sorted({_place(row) for row in rows}))}, with "
        + ", ".join(sorted({f"{r['peer']} {r['version']}" for r in rows if r["version"]}))
        + "."
    ]
    absent = [f"{row['peer']} ({row['note']})" for row in rows if row["note"] and not row["shape"]]
    if absent:
        lines += ["", f"Absent: {', '.join(absent)}."]
    without = [r for r in rows if r["shape"] and r["note"]]
    if without:
        lines += ["", "Without a time:", ""]
        lines += [
            f"- {row['peer']}, {' '.join(row[name] for name in KEY if row[name])}: {row['note']}"
            + (f" (off by {row['error']})" if row["error"] else "")
            for row in without
        ]
    return lines


def _place(row: Row) -> str:
    return (
        f"{row['processor']} ({row['isa']}, {row['threads']} threads on {row['cores']} cores, "
        f"Python {row['python']}, NumPy {row['numpy']}, {row['date']})"
    )


def accuracy_table(rows: list[Row]) -> list[str]:
    """Return the Markdown lines: each implementation's worst error over all numbers of classes."""
    judged = [row for row in rows if row["ulp"]]
    names = list(dict.fromkeys(row["implementation"] for row in judged))
    worst: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in judged:
        at = worst.setdefault((row["operation"], row["dtype"], row["data"]), {})
        at[row["implementation"]] = max(at.get(row["implementation"], 0.0), float(row["ulp"]))
    lines = [line(["operation", "dtype", "data", *names])]
    lines.append(line(["---"] * 3 + ["---:"] * len(names)))
    for key, errors in worst.items():
        lines.append(line([*key, *(f"{errors[n]:.3g}" if n in errors else "-" for n in names)]))
    counts = sorted({int(row["classes"]) for row in judged})
    versions = sorted({f"{row['implementation']} {row['version']}" for row in judged})
    lines += ["", f"Over {', '.join(map(str, counts))} classes; {', '.join(versions)}."]
    absent = [f"{row['implementation']} ({row['note']})" for row in rows if row["note"]]
    return [*lines, *(["", f"Absent: {', '.join(absent)}."] if absent else [])]


def main() -> None:
    """Render what there is."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--speed", type=pathlib.Path, default=RESULTS / "speed.csv")
    options.add_argument("--accuracy", type=pathlib.Path, default=RESULTS / "accuracy.csv")
    options.add_argument("--docs", type=pathlib.Path, default=ROOT / "docs")
    chosen = options.parse_args()
    if chosen.speed.exists():
        rows = read(chosen.speed)
        page = chosen.docs / "performance.md"
        put(page, "speed", speed_table(rows))
        plot.speed([g for g in groups(rows) if has_limit(g[0])], chosen.docs / "performance.svg")
        put(page, "plot", ["![Time over the limit, by shape](performance.svg)"])
        print(f"rendered {chosen.speed} into {page}")
    render_linear.render(RESULTS, chosen.docs)
    if chosen.accuracy.exists():
        page = chosen.docs / "accuracy.md"
        put(page, "accuracy", accuracy_table(read(chosen.accuracy)))
        print(f"rendered {chosen.accuracy} into {page}")


if __name__ == "__main__":
    main()
