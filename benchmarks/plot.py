"""The plot: each peer's time over the time that moving the bytes takes, shape by shape."""

# matplotlib is there with the extra `bench` only
# pyright: reportMissingImports=false

from __future__ import annotations

import pathlib

Group = list[dict[str, str]]

OPERATIONS = ("softmax", "log_softmax", "logsumexp", "softmax_vjp", "cross_entropy")
TICKS = (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200)
STYLE = {  # peer: colour and marker; those of crossent come last and on top
    "NumPy formula": ("#8c8c8c", "s"),
    "SciPy": ("#9467bd", "D"),
    "JAX jit": ("#2ca02c", "^"),
    "torch": ("#ff7f0e", "o"),
    "torch.compile": ("#d62728", "v"),
    "crossent": ("#1f77b4", "P"),
}


def points(groups: list[Group], operation: str) -> dict[str, dict[str, float]]:
    """Return time over limit by peer and shape, of results in fresh memory, in float32."""
    found: dict[str, dict[str, float]] = {peer: {} for peer in STYLE}
    for group in groups:
        if (group[0]["operation"], group[0]["dtype"]) != (operation, "float32"):
            continue
        timed = [row for row in group if row["seconds"] and row["mode"] == "fresh"]
        fresh = {row["peer"]: float(row["seconds"]) for row in timed}
        axis = "" if group[0]["axis"] == "-1" else f"\naxis {group[0]['axis']}"
        for peer in STYLE:
            if peer in fresh and "copy" in fresh:
                found[peer][group[0]["shape"] + axis] = fresh[peer] / fresh["copy"]
    return found


def speed(groups: list[Group], path: pathlib.Path) -> None:
    """Draw one panel for each operation that was measured."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "crossent"})
    from matplotlib import pyplot, ticker

    panels = {name: points(groups, name) for name in OPERATIONS}
    panels = {name: found for name, found in panels.items() if any(found.values())}
    if not panels:
        raise ValueError("no row of the plot's operations was measured against the limit")
    figure, axes = pyplot.subplots(len(panels), figsize=(9, 2.6 * len(panels)), squeeze=False)
    for axis, (name, found) in zip(axes[:, 0], panels.items(), strict=True):
        shapes = list(dict.fromkeys(shape for by_shape in found.values() for shape in by_shape))
        for peer, (colour, marker) in STYLE.items():
            at = [i for i, shape in enumerate(shapes) if shape in found[peer]]
            ratios = [found[peer][shapes[i]] for i in at]
            axis.plot(at, ratios, marker, color=colour, label=peer, markersize=8)
        axis.axhline(1, color="black", linewidth=1)
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(ticker.FixedLocator(TICKS))
        axis.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
        axis.yaxis.set_minor_locator(ticker.NullLocator())
        axis.set_xticks(range(len(shapes)), shapes)
        axis.set_title(f"{name}, float32: time / limit", loc="left", fontsize="medium")
        axis.grid(axis="y", alpha=0.3)
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="upper center", ncols=len(names), fontsize="small")
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.25 / len(panels)))
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
