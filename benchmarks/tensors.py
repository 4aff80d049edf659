"""Measure crossent.torch, forward and backward together, against torch's ways to the same numbers.

Each problem's peers take turns in one process; a table's rows replace those of the same problem
and peer, so that it can be made problem by problem: `python -m benchmarks.tensors --only linear`.
"Hessian" is a product with it by double backward, the first gradient not counted; its ratio is to
one gradient.
"""

# torch is there with the extra `bench` only
# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
import csv
import pathlib
from collections.abc import Callable, Iterable

import torch
from torch.nn import functional

import crossent.torch as ct
from crossent.bench import peak_bytes

from . import torch_adapter, torch_compiled, torch_crossent, torch_fused, torch_fused_tuned
from .machine import THREADS, keep_to_two_cores, machine
from .problems import LINEAR, ROWS, Arrays, Call, Problem, arrays
from .rounds import take_turns
from .run import RESULTS, Row, judged_calls

ADAPTERS = [torch_crossent, torch_adapter, torch_compiled, torch_fused, torch_fused_tuned]
PROBLEMS = [*(Problem("cross_entropy", shape) for shape in ROWS), *LINEAR]
LARGEST = 1 << 30  # bytes of logits of which torch's second derivatives are measured: it holds many
HESSIAN = ", Hessian"
COLUMNS = (
    *("operation", "shape", "peer", "version", "seconds", "fastest", "rounds", "ratio"),
    *("peak_bytes", "error", "note"),
)


def _crossent_loss(problem: Problem) -> Callable[..., torch.Tensor]:
    return getattr(ct, problem.operation)


def _torch_loss(problem: Problem) -> Callable[..., torch.Tensor]:
    def linear(x: torch.Tensor, w: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(functional.linear(x, w), labels)

    return functional.cross_entropy if problem.operation == "cross_entropy" else linear


def hessian(problem: Problem, data: Arrays, loss: Callable[..., torch.Tensor]) -> Call:
    """Return the call that takes the second backward pass of a gradient that is there."""
    names = ("logits",) if problem.operation == "cross_entropy" else ("inputs", "weight")
    primals = [torch_adapter.tensor(data[name]).requires_grad_() for name in names]
    value = loss(*primals, torch_adapter.tensor(data["labels"]))
    gradients = torch.autograd.grad(value, primals, create_graph=True)
    directions = [torch.ones_like(primal) for primal in primals]
    return lambda: torch.autograd.grad(gradients, primals, directions, retain_graph=True)


def rows_of(problem: Problem, rounds: int) -> list[Row]:
    """Measure forward and backward on every peer that gets them right, and second derivatives."""
    data = arrays(problem)
    judged = [row for row in judged_calls(problem, data, ADAPTERS) if row["mode"] == "fresh"]
    calls: dict[str, Call] = {row["adapter"].NAME: row["call"] for row in judged if "call" in row}
    calls[f"{torch_crossent.NAME}{HESSIAN}"] = hessian(problem, data, _crossent_loss(problem))
    if 4 * problem.shape[0] * problem.shape[-1] <= LARGEST:
        calls[f"{torch_adapter.NAME}{HESSIAN}"] = hessian(problem, data, _torch_loss(problem))
    for call in calls.values():
        call()
    times = take_turns(calls, rounds)
    ours = times[torch_crossent.NAME].seconds
    said = {row["adapter"].NAME: row for row in judged}
    rows = []
    for name in dict.fromkeys([*said, *calls]):
        version = torch_crossent.VERSION if "crossent" in name else torch.__version__
        row: Row = {"operation": problem.operation, "shape": problem.size, "peer": name}
        row |= {column: said.get(name, {}).get(column, "") for column in ("error", "note")}
        row["version"] = version
        if name in times:
            seconds, fastest, n_rounds = times[name]
            of = seconds / ours if name.endswith(HESSIAN) else ours / seconds
            row |= {"seconds": f"{seconds:.4g}", "fastest": f"{fastest:.4g}", "rounds": n_rounds}
            row |= {"ratio": f"{of:.3f}", "peak_bytes": peak_bytes(calls[name])}
        rows.append(row)
    return rows


def show(row: Row) -> None:
    """Print one row for people."""
    time = f"{1e3 * float(row['seconds']):11.3f} ms" if row.get("seconds") else " " * 14
    peak = f"{row['peak_bytes'] / 1e6:9.1f} MB" if row.get("peak_bytes") else " " * 12
    what = "times a gradient" if row["peer"].endswith(HESSIAN) else "ours/its"
    ratio = f"{what} {row.get('ratio') or '-'}"
    print(f"    {row['peer']:26}{time}{peak}  {ratio} {row['note']}", flush=True)


def merge(rows: Iterable[Row], path: pathlib.Path) -> None:
    """Write the rows in the place of those of the same problem and peer."""
    where = machine()
    held: dict[tuple[str, str, str], Row] = {}
    if path.exists():
        with path.open(newline="") as file:
            held = {_key(row): row for row in csv.DictReader(file)}
    held |= {_key(row): row | where for row in rows}
    with path.open("w", newline="") as file:
        columns = [*COLUMNS, *where]
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(held.values())
    print(f"written to {path}")


def _key(row: Row) -> tuple[str, str, str]:
    return row["operation"], row["shape"], row["peer"]


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--only", default="", help="problems whose name and shape begin with this")
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--into", type=pathlib.Path, default=RESULTS / "tensors.csv")
    chosen = options.parse_args()
    keep_to_two_cores("benchmarks.tensors")
    torch.set_num_threads(THREADS)
    rows: list[Row] = []
    for problem in PROBLEMS:
        if f"{problem.operation} {problem.size}".startswith(chosen.only):
            print(problem.operation, problem.size)
            made = rows_of(problem, chosen.rounds)
            for row in made:
                show(row)
            rows += made
    merge(rows, chosen.into)


if __name__ == "__main__":
    main()
