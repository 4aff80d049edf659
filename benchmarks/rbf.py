"""RBFClassifier at its defaults beside scikit-learn's classifiers: accuracy, and seconds.

    python -m benchmarks.rbf [--only digits] [--pendigits FILE] [--letters FILE] [--satellite FILE]

Digits come with scikit-learn. The others are CSV files with a line of names, the class under one of
the names class, lettr and classes; data sets without a file are left out. Pendigits, "letter
recognition" and "landsat satellite" are at the UCI repository; the latter two are also in R's
package mlbench (Debian: r-cran-mlbench) as LetterRecognition and Satellite, which
`write.csv(LetterRecognition, "letters.csv", row.names=FALSE)` writes, or, without R,
`rdata.read_rda("LetterRecognition.rda")` of the PyPI package rdata as a table with `to_csv`.

Digits and pendigits are split in five parts, stratified and shuffled. Letters and satellite images
have their usual split (16000 / 4000 and 4435 / 2000 rows in the file's order), and what draws is
fitted with three seeds. Columns are standardised for the models that need it; else all are at their
defaults but the SVC, whose C and gamma are searched for on at most 4000 rows of training.
"""

from __future__ import annotations

import argparse
import csv
import os
import pathlib
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from crossent import RBFClassifier

from .machine import machine
from .pages import ROOT, Row, line, put, read_if_there, write

RESULTS = ROOT / "benchmarks" / "results" / "rbf.csv"
PAGE = ROOT / "docs" / "classifiers.md"
TRAINING_ROWS = {"letters": 16_000, "satellite": 4_435}
DATA = ("digits", "pendigits", "letters", "satellite")
CLASS_NAMES = ("class", "lettr", "classes")
GRID = {"svc__C": [1.0, 10.0, 100.0], "svc__gamma": [0.02, 0.05, 0.1, 0.2, 0.4]}
WHOLE_MODELS, WHOLE_ROUNDS = ("RBF radial", "SVC, tuned"), 7
LEAST_WHOLE = 10_000
DRAWS = ("RBF radial", "RBF additive", "MLPClassifier", "RandomForestClassifier")

Split = tuple[np.ndarray, np.ndarray]
Models = dict[str, Callable[[int], Any]]


