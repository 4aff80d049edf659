"""``crossent bench``: how fast the operations are on this machine, and beside what is installed."""

from __future__ import annotations

import json
import re
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._options import CallError
from ._progress import progress

if TYPE_CHECKING:
    from ..bench._compare import Timing

__all__ = ["bench"]

_WIDTH = 100  # where there is no terminal to ask


class Number(StrEnum):
    """What the logits are made of."""

    float32 = "float32"
    float64 = "float64"


def bench(
    shape: Annotated[
        str,
        typer.Argument(
            metavar="[SHAPE]", help="NxK: rows and classes; NxnxK: a linear layer of n inputs too."
        ),
    ] = "100000x10",
    dtype: Annotated[Number, typer.Option(help="Of the numbers.")] = Number.float32,
    rounds: Annotated[int, typer.Option(min=1, help="The time is the median of these.")] = 7,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Measure crossent on this machine, beside the formula in NumPy and the libraries installed.

    Of logits NxK: softmax, log_softmax, logsumexp, and the loss with its gradient; of NxnxK: a
    linear layer, its loss and the gradients. SciPy, torch and JAX take part where they are
    installed (JAX in float32). What is compared takes turns; a ratio is a library's time over
    crossent's.
    """
    from .. import build_info
    from ..bench._compare import compare

    numbers = _numbers(shape)
    with progress(f"measuring {shape} {dtype}"):
        timings = list(compare(numbers, dtype.value, rounds))
    info = dict(build_info())
    if as_json:
        found = [timing._asdict() for timing in timings]
        typer.echo(json.dumps({"shape": numbers, "dtype": dtype, "build": info, "timings": found}))
    else:
        _print(f"{shape} {dtype}, {info['isa']}, threads: {info['threads']}", timings)


def _numbers(shape: str) -> tuple[int, ...]:
    if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*){1,2}", shape):
        raise CallError(f"SHAPE: expected NxK or NxnxK, as in 1000x10 or 1000x20x10, got {shape!r}")
    return tuple(map(int, shape.split("x")))


def _print(title: str, timings: list[Timing]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title)
    for name in ("operation", "library"):
        table.add_column(name, no_wrap=True)
    for name in ("time in ms", "over crossent's", "peak MB"):
        table.add_column(name, justify="right")
    previous: Any = None
    for timing in timings:
        first = timing.operation != previous
        if first:
            table.add_section()
        peak = "-" if timing.peak_bytes is None else f"{timing.peak_bytes / 1e6:.1f}"
        table.add_row(
            timing.operation if first else "",
            f"{timing.library} {timing.version}",
            f"{1e3 * timing.seconds:.4g}",
            f"{timing.ratio:.2f}",
            peak,
        )
        previous = timing.operation
    Console(width=None if sys.stdout.isatty() else _WIDTH).print(table)
