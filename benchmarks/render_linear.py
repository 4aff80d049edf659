"""Put what was measured of the linear layer into its page: times, memory, and both against K."""

from __future__ import annotations

import math
import pathlib

from . import plot_linear, problems
from .pages import Row, line, put, read

OURS, PRODUCTS, SQUARE = "crossent", "its products", "square product"
PEERS = (
    "NumPy formula",
    "torch",
    "torch.compile",
    "torch fused",
    "torch fused, best chunk",
    "JAX jit",
    "JAX scan",
)
ByPeer = dict[str, Row]


def render(results: pathlib.Path, docs: pathlib.Path) -> None:
    """Render the tables that there are."""
    page, times, peaks = docs / "linear.md", results / "linear-times.csv", "linear-peaks.csv"
    if times.exists():
        put(page, "times", times_table(read(times)))
        print(f"rendered {times} into {page}")
    if (results / peaks).exists():
        put(page, "peaks", peaks_table(read(results / peaks)))
    if (results / "linear-largest.csv").exists():
        put(page, "largest", largest_table(read(results / "linear-largest.csv")))
    if times.exists() and (results / peaks).exists():
        plot_linear.against_classes(
            by_classes(read(times), "seconds"),
            by_classes(read(results / peaks), "peak_bytes"),
            docs / "linear.svg",
        )
        put(page, "plot", ["![Time and memory against the number of classes](linear.svg)"])


def by_shape(rows: list[Row]) -> dict[str, ByPeer]:
    """Return the rows of each shape by peer, in the order of the table."""
    found: dict[str, ByPeer] = {}
    for row in rows:
        found.setdefault(row["shape"], {})[row["peer"]] = row
    return found


def times_table(rows: list[Row]) -> list[str]:
    """Return how long crossent takes, over its products, and how many times that others take."""
    heads = ["N x n x K", "crossent", "over its products", "rate", "products", "square"]
    lines = [line([*heads, *PEERS]), line(["---"] + ["---:"] * (5 + len(PEERS)))]
    found = by_shape(rows)
    for problem in problems.LINEAR:
        if OURS not in found.get(problem.size, {}):
            continue
        peers = found[problem.size]
        ours, products = peers[OURS], peers.get(PRODUCTS, {})
        cells = [problem.size.replace("x", " x "), _time(ours.get("seconds", ""))]
        cells.append(_number(products.get("ratio", "")))
        cells += [_number(peers.get(p, {}).get("gflops", "")) for p in (OURS, PRODUCTS, SQUARE)]
        cells += [_slower(peers.get(peer, {})) for peer in PEERS]
        lines.append(line(cells))
    return [*lines, "", *_notes(rows)]


def _slower(row: Row) -> str:
    """Return how many times as long as crossent's the peer's call takes, in its own run."""
    return f"{1 / float(row['ratio']):.3g}" if row.get("ratio") else "-"


def peaks_table(rows: list[Row]) -> list[str]:
    """Return by how many megabytes each call makes the process grow."""
    lines = [line(["N x n x K", "logits", "gradients", OURS, *PEERS])]
    lines.append(line(["---"] + ["---:"] * (3 + len(PEERS))))
    found = by_shape(rows)
    for problem in problems.LINEAR:
        if problem.size not in found:
            continue
        n_samples, n_features, n_classes = problem.shape
        sizes = n_samples * n_classes, (n_samples + n_classes) * n_features
        cells = [problem.size.replace("x", " x "), *(f"{4 * size / 1e6:.3g}" for size in sizes)]
        peers = found[problem.size]
        cells += [_megabytes(peers.get(peer, {})) for peer in (OURS, *PEERS)]
        lines.append(line(cells))
    return [*lines, "", *_notes(rows)]


def largest_table(rows: list[Row]) -> list[str]:
    """Return the largest number of classes of each peer, and how many times more crossent has."""
    classes = {row["peer"]: int(row["shape"].split("x")[2]) for row in rows}
    ours = classes.get(OURS)
    lines = [line(["", "largest K", "crossent's over it"]), line(["---", "---:", "---:"])]
    for peer in (OURS, *PEERS):
        if peer in classes:
            factor = f"{ours / classes[peer]:.3g}" if ours else "-"
            lines.append(line([peer, f"{classes[peer]:,}".replace(",", " "), factor]))
    return lines


def by_classes(rows: list[Row], column: str) -> dict[str, dict[int, float]]:
    """Return a column by peer and number of classes, over the shapes that differ in K alone."""
    wanted = {problem.size: problem.shape[2] for problem in problems.LINEAR_BY_CLASSES}
    found: dict[str, dict[int, float]] = {}
    for row in rows:
        if row["shape"] in wanted and row[column] and row["peer"] in (OURS, *PEERS):
            found.setdefault(row["peer"], {})[wanted[row["shape"]]] = float(row[column])
    return found


def _notes(rows: list[Row]) -> list[str]:
    shapes = {problem.size for problem in problems.LINEAR}
    shown = [row for row in rows if row["shape"] in shapes]
    places = sorted(
        {
            f"{row['processor']} ({row['isa']}, {row['threads']} threads on {row['cores']} cores, "
            f"NumPy {row['numpy']}, {row['date']})"
            for row in shown
        }
    )
    without = [f"- {r['peer']}, {r['shape']}: {r['note']}" for r in shown if r["note"]]
    lines = [f"Measured on {', '.join(places)}."]
    return [*lines, *(["", "Without a figure:", "", *without] if without else [])]


def _time(seconds: str) -> str:
    if not seconds:
        return "-"
    value = float(seconds)
    return f"{value:.3g} s" if value >= 1 else f"{1e3 * value:.3g} ms"


def _number(text: str) -> str:
    return f"{float(text):.3g}" if text and math.isfinite(float(text)) else "-"


def _megabytes(row: Row) -> str:
    return f"{float(row['peak_bytes']) / 1e6:.3g}" if row.get("peak_bytes") else "-"
