"""How far each implementation is from the truth, in ulp: crossent on every floor, and its peers.

The truth is computed by mpmath on sampled rows. An entry's error is counted in units in the last
place of the true entry; that of logsumexp in those of the larger of |l| and the row's maximum |a|.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import crossent as ce
from crossent.verify._reference._numbers import Truth, exact, exp, mp, total
from crossent.verify._ulp import worst

from . import pages
from .accuracy_peers import OPERATIONS, PEERS, Results, of_crossent
from .machine import machine

RESULTS = pathlib.Path(__file__).parent / "results" / "accuracy.csv"
FLOORS = ("numpy", "baseline", "avx2", "avx512")
ROWS_OF = {3: 400, 10: 200, 100: 40, 1000: 8, 32_768: 2, 1_000_000: 1}  # by number of classes
ENTRIES = 500  # of a row, that are compared
DIGITS = 40

Row = dict[str, Any]


class Sample(NamedTuple):
    """Rows, their labels and the classes whose entries are compared."""

    data: str
    logits: np.ndarray
    labels: np.ndarray
    classes: np.ndarray

    def __str__(self) -> str:
        return f"{self.data} {self.logits.shape[1]} {self.logits.dtype}"


def _dominant(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return normal(0, 1) rows with one logit far above the others, by 5 to 30."""
    logits = rng.standard_normal(shape)
    at = rng.integers(shape[1], size=shape[0])
    logits[np.arange(shape[0]), at] = logits.max(axis=1) + rng.uniform(5, 30, shape[0])
    return logits


DATA: dict[str, Callable[[np.random.Generator, tuple[int, int]], np.ndarray]] = {
    "normal(0, 1)": lambda rng, shape: rng.standard_normal(shape),
    "normal(0, 3)": lambda rng, shape: 3 * rng.standard_normal(shape),
    "normal(0, 20)": lambda rng, shape: 20 * rng.standard_normal(shape),
    "normal(1e4, 1)": lambda rng, shape: 1e4 + rng.standard_normal(shape),
    "one dominant": _dominant,
}


def samples(most_classes: int) -> Iterator[Sample]:
    """Yield the rows to judge; half of the labels are the largest logit, as in a trained model."""
    for n_classes, n_rows in ROWS_OF.items():
        if n_classes > most_classes:
            continue
        for dtype in ("float32", "float64"):
            for name, draw in DATA.items():
                rng = np.random.default_rng(n_classes)
                logits = draw(rng, (n_rows, n_classes)).astype(dtype)
                labels = rng.integers(n_classes, size=n_rows)
                labels[::2] = logits[::2].argmax(axis=1)
                some = rng.permutation(n_classes)[:ENTRIES]
                tops = (logits.argmax(axis=1), logits.argmin(axis=1), labels)
                yield Sample(name, logits, labels, np.unique(np.concatenate([some, *tops])))


def truths(sample: Sample) -> dict[str, Truth]:
    """Return every operation's true results, of one sum of exponentials a row.

    Each is written so that no digits cancel, wherefore `DIGITS` are enough for the widest row: all
    logits are taken from the row's maximum, and the sum over the classes other than the largest or
    the labelled one is never that of all minus one.
    """
    found: dict[str, list[Any]] = {name: [] for name in (*OPERATIONS, "scale")}
    with mp.workdps(DIGITS):
        for row, label in zip(sample.logits, sample.labels, strict=True):
            for name, value in _true_row(row, label, sample.classes).items():
                found[name].append(value)
    arrays = {name: np.array(rows, object) for name, rows in found.items()}
    scale = arrays.pop("scale")
    return {
        name: Truth(value, scale if name == "logsumexp" else np.abs(value))
        for name, value in arrays.items()
    }


def _true_row(row: np.ndarray, label: int, classes: np.ndarray) -> dict[str, Any]:
    """Return one row's true results, and the scale of its logsumexp."""
    best = int(row.argmax())
    numbers = exact(row)
    top = numbers[best]
    shifted = numbers - top
    exponentials = exp(shifted)
    exponentials[best] = mp.zero
    beyond = total(exponentials)  # the sum is 1 + beyond
    exponentials[best] = mp.one
    own = exponentials[label]
    others = beyond if label == best else 1 + beyond - own  # own is no more than the largest, 1
    probabilities = exponentials[classes] / (1 + beyond)
    lse = mp.log1p(beyond)  # counted from the maximum
    return {
        "softmax": probabilities,
        "log_softmax": shifted[classes] - lse,
        "logsumexp": top + lse,
        "loss": mp.log1p(others / own),
        "gradient": np.where(classes == label, -others / (1 + beyond), probabilities),
        "scale": max(abs(top + lse), abs(top)),
    }


