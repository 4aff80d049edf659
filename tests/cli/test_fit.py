"""``crossent fit``: what it learns from, what it says, and what it keeps."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from crossent.data._table_writing import write_table
from crossent.report import FitReport

from .conftest import Run, rows


def report(run: Run, *args: object) -> FitReport:
    result = run("fit", *args, "--json")
    assert result.exit_code == 0, result.output
    return FitReport.from_json(result.stdout)


def test_a_summary_says_what_was_done(run: Run, flowers: Path) -> None:
    result = run("fit", flowers, "--target", "kind")
    assert result.exit_code == 0
    assert result.stderr == ""
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == f"{flowers}: 60 rows, 2 columns, 3 classes in 'kind'"
    assert lines[1] == "note: column 1 has no name and is left out"
    assert lines[3].startswith("softmax regression, ")
    assert " iterations: " in lines[3]
    assert lines[4] == "rows accuracy log loss"
    assert lines[5].startswith("trained on 48 100.00 % 0.")
    assert lines[6].startswith("held out 12 100.00 % 0.")
    assert lines[7].startswith("trained again on all rows 60 100.00 % 0.")
    assert lines[8] == "model: flowers.safetensors"
    assert Path("flowers.safetensors").exists()


def test_the_model_is_the_same_with_and_without_rows_held_out(run: Run, flowers: Path) -> None:
    with_holdout = report(run, flowers, "--target", "kind", "-o", "a.safetensors")
    without = report(run, flowers, "--target", "kind", "-o", "b.safetensors", "--holdout", 0)
    assert with_holdout.all_rows == without.train
    assert without.held_out is None
    assert without.all_rows is None
    assert Path("a.safetensors").read_bytes() == Path("b.safetensors").read_bytes()


def test_many_classes_are_asked_about_once(run: Run) -> None:
    Path("t.csv").write_text("x,y\n" + "".join(f"{i},c{i}\n" for i in range(40)))
    notes = report(run, "t.csv", "--target", "y").notes
    assert notes[0] == "'y' has 40 classes in 40 rows: is it a class?"
    assert len(notes) == 3  # and: single rows stay, nothing is held out


def test_another_seed_holds_out_other_rows(run: Run, flowers: Path) -> None:
    first, again, other = (
        report(run, flowers, "--target", "kind", "--seed", seed).held_out for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("kind", ["radial", "additive"])
def test_an_rbf_network(run: Run, flowers: Path, kind: str) -> None:
    options = ("--model", "rbf", "--kind", kind, "--centers", 4, "--max-iter", 50)
    found = report(run, flowers, "--target", "kind", *options)
    assert found.model == f"{kind} RBF network with 4 centers"
    assert found.held_out is not None
    assert found.held_out.accuracy == 1.0
    assert 1 <= found.n_iterations <= 50


def test_the_penalty_and_the_iterations_reach_the_estimator(run: Run, flowers: Path) -> None:
    weak, strong = (
        report(run, flowers, "--target", "kind", "--c", c).train.log_loss for c in (100, 0.01)
    )
    assert weak < strong
    short = report(run, flowers, "--target", "kind", "--max-iter", 1)
    assert (short.n_iterations, short.converged) == (1, False)
    assert "max_iter" in short.reason
    assert short.notes == ("column 1 has no name and is left out",)


def test_a_warning_of_the_fit_is_a_note(
    run: Run, flowers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crossent.estimators import SoftmaxClassifier

    fit = SoftmaxClassifier.fit

    def warn(self: SoftmaxClassifier, *args: object) -> SoftmaxClassifier:
        warnings.warn("these rows\nlook odd", UserWarning, stacklevel=2)
        return fit(self, *args)

    monkeypatch.setattr(SoftmaxClassifier, "fit", warn)
    assert "these rows look odd" in report(run, flowers, "--target", "kind").notes


def test_a_test_table_takes_the_place_of_rows_held_out(run: Run, flowers: Path) -> None:
    lines = rows(30, seed=1).splitlines()
    shuffled = [",".join(reversed(line.split(","))) + ",extra" for line in lines]
    Path("test.csv").write_text("\n".join(shuffled))
    found = report(run, flowers, "--target", "kind", "--test", "test.csv")
    assert found.held_out is None
    assert found.train.n_rows == 60
    assert found.test is not None
    assert (found.test.n_rows, found.test.accuracy) == (30, 1.0)
    assert "test.csv: columns the model does not know are ignored: 'extra'" in found.notes


@pytest.mark.parametrize("name", ["deep/roses.2.csv", "deep/roses.2.csv.gz"])
def test_the_model_is_named_after_the_table(run: Run, name: str) -> None:
    Path("deep").mkdir()
    with pa.output_stream(name) as stream:  # compresses by the suffix
        stream.write(rows().encode())
    assert report(run, name, "--target", "kind").model_file == "roses.2.safetensors"
    assert Path("roses.2.safetensors").exists()


def test_standard_input(run: Run) -> None:
    result = run("fit", "-", "--target", "kind", "-o", "m.safetensors", stdin=rows())
    assert result.exit_code == 0
    assert result.stdout.startswith("standard input: 60 rows, 2 columns, 3 classes in 'kind'\n")


@pytest.mark.parametrize("suffix", [".tsv", ".parquet", ".feather"])
def test_every_format_gives_the_same_model(run: Run, flowers: Path, suffix: str) -> None:
    from crossent.data._tables import read_table

    table = read_table(flowers).columns.drop([""])
    table = table.set_column(2, "kind", table.column("kind").dictionary_encode())
    write_table(table, Path(f"t{suffix}"))
    report(run, flowers, "--target", "kind", "-o", "a.safetensors")
    report(run, f"t{suffix}", "--target", "kind", "-o", "b.safetensors")
    assert Path("a.safetensors").read_bytes() == Path("b.safetensors").read_bytes()


# ---------------------------------------------------------------- messy tables


def mess(lines: list[str], header: str = "x,z,class") -> str:
    return "\n".join([header, *lines]) + "\n"


GOOD = [f"{i},{i * i % 7},{'ab'[i % 2]}" for i in range(20)]

NOTES = [
    (mess([f"{line},5" for line in GOOD], "x,z,class,c"), "constant columns are left out: 'c'"),
    (
        mess([f"{line}," for line in GOOD], "x,z,class,e"),
        "columns without a value are left out: 'e'",
    ),
    (mess([f"{line},1" for line in GOOD], "x,z,class,"), "column 4 has no name and is left out"),
    (mess([f"0,{line},1" for line in GOOD], ",x,z,class,Unnamed: 4"), "columns 1, 5 have no name"),
    (mess([*GOOD, "3,3,single"]), "'single' has one row only, which stays in the training rows"),
    (mess([*GOOD, "3,3,c", "4,4,d"]), "'c', 'd' have one row only, which stay in the training"),
    (mess(GOOD).replace(",", ";"), "columns are separated by ';'"),
    (mess([f"{i},{-i},id {i}" for i in range(30)]), "'class' has 30 classes in 30 rows: is it a"),
    (mess(["1,2,a", "2,1,b"]), "nothing is held out: 2 rows are too few for a share of 0.2"),
    (mess([f'"{line}"'.replace(",", '","') for line in GOOD]).replace("\n", "\r\n"), None),
]


@pytest.mark.parametrize(("text", "note"), NOTES)
def test_messes_that_are_said(run: Run, text: str, note: str | None) -> None:
    Path("t.csv").write_text(text, newline="")
    found = report(run, "t.csv", "--target", "class")
    assert found.n_columns == 2
    if note is None:
        assert found.notes == ()
    else:
        assert any(note in said for said in found.notes)


GAPS = mess(["?,1,a", "NA,2,b", "3,,a", "4,3,", *GOOD])


@pytest.mark.parametrize(
    ("missing", "n_rows", "notes"),
    [
        ("drop", 20, ("4 rows with missing values left out",)),
        (
            "mean",
            23,
            (
                "missing values filled with the column's mean: 'x' (2), 'z' (1)",
                "1 row without a value in the target 'class' left out",
            ),
        ),
    ],
)
def test_missing_values(run: Run, missing: str, n_rows: int, notes: tuple[str, ...]) -> None:
    Path("t.csv").write_text(GAPS)
    found = report(run, "t.csv", "--target", "class", "--missing", missing)
    assert (found.n_rows, found.n_classes) == (n_rows, 2)
    assert found.notes == notes


def test_an_ignored_column_of_text(run: Run) -> None:
    Path("t.csv").write_text(mess([f"{line},Rome" for line in GOOD], "x,z,class,city"))
    assert run("fit", "t.csv", "--target", "class").exit_code == 1
    assert (
        report(run, "t.csv", "--target", "class", "--ignore", "city", "--ignore", "z").n_columns
        == 1
    )


def test_columns_of_other_types_in_parquet(run: Run) -> None:
    import decimal

    rng = np.random.default_rng(0)
    columns = {
        "flag": rng.random(40) < 0.5,
        "price": [decimal.Decimal(i).scaleb(-2) for i in range(40)],
        "grade": pa.array(rng.integers(0, 5, 40)).dictionary_encode(),
        "kind": np.arange(40) % 2 == 0,
    }
    write_table(pa.table(columns), Path("t.parquet"))
    assert report(run, "t.parquet", "--target", "kind").n_columns == 3
    result = run("predict", "t.safetensors", "t.parquet")
    assert set(result.stdout.split()) == {"prediction", "true", "false"}


# ---------------------------------------------------------------- what is kept


def test_a_failed_save_leaves_no_file(
    run: Run, flowers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    result = run("fit", flowers, "--target", "kind")
    assert result.exit_code == 1
    assert result.stderr == "crossent: No space left on device\n"
    assert [path.name for path in Path().iterdir()] == ["flowers.csv"]


def test_the_demo_is_good_and_writes_nothing(run: Run) -> None:
    found = report(run, "--demo")
    assert found.held_out is not None
    assert (found.n_rows, found.held_out.n_rows) == (1797, 359)
    assert found.held_out.accuracy >= 0.975
    assert found.model.startswith("radial RBF network with ")
    assert found.model_file is None
    assert list(Path().iterdir()) == []


def test_the_demo_keeps_its_model_where_that_is_said(run: Run) -> None:
    found = report(run, "--demo", "-o", "demo.safetensors", "--centers", 10, "--max-iter", 3)
    assert found.all_rows is not None
    assert json.loads(found.to_json())["model_file"] == "demo.safetensors"
    assert Path("demo.safetensors").exists()
