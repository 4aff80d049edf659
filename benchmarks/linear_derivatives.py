"""Measure the linear layer's derivatives and deterministic gradients against its gradients."""

from __future__ import annotations

import argparse
import csv

import crossent as ce

from . import pages
from .machine import keep_to_two_cores, machine
from .problems import Call, Problem, arrays
from .rounds import take_turns
from .run import RESULTS

SHAPES = (
    (60_000, 784, 10),
    (20_000, 100, 1000),
    (4096, 256, 32_000),
)
NAMES = ("gradients", "hvp", "hvp in W", "jvp", "deterministic")
PAGE = pages.ROOT / "docs" / "linear.md"


def calls(problem: Problem) -> dict[str, Call]:
    """Return what is measured, by name."""
    data = arrays(problem)
    given = data["inputs"], data["weight"], data["labels"]
    all_move = ce.LinearGradients(data["inputs"], data["weight"], None)
    weight_moves = ce.LinearGradients(None, data["weight"], None)
    both = ("inputs", "weight")
    gradients = ce.linear_cross_entropy_value_and_grad
    return {
        "gradients": lambda: gradients(*given, needs=both),
        "hvp": lambda: ce.linear_cross_entropy_hvp(*given, tangents=all_move, needs=both),
        "hvp in W": lambda: ce.linear_cross_entropy_hvp(
            *given, tangents=weight_moves, needs=("weight",)
        ),
        "jvp": lambda: ce.linear_cross_entropy_jvp(*given, tangents=all_move),
        "deterministic": lambda: gradients(*given, deterministic=True, needs=both),
    }


def measured(problem: Problem, rounds: int) -> dict[str, float]:
    """Return the seconds of each call."""
    chosen = calls(problem)
    for call in chosen.values():
        call()
    return {name: time.seconds for name, time in take_turns(chosen, rounds).items()}


def main() -> None:
    """Measure, keep the rows and write the page's table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    keep_to_two_cores("benchmarks.linear_derivatives")
    rows = []
    for shape in SHAPES:
        problem = Problem("linear_cross_entropy", shape)
        rows.append({"shape": problem.size, **measured(problem, options.rounds), **machine()})
        print(rows[-1], flush=True)
    with open(RESULTS / "linear-derivatives.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    head = ["N x n x K", *NAMES]
    lines = [pages.line(head), pages.line(["---", *["---:"] * len(NAMES)])]
    for row in rows:
        ratios = [f"{row[name] / row['gradients']:.2f}" for name in NAMES[1:]]
        size = row["shape"].replace("x", " x ")
        lines.append(pages.line([size, f"{1e3 * row['gradients']:.3g} ms", *ratios]))
    pages.put(PAGE, "derivatives", lines)


if __name__ == "__main__":
    main()
