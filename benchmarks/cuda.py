"""Measure losses of tensors on a CUDA device, forward and backward: `python -m benchmarks.cuda`.

Each problem's ways to the same numbers take turns in one process, timed by the device's events.
Prints the table, and writes it between the `cuda` marks of docs/api/torch.md.
"""

# torch is there with the extra `bench` only
# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
import pathlib
import statistics
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn import functional

import crossent.torch as ct

from . import pages

PAGE = pages.ROOT / "docs" / "api" / "torch.md"
HEAD = (
    "| loss + gradients | dtype | crossent | eager | torch.compile | "
    "crossent MiB | eager MiB | torch.compile MiB |",
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
)

Loss = Callable[..., torch.Tensor]


class Problem(NamedTuple):
    """Rows and classes, and the inputs of the layer before them where there is one."""

    n_rows: int
    n_inputs: int | None
    n_classes: int
    dtype: torch.dtype = torch.float32

    def tensors(self) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Return what is differentiated, and labels."""
        torch.manual_seed(0)
        labels = torch.randint(0, self.n_classes, (self.n_rows,), device="cuda")
        if self.n_inputs is None:
            made = [torch.randn(self.n_rows, self.n_classes, device="cuda")]
        else:
            made = [
                torch.randn(n, self.n_inputs, device="cuda") for n in (self.n_rows, self.n_classes)
            ]
            made[1] /= self.n_inputs**0.5
        return [tensor.to(self.dtype).requires_grad_() for tensor in made], labels

    def losses(self) -> dict[str, Loss]:
        """Return the ways to the loss."""

        def eager(*given: torch.Tensor) -> torch.Tensor:
            *layer, labels = given
            z = functional.linear(*layer) if self.n_inputs else layer[0]
            return functional.cross_entropy(z.float(), labels)

        torch.compiler.reset()
        ours = ct.linear_cross_entropy if self.n_inputs else ct.cross_entropy
        return {"crossent": ours, "eager": eager, "compile": torch.compile(eager, dynamic=False)}

    @property
    def name(self) -> str:
        """Operation and shape."""
        shape = "x".join(str(n) for n in self[:3] if n is not None)
        return f"{'linear_' if self.n_inputs else ''}cross_entropy {shape}"


PROBLEMS = [
    Problem(16_384, None, 1000),
    Problem(1024, None, 32_768),
    Problem(128, None, 256_000),
    Problem(20_000, 100, 1000),
    Problem(4096, 256, 32_000),
    Problem(2048, 768, 50_257),
    Problem(8192, 4096, 128_256, torch.bfloat16),
]


def milliseconds(call: Callable[[], object]) -> float:
    """Return the time of one call on the device."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    call()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end)


def peak_mib(call: Callable[[], object]) -> float:
    """Return the memory that one call takes beyond what is there, its gradients included."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def line(problem: Problem, rounds: int) -> str:
    """Measure one problem."""
    tensors, labels = problem.tensors()
    calls = {
        name: lambda loss=loss: torch.autograd.grad(loss(*tensors, labels), tensors)
        for name, loss in problem.losses().items()
    }
    due = calls["eager"]()
    for call in calls.values():
        for a, b in zip(call(), due, strict=True):
            assert (a - b).abs().max() <= 0.02 * b.abs().max()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            call()
            times[name].append(milliseconds(call))
    dtype = str(problem.dtype).removeprefix("torch.")
    taken = [f"{statistics.median(times[name]):.3g} ms" for name in calls]
    peaks = [f"{peak_mib(call):.0f}" for call in calls.values()]
    return pages.line([problem.name, dtype, *taken, *peaks])


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--into", type=pathlib.Path, default=PAGE)
    chosen = options.parse_args()
    rows = []
    for problem in PROBLEMS:
        rows.append(line(problem, chosen.rounds))
        print(rows[-1], flush=True)
    where = f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {chosen.rounds} rounds."
    pages.put(chosen.into, "cuda", [*HEAD, *rows, "", where])


if __name__ == "__main__":
    main()
