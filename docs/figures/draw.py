"""Draw the figures of the pages into this folder, or into another one: ``make figures``.

Two of them show what the benchmarks measured, from the tables in benchmarks/results.
"""

from __future__ import annotations

import csv
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "crossent", "font.size": 10})

import numpy as np  # noqa: E402
from matplotlib import pyplot  # noqa: E402

import crossent as ce  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
RESULTS = HERE.parents[1] / "benchmarks" / "results"
COLOURS = {
    "NumPy formula": "#8c8c8c",
    "SciPy": "#9467bd",
    "JAX": "#2ca02c",
    "JAX jit": "#2ca02c",
    "torch": "#ff7f0e",
    "crossent": "#1f77b4",
}


def jacobian() -> Any:
    """The matrix diag(p) - p p^T of two rows: one undecided, one nearly sure."""
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 4), layout="constrained")
    for axis, logits in zip(
        axes, ([1.0, 1.5, 0.5, 2.0, 1.2], [1.0, 1.5, 0.5, 6.0, 1.2]), strict=True
    ):
        p = ce.softmax(logits)
        shown = axis.imshow(ce.softmax_jacobian(p), cmap="RdBu_r", vmin=-0.25, vmax=0.25)
        for (j, k), entry in np.ndenumerate(ce.softmax_jacobian(p)):
            shade = "white" if abs(entry) > 0.15 else "black"
            number = f"{entry:.3f}".replace("-0.000", "0.000")
            axis.text(k, j, number, ha="center", va="center", fontsize=9, color=shade)
        ticks = [f"z={z:g}\np={q:.2f}" for z, q in zip(logits, p, strict=True)]
        axis.set_xticks(range(5), ticks, fontsize=8)
        axis.set_yticks(range(5), [f"p = {q:.2f}" for q in p], fontsize=8)
        axis.set_xlabel("the logit that moves")
        axis.set_ylabel("the probability that answers")
    axes[0].set_title("undecided: every logit is felt")
    axes[1].set_title("nearly sure: hardly any is")
    figure.colorbar(shown, ax=axes, shrink=0.8, label="∂p / ∂z")
    return figure


def saturation() -> Any:
    """The loss of a right label against its lead: exact, by the formula, by crossent."""
    lead = np.linspace(-2, 40, 421, dtype=np.float32)
    logits = np.stack([lead, np.zeros_like(lead)], axis=1)
    labels = np.zeros(len(lead), int)
    loss, gradient = ce.cross_entropy_value_and_grad(logits, labels, reduction="none")
    shifted = logits - logits.max(axis=1, keepdims=True)
    total = np.exp(shifted).sum(axis=1)
    formula = np.log(total) - shifted[:, 0], 1 - np.exp(shifted[:, 0]) / total
    exact = np.log1p(np.exp(-lead.astype(float))), 1 / (1 + np.exp(lead.astype(float)))
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    names = ("loss of the right label", "minus its gradient, 1 - p")
    for axis, name, *series in zip(
        axes, names, exact, formula, (loss, -gradient[:, 0]), strict=True
    ):
        due, plain, ours = (np.where(values > 0, values, np.nan) for values in series)
        axis.semilogy(lead, due, color="#cccccc", linewidth=7, label="exact")
        axis.semilogy(lead, ours, color=COLOURS["crossent"], label="crossent, float32")
        axis.semilogy(lead, plain, color="#d62728", label="formula, float32")
        axis.set_xlabel("how far the right logit is ahead")
        axis.set_title(name)
        axis.grid(alpha=0.3)
    axes[0].legend(loc="lower left")
    last = lead[formula[1] > 0].max()
    axes[1].annotate(
        "0 from here on", (last, 6e-8), (last + 3, 1e-4), arrowprops={"arrowstyle": "->"}
    )
    return figure


