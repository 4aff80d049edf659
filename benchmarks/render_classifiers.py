"""Put what was measured of softmax regression into its page: seconds to a gap, memory, a plot."""

# matplotlib is there with the extra `bench` only
# pyright: reportMissingImports=false

from __future__ import annotations

import math
import pathlib

from .pages import Row, line, put, read

OURS = "crossent"
LEVELS = (1e-4, 1e-8)
Curve = list[tuple[float, float]]  # seconds and gap of fits with more and more iterations


def render(results: pathlib.Path, docs: pathlib.Path) -> None:
    """Write the tables that there are, and the plot."""
    page = docs / "softmax-regression.md"
    rows = read(results / "classifiers.csv")
    curves = by_table(rows)
    put(page, "times", [*times_table(curves, rows), "", *_where(rows)])
    peaks = results / "classifiers-peaks.csv"
    if peaks.exists():
        put(page, "peaks", peaks_table(read(peaks)))
    plot(curves, docs / "softmax-regression.svg")
    put(page, "plot", ["![Relative gap against seconds](softmax-regression.svg)"])


def by_table(rows: list[Row]) -> dict[str, dict[str, Curve]]:
    """Return each solver's curve for each table."""
    found: dict[str, dict[str, Curve]] = {}
    best: dict[str, float] = {}
    for row in rows:
        name = f"{row['table']}, {row['size']}"
        best[name] = min(best.get(name, math.inf), float(row["best"]))
    for row in rows:
        name = f"{row['table']}, {row['size']}"
        gap = max(float(row["objective"]) / best[name] - 1.0, 1e-16)
        found.setdefault(name, {}).setdefault(row["solver"], []).append(
            (float(row["seconds"]), gap)
        )
    return found


def seconds_to(curve: Curve, level: float) -> float:
    """Return the seconds of the first fit whose gap is at most the level; infinite for none."""
    return min((seconds for seconds, gap in curve if gap <= level), default=math.inf)


def times_table(curves: dict[str, dict[str, Curve]], rows: list[Row]) -> list[str]:
    """Return seconds to 1e-4 and 1e-8, ours and the best of the others."""
    heads = ["table, N x n x K"]
    for level in LEVELS:
        heads += [f"{level:g}: crossent", "scikit-learn's fastest", "its solver", "ratio"]
    lines = [line(heads), line(["---"] + ["---:", "---:", "---", "---:"] * len(LEVELS))]
    for name, solvers in curves.items():
        cells = [name]
        for level in LEVELS:
            cells += _level_cells(solvers, level)
        lines.append(line(cells))
    return lines


def _level_cells(solvers: dict[str, Curve], level: float) -> list[str]:
    ours = seconds_to(solvers.get(OURS, []), level)
    others = {s: curve for s, curve in solvers.items() if s != OURS}
    if not others:
        return [_time(ours), "-", "-", "-"]
    least = {s: min(seconds_to(curve, level), longest(curve)) for s, curve in others.items()}
    first = min(least, key=lambda solver: least[solver])
    reached = math.isfinite(seconds_to(others[first], level))
    ratio = f"{'' if reached else '> '}{least[first] / ours:.3g}" if math.isfinite(ours) else "-"
    return [_time(ours), f"{'' if reached else 'not in '}{_time(least[first])}", first, ratio]


def longest(curve: Curve) -> float:
    """Return the seconds of the longest fit: what a level that none has takes at least."""
    return max(seconds for seconds, _ in curve)


def _time(seconds: float) -> str:
    if math.isinf(seconds):
        return "not reached"
    return f"{seconds:.3g} s" if seconds >= 1.0 else f"{1e3 * seconds:.3g} ms"


def peaks_table(rows: list[Row]) -> list[str]:
    """Return by how many megabytes a process grows during a fit of three iterations."""
    solvers = (OURS, "lbfgs", "newton-cg")
    lines = [line(["table, N x n x K", *solvers, "lbfgs / crossent"])]
    lines.append(line(["---"] + ["---:"] * 4))
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["peak_bytes"]:
            sizes = found.setdefault(f"{row['table']}, {row['size']}", {})
            sizes[row["solver"]] = float(row["peak_bytes"])
    for name, sizes in found.items():
        cells = [f"{sizes[s] / 1e6:.3g}" if s in sizes else "-" for s in solvers]
        ratio = f"{sizes['lbfgs'] / sizes[OURS]:.3g}" if {OURS, "lbfgs"} <= set(sizes) else "-"
        lines.append(line([name, *cells, ratio]))
    return lines


def _where(rows: list[Row]) -> list[str]:
    places = sorted(
        {
            f"{r['processor']} ({r['isa']}, {r['threads']} threads on {r['cores']} cores, "
            f"NumPy {r['numpy']}, {r['date']})"
            for r in rows
        }
    )
    peers = sorted({row["version"] for row in rows if row["solver"] != OURS})
    return [f"Measured on {', '.join(places)} against scikit-learn {', '.join(peers)}."]


def plot(curves: dict[str, dict[str, Curve]], path: pathlib.Path) -> None:
    """Draw the gap against seconds, a panel for each table."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "crossent"})
    from matplotlib import pyplot

    rows = math.ceil(len(curves) / 2)
    figure, axes = pyplot.subplots(rows, 2, figsize=(10, 3.2 * rows), squeeze=False)
    names = sorted({solver for solvers in curves.values() for solver in solvers})
    colours = {name: f"C{i}" for i, name in enumerate(n for n in names if n != OURS)}
    for axis, (name, solvers) in zip(axes.flat, curves.items(), strict=False):
        for solver, curve in solvers.items():
            style = {"color": colours.get(solver, "black"), "label": solver}
            width = 2.2 if solver == OURS else 1.0
            points = sorted(curve)
            axis.plot(*zip(*points, strict=True), marker=".", linewidth=width, **style)
        axis.set(xscale="log", yscale="log", xlabel="seconds", ylabel="relative gap")
        axis.set_ylim(1e-10, 10.0)
        axis.set_title(name, loc="left", fontsize="medium")
        axis.grid(alpha=0.3)
    for axis in axes.flat[len(curves) :]:
        axis.set_axis_off()
    handles = {h.get_label(): h for axis in axes.flat for h in axis.get_legend_handles_labels()[0]}
    figure.legend(handles.values(), handles, loc="upper center", ncols=5, fontsize="small")
    figure.tight_layout(rect=(0, 0, 1, 0.95))
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
