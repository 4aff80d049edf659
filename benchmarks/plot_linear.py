"""The plot of the linear layer: time and memory of a call against the number of classes."""

# matplotlib is there with the extra `bench` only
# pyright: reportMissingImports=false

from __future__ import annotations

import pathlib

Curves = dict[str, dict[int, float]]  # peer: number of classes: value

STYLE = {  # peer: colour and marker; crossent comes last and on top
    "NumPy formula": ("#8c8c8c", "s"),
    "JAX jit": ("#98df8a", "^"),
    "JAX scan": ("#2ca02c", "<"),
    "torch": ("#ffbb78", "o"),
    "torch.compile": ("#d62728", "v"),
    "torch fused": ("#ff7f0e", "D"),
    "torch fused, best chunk": ("#8c564b", "d"),
    "crossent": ("#1f77b4", "P"),
}


def against_classes(seconds: Curves, peak_bytes: Curves, path: pathlib.Path) -> None:
    """Draw the two panels, both axes of each logarithmic."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "crossent"})
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4.2))
    panels = [(seconds, 1e3, "ms"), (peak_bytes, 1e-6, "MB")]
    titles = ["time of loss and gradients", "growth of the process"]
    for axis, (curves, unit, name), title in zip(axes, panels, titles, strict=True):
        for peer, (colour, marker) in STYLE.items():
            points = sorted(curves.get(peer, {}).items())
            values = [unit * value for _, value in points]
            axis.plot([k for k, _ in points], values, f"-{marker}", color=colour, label=peer)
        axis.set(xscale="log", yscale="log", xlabel="classes", ylabel=name)
        axis.set_title(title, loc="left", fontsize="medium")
        axis.grid(alpha=0.3)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="upper center", ncols=4, fontsize="small")
    figure.tight_layout(rect=(0, 0, 1, 0.88))
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
