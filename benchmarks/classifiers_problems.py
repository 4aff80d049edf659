"""Tables to train softmax regression on: digits, pendigits, and generated ones."""

from __future__ import annotations

import csv
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_digits

PENDIGITS = pathlib.Path(__file__).parents[2] / "shared" / "data" / "pendigits.csv"


class Table(NamedTuple):
    """A table by name, and how to make it; None where its file is not there."""

    name: str
    size: str
    make: Callable[[], tuple[Any, np.ndarray] | None]
    is_small: bool = True
    dtype: str = "float64"


def digits() -> tuple[Any, np.ndarray]:
    return load_digits(return_X_y=True)


def pendigits(*, standardised: bool) -> tuple[Any, np.ndarray] | None:
    if not PENDIGITS.exists():
        return None
    with PENDIGITS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    X = np.array([[float(row[f"c{i}"]) for i in range(1, 17)] for row in rows])
    y = np.array([int(row["class"]) for row in rows])
    return ((X - X.mean(axis=0)) / X.std(axis=0) if standardised else X), y


def mixture(n_samples: int, n_inputs: int, n_classes: int, apart: float) -> tuple[Any, np.ndarray]:
    """Normal classes, mixed so that columns depend on each other, then standardised."""
    rng = np.random.default_rng(0)
    centers, y = rng.normal(size=(n_classes, n_inputs)), rng.integers(0, n_classes, n_samples)
    X = rng.normal(size=(n_samples, n_inputs)) + apart * centers[y]
    mixing = rng.normal(size=(n_inputs, n_inputs)) / np.sqrt(n_inputs)
    X = X @ (mixing / np.sqrt(np.arange(1, n_inputs + 1))[:, None])
    return (X - X.mean(axis=0)) / X.std(axis=0), y


def words(n_samples: int, n_words: int, n_classes: int, length: int) -> tuple[Any, np.ndarray]:
    """Rows of words by Zipf's law, every seventh of the class's own, as tf-idf of length one."""
    import scipy.sparse

    rng = np.random.default_rng(0)
    y = rng.integers(0, n_classes, n_samples)
    lengths = rng.poisson(length, n_samples) + 1
    rows = np.repeat(np.arange(n_samples), lengths)
    share = np.cumsum(1.0 / np.arange(1, n_words + 1))
    word = np.searchsorted(share, rng.random(len(rows)) * share[-1])
    own = rng.random(len(rows)) < 0.15
    word = np.where(own, (131 * word + 7919 * y[rows]) % n_words, word)
    counts = scipy.sparse.csr_matrix((np.ones(len(rows)), (rows, word)), (n_samples, n_words))
    counts.sum_duplicates()
    seen = np.bincount(counts.indices, minlength=n_words)
    counts.data = (1.0 + np.log(counts.data)) * (1.0 + np.log((1 + n_samples) / (1 + seen)))[
        counts.indices
    ]
    norms = np.sqrt(np.add.reduceat(np.square(counts.data), counts.indptr[:-1]))
    counts.data /= np.repeat(norms, np.diff(counts.indptr))
    return counts, y


TABLES = (
    Table("digits", "1797 x 64 x 10", digits),
    Table("pendigits", "10992 x 16 x 10", lambda: pendigits(standardised=False)),
    Table("pendigits, standardised", "10992 x 16 x 10", lambda: pendigits(standardised=True)),
    Table("mixture", "60000 x 784 x 10", lambda: mixture(60_000, 784, 10, 0.12), False),
    Table("mixture", "20000 x 100 x 1000", lambda: mixture(20_000, 100, 1000, 0.6), False),
    Table("mixture", "200000 x 50 x 100", lambda: mixture(200_000, 50, 100, 0.6), False),
    Table("words", "50000 x 100000 x 20", lambda: words(50_000, 100_000, 20, 80), False),
)