def landscape() -> Any:
    """The loss over two logits with label 0, and where its gradient leads."""
    side = np.linspace(-4, 4, 81)
    z0, z1 = np.meshgrid(side, side)
    loss, gradient = ce.cross_entropy_value_and_grad(
        np.stack([z0, z1], axis=-1), np.zeros(z0.shape, int), reduction="none"
    )
    figure, axis = pyplot.subplots(figsize=(6, 5), layout="constrained")
    filled = axis.contourf(z0, z1, loss, levels=np.linspace(0, 8.5, 18), cmap="viridis_r")
    step = (slice(4, None, 12), slice(4, None, 12))
    down = -gradient[step]
    axis.quiver(z0[step], z1[step], down[..., 0], down[..., 1], color="black", scale=18)
    axis.plot(side, side, "k--", linewidth=1)
    axis.annotate("equal logits: log 2", (-2.6, -2.6), (-3.8, 1.6), arrowprops={"arrowstyle": "->"})
    axis.set(xlabel="z₀, the label's logit", ylabel="z₁", aspect="equal")
    figure.colorbar(filled, label="cross-entropy")
    return figure


def rows(name: str, **wanted: str) -> list[dict[str, str]]:
    """Return the rows of a table of results in which these columns have these values."""
    with (RESULTS / name).open(encoding="utf-8") as file:
        return [r for r in csv.DictReader(file) if all(r[k] == v for k, v in wanted.items())]


def error() -> Any:
    """The worst error in ulp against the number of classes, from the table of accuracy."""
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.8), sharey=True, layout="constrained")
    for axis, operation in zip(axes, ("softmax", "loss"), strict=True):
        measured = rows("accuracy.csv", operation=operation, dtype="float32", data="normal(0, 3)")
        for peer in ("NumPy formula", "SciPy", "JAX", "torch", "crossent"):
            # crossent by its compiled kernels of the best instruction set that was measured
            source = "crossent avx512" if peer == "crossent" else peer
            own = [r for r in measured if r["implementation"] == source and r["ulp"]]
            points = [(int(r["classes"]), float(r["ulp"])) for r in own]
            axis.loglog(*zip(*sorted(points), strict=True), "o-", color=COLOURS[peer], label=peer)
        axis.axhline(0.5, color="black", linewidth=1)
        axis.set(xlabel="classes", title=f"{operation}, float32, normal(0, 3)")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("worst error in ulp")
    axes[0].legend()
    return figure


def cost() -> Any:
    """Time and memory of the loss with its gradient, for each logit, against the classes."""
    measured = rows(
        "speed.csv", operation="cross_entropy", dtype="float32", mode="fresh", axis="-1"
    )
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for peer in ("NumPy formula", "torch", "JAX jit", "crossent"):
        points = []
        for row in measured:
            n_rows, n_classes = map(int, row["shape"].split("x"))
            if row["peer"] == peer and row["seconds"] and n_rows > 1:
                per = n_rows * n_classes
                points.append(
                    (n_classes, 1e9 * float(row["seconds"]) / per, float(row["peak_bytes"]) / per)
                )
        classes, seconds, memory = zip(*sorted(points), strict=True)
        axes[0].loglog(classes, seconds, "o-", color=COLOURS[peer], label=peer)
        axes[1].semilogx(classes, memory, "o-", color=COLOURS[peer], label=peer)
    axes[0].set(xlabel="classes", title="nanoseconds for each logit")
    axes[1].set(
        xlabel="classes", title="bytes for each logit, the gradient's 4 included", ylim=(0, None)
    )
    for axis in axes:
        axis.grid(alpha=0.3)
    axes[0].legend()
    return figure


FIGURES: dict[str, Callable[[], Any]] = {
    each.__name__: each for each in (jacobian, saturation, landscape, error, cost)
}


def main(folder: pathlib.Path = HERE) -> None:
    """Draw every figure into `folder`."""
    for name, draw in FIGURES.items():
        figure = draw()
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        pyplot.close(figure)


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