def table(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers, float32, and the classes of a CSV file; a column without a name is none.

    Raises
    ------
    ValueError
        If no column, or more than one, is named as the class is.
    """
    with path.open(newline="") as file:
        names, *rows = csv.reader(file)
    found = [index for index, name in enumerate(names) if name in CLASS_NAMES]
    if len(found) != 1:
        raise ValueError(
            f"{path} must have one column named {', '.join(CLASS_NAMES)}, and has {len(found)}: "
            f"its columns are {', '.join(names)}"
        )
    inputs = [index for index, name in enumerate(names) if name and index != found[0]]
    X = np.array([[float(row[index]) for index in inputs] for row in rows], dtype=np.float32)
    return X, np.array([row[found[0]] for row in rows])


def splits(name: str, X: np.ndarray, y: np.ndarray) -> Iterator[tuple[int, Split]]:
    """Return a seed, and the rows to train on and to test on, of every repetition."""
    if name in TRAINING_ROWS:
        n, rows = TRAINING_ROWS[name], np.arange(len(X))
        yield from ((seed, (rows[:n], rows[n:])) for seed in range(3))
        return
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    yield from ((0, split) for split in folds.split(X, y))


def models(vectors: dict[str, float]) -> Models:
    """Return what is compared, by name, each from a seed."""

    def standardised(model: Any) -> Any:
        return make_pipeline(StandardScaler(), model)

    return {
        "RBF radial": lambda seed: RBFClassifier(random_state=seed),
        "RBF additive": lambda seed: RBFClassifier(kind="additive", random_state=seed),
        "SVC, tuned": lambda seed: standardised(SVC()).set_params(**vectors),
        "MLPClassifier": lambda seed: standardised(MLPClassifier(random_state=seed)),
        "RandomForestClassifier": lambda seed: RandomForestClassifier(random_state=seed),
        "LogisticRegression": lambda seed: standardised(LogisticRegression()),
    }


def tuned(X: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Return the best C and gamma on three folds of at most 4000 rows."""
    rows = np.random.default_rng(0).permutation(len(X))[:4000]
    search = GridSearchCV(make_pipeline(StandardScaler(), SVC()), GRID, cv=3)
    return search.fit(X[rows], y[rows]).best_params_


def measured(name: str, X: np.ndarray, y: np.ndarray) -> list[Row]:
    """Return a row for each model: mean accuracy, and the median seconds of fit and predict."""
    repetitions = list(splits(name, X, y))
    vectors = tuned(X[repetitions[0][1][0]], y[repetitions[0][1][0]])
    chosen = models(vectors)
    found: dict[str, list[tuple[float, float, float]]] = {model: [] for model in chosen}
    for seed, (train, test) in repetitions:
        for model, make in chosen.items():
            if seed and model not in DRAWS:
                continue
            estimator = clone(make(seed))
            begin = time.perf_counter()
            estimator.fit(X[train], y[train])
            middle = time.perf_counter()
            right = float(np.mean(estimator.predict(X[test]) == y[test]))
            found[model].append((right, middle - begin, time.perf_counter() - middle))
            print(f"{name} {model}: {100 * right:.2f} %, {middle - begin:.2f} s", flush=True)
    return [
        {
            "data": name,
            "model": model + (f" (C={vectors['svc__C']:g}, gamma={vectors['svc__gamma']:g})"
                              if model.startswith("SVC") else ""),
            "accuracy": f"{statistics.mean(each[0] for each in taken):.5f}",
            "repetitions": str(len(taken)),
            "fit_seconds": f"{statistics.median(each[1] for each in taken):.3f}",
            "predict_seconds": f"{statistics.median(each[2] for each in taken):.3f}",
            "n_training": str(len(repetitions[0][1][0])),
            "n_test": str(len(repetitions[0][1][1])),
            **_where(),
        }
        for model, taken in found.items()
    ]  # fmt: skip


def timed_whole(name: str, X: np.ndarray, y: np.ndarray) -> list[Row]:
    """Return seconds of fit and predict on all rows, the network's and the tuned SVC's in turn."""
    vectors = tuned(X, y)
    chosen = {model: models(vectors)[model] for model in WHOLE_MODELS}
    found: dict[str, list[tuple[float, float]]] = {model: [] for model in chosen}
    for seed in range(WHOLE_ROUNDS):
        for model, make in chosen.items():
            estimator = make(seed)
            begin = time.perf_counter()
            estimator.fit(X, y)
            middle = time.perf_counter()
            estimator.predict(X)
            found[model].append((middle - begin, time.perf_counter() - middle))
            print(f"{name}, all rows, {model}: {found[model][-1]}", flush=True)
    return [
        {
            "data": f"{name}, all rows",
            "model": model,
            "accuracy": "",
            "repetitions": str(WHOLE_ROUNDS),
            "fit_seconds": f"{statistics.median(each[0] for each in taken):.3f}",
            "predict_seconds": f"{statistics.median(each[1] for each in taken):.3f}",
            "n_training": str(len(y)),
            "n_test": str(len(y)),
            **_where(),
        }
        for model, taken in found.items()
    ]


def _where() -> Row:
    """Return what every row says about where it was measured."""
    return {
        "blas_threads": os.environ.get("OPENBLAS_NUM_THREADS", "all"),
        "sklearn": sklearn.__version__,
        **{key: str(value) for key, value in machine().items()},
    }


def rendered_whole(rows: list[Row]) -> list[str]:
    """Return the lines of the table of seconds on all rows; none where none were measured."""
    names = list(dict.fromkeys(row["data"] for row in rows if row["data"].endswith(", all rows")))
    if not names:
        return []
    heads = ["", "rows", *(f"{model}: fit + predict" for model in WHOLE_MODELS), "ratio"]
    lines = [
        "On all rows of a table, trained on and then predicted, the network and the tuned machine",
        f"in turn (medians of {WHOLE_ROUNDS}):",
        "",
        line(heads),
        line(["---"] + ["---:"] * (len(heads) - 1)),
    ]
    for name in names:
        taken = {row["model"]: row for row in rows if row["data"] == name}
        pairs = [
            (float(taken[model]["fit_seconds"]), float(taken[model]["predict_seconds"]))
            for model in WHOLE_MODELS
        ]
        ours, others = (sum(pair) for pair in pairs)
        cells = [f"{fit:.2f} + {predict:.2f} s" for fit, predict in pairs]
        n_rows = taken[WHOLE_MODELS[0]]["n_training"]
        lines.append(
            line([name.removesuffix(", all rows"), n_rows, *cells, f"{others / ours:.2f}"])
        )
    return lines


def rendered(rows: list[Row]) -> list[str]:
    """Return the lines of the page's table: the share of right classes, and seconds below it."""
    shown = [name for name in DATA if any(row["data"] == name for row in rows)]
    names = list(dict.fromkeys(r["model"].split(" (")[0] for r in rows if r["data"] in DATA))
    lines = [line(["", *shown]), line(["---"] + ["---:"] * len(shown))]
    by_cell = {(row["model"].split(" (")[0], row["data"]): row for row in rows}
    for model in names:
        cells = []
        for name in shown:
            row = by_cell.get((model, name))
            if row is None:
                cells.append("")
                continue
            seconds = float(row["fit_seconds"]), float(row["predict_seconds"])
            right = 100 * float(row["accuracy"])
            cells.append(f"{right:.2f} % in {seconds[0]:.2f} + {seconds[1]:.2f} s")
        lines.append(line([model, *cells]))
    return lines


def main() -> None:
    """Measure the data sets there are, and write the table of all that were ever measured."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.rbf",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in DATA[1:]:
        parser.add_argument(f"--{name}", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--only", choices=DATA, help="measure this data set, keep other results")
    parser.add_argument("--render", action="store_true", help="only write the page's table")
    given = parser.parse_args()
    rows = read_if_there(RESULTS)
    for name in () if given.render else DATA:
        if given.only not in (None, name):
            continue
        path = getattr(given, name, None)
        if name != "digits" and path is None:
            print(f"{name} left out: no --{name} FILE given (see --help)")
            continue
        X, y = load_digits(return_X_y=True) if path is None else table(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            new = measured(name, X, y)
            if len(y) >= LEAST_WHOLE:
                new += timed_whole(name, X, y)
        done = (name, f"{name}, all rows")
        rows = [row for row in rows if row["data"] not in done] + new
        write(RESULTS, list(new[0]), rows)
    put(PAGE, "rbf", rendered(rows))
    put(PAGE, "rbf-whole", rendered_whole(rows))


if __name__ == "__main__":
    main()