def judged(sample: Sample, right: dict[str, Truth], who: str, results: Results) -> Iterator[Row]:
    """Yield one row for each operation that the implementation has."""
    for name, got in results.items():
        entries = got[:, sample.classes] if got.ndim == 2 else got
        off = worst(entries, right[name])
        yield {
            "operation": name,
            "dtype": sample.logits.dtype.name,
            "data": sample.data,
            "classes": sample.logits.shape[1],
            "rows": len(sample.logits),
            "implementation": who,
            "ulp": f"{off.ulp:.3g}",
            "expected": f"{off.expected:.9g}",
            "got": f"{off.got:.9g}",
        }


def crossent_on(floor: str, sample: Sample) -> Results | None:
    """Return crossent's results on one floor, from a process of its own; None where it has none."""
    with tempfile.TemporaryDirectory() as folder:
        given, found = pathlib.Path(folder, "given.npz"), pathlib.Path(folder, "found.npz")
        np.savez(given, logits=sample.logits, labels=sample.labels)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.accuracy", "--compute", str(given), str(found)],
            env=os.environ | {"CROSSENT_KERNELS": floor},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            if "CROSSENT_KERNELS" in done.stderr:
                return None
            raise RuntimeError(f"crossent on the floor {floor} failed:\n{done.stderr}")
        with np.load(found) as results:
            return dict(results)


def compute(given: str, found: str) -> None:
    """Compute crossent's results on the floor that this process has, from file to file."""
    with np.load(given) as arrays:
        results = of_crossent(arrays["logits"], arrays["labels"])
    np.savez(found, **results)  # pyright: ignore[reportArgumentType]


def available_floors() -> tuple[list[str], list[str]]:
    """Return the floors of crossent that this machine has, and those it has not."""
    tiny = Sample("", np.zeros((1, 2), np.float32), np.zeros(1, np.int64), np.arange(2))
    there = [floor for floor in FLOORS if crossent_on(floor, tiny) is not None]
    return there, [floor for floor in FLOORS if floor not in there]


def table(most_classes: int) -> Iterator[Row]:
    """Yield the whole table, with the names of those that are absent at its end."""
    floors, missing = available_floors()
    installed, absent = {}, {}
    for who, (library, function) in PEERS.items():
        try:
            version = importlib.import_module(library).__version__
            installed[who] = (version, function)
        except ModuleNotFoundError:
            absent[who] = f"{library} is not installed"
    absent |= {f"crossent {floor}": "this machine or this build lacks it" for floor in missing}
    for sample in samples(most_classes):
        right = truths(sample)
        for floor in floors:
            results = crossent_on(floor, sample)
            assert results is not None  # it was there a moment ago
            for row in judged(sample, right, f"crossent {floor}", results):
                yield row | {"version": ce.__version__}
        for who, (version, function) in installed.items():
            for row in judged(sample, right, who, function(sample.logits, sample.labels)):
                yield row | {"version": version}
        print(sample, flush=True)
    for who, why in absent.items():
        print(f"without {who}: {why}")
        yield {"implementation": who, "note": why}


COLUMNS = (
    *("operation", "dtype", "data", "classes", "rows", "implementation", "version", "ulp"),
    *("expected", "got", "note"),
)


def main() -> None:
    """Judge and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--most-classes", type=int, default=max(ROWS_OF))
    options.add_argument("--output", type=pathlib.Path, default=RESULTS)
    options.add_argument("--compute", nargs=2, metavar=("GIVEN", "FOUND"), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.compute:
        compute(*chosen.compute)
        return
    where = machine()
    rows = (row | where for row in table(chosen.most_classes))
    pages.write(chosen.output, [*COLUMNS, *where], rows)
    print(f"written to {chosen.output}")


if __name__ == "__main__":
    main()
