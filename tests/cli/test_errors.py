"""Every error of the command line: its exit status and its one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Run, rows

FIT = "fit flowers.csv --target kind"
GOOD = "".join(f"{i},{i % 3},{'ab'[i % 2]}\n" for i in range(9))
HEADER = "x,z,class\n"

# arguments, exit status, part of the line
WRONG_CALLS = [
    ("grow flowers.csv", 2, "No such command 'grow'."),
    ("fit", 2, "DATA is missing: name a table, - for standard input, or --demo"),
    ("fit flowers.csv", 2, "--target is missing: name the column that holds the classes"),
    ("fit flowers.csv --target", 2, "Option '--target' requires an argument."),
    ("fit flowers.csv more.csv --target kind", 2, "extra argument"),
    (f"{FIT} --model tree", 2, "Invalid value for '--model': "),
    (f"{FIT} --kind radial", 2, "--kind and --centers belong to an RBF network: --model rbf"),
    (f"{FIT} --centers 5", 2, "--kind and --centers belong to an RBF network: --model rbf"),
    (f"{FIT} --model rbf --centers 0", 2, "Invalid value for '--centers': "),
    (f"{FIT} --max-iter 0", 2, "Invalid value for '--max-iter': "),
    (f"{FIT} --seed -1", 2, "Invalid value for '--seed': "),
    (f"{FIT} --seed 4294967296", 2, "Invalid value for '--seed': "),
    (f"{FIT} --missing guess", 2, "Invalid value for '--missing': "),
    (f"{FIT} --holdout 1", 2, "--holdout is a share of the rows, 0 <= share < 1; got 1.0"),
    (f"{FIT} --holdout nan", 2, "--holdout is a share of the rows, 0 <= share < 1; got nan"),
    (f"{FIT} --holdout 0.5 --test flowers.csv", 2, "--holdout and --test exclude each other"),
    (f"{FIT} --c 0", 2, "--c must be positive (inf for no penalty); got 0.0"),
    (f"{FIT} --demo", 2, "--demo brings its own data: leave out DATA, --target, --test"),
    ("fit - --target kind", 2, "standard input has no name: say where the model goes with -o"),
    ("fit - --target kind --test -", 2, "DATA and --test cannot both be standard input"),
    (f"{FIT} -o model.bin", 2, "-o model.bin: a model file is named with .safetensors at its end"),
    ("fit t.safetensors --target kind -o t.safetensors", 2, "would overwrite t.safetensors"),
    (f"{FIT} -o none/m.safetensors", 1, "m.safetensors cannot be written: there is no folder none"),
    ("fit flowers.csv --target kin", 2, "has no column 'kin' (did you mean 'kind'?); its columns"),
    (f"{FIT} --ignore widht", 2, "has no column 'widht' (did you mean 'width'?); its columns are"),
    (f"{FIT} --ignore kind", 2, "column 'kind' cannot be both the target and ignored"),
    (
        "fit bare.csv --target x",
        2,
        "no column 'x' (is its first line the header with their names?",
    ),
    ("fit flowers.csv --target width", 2, "column 'width' holds numbers that are not whole, such"),
    (f"{FIT} --ignore width --ignore length", 1, "flowers.csv: no column is left to learn from"),
    ("fit none.csv --target kind", 1, "none.csv: no such file"),
    (f"{FIT} --test none.csv", 1, "none.csv: no such file"),
    ("fit flowers.doc --target kind", 1, "the format of a table is told by its suffix"),
    ("predict MODEL", 2, "Missing argument 'DATA'."),
    ("predict MODEL none.csv", 1, "none.csv: no such file"),
    ("predict none.safetensors flowers.csv", 1, "none.safetensors"),
    ("predict flowers.csv flowers.csv", 1, "flowers.csv"),
    ("predict MODEL flowers.csv -o flowers.csv", 2, "-o flowers.csv would overwrite flowers.csv"),
    ("predict MODEL flowers.csv -o MODEL", 2, "would overwrite"),
    ("predict MODEL flowers.csv -o p.xlsx", 2, "-o p.xlsx: the format of a table is told by its"),
    ("predict MODEL flowers.csv -o none/p.csv", 1, "p.csv cannot be written: there is no folder"),
    ("predict MODEL flowers.csv -o p.parquet.gz", 2, "-o p.parquet.gz: the format of a table is"),
    (
        "predict MODEL other.csv",
        2,
        "was trained on: 'length', 'width'; its columns are 'a', 'b'",
    ),
    ("evaluate MODEL other.csv", 2, "other.csv has no column 'kind'; its columns are 'a'"),
    ("evaluate MODEL strange.csv", 1, "column 'kind' holds 'tulip' in row 2, which is no class of"),
    ("evaluate MODEL gaps.csv", 1, "gaps.csv has missing values in 'kind' (1 row); choose"),
    ("evaluate MODEL empty.csv --missing drop", 1, "no row is left, all of them have missing"),
]

# the table, part of the line; the target is class, and the exit status is 1
BAD_TABLES = [
    ("", "t.csv is empty: expected a header line with the names of the columns"),
    (HEADER, "t.csv has a header but no rows"),
    (
        HEADER + "1,2,a\n1,2\n",
        "row 2 is not as long as the header: expected 3 values, got 2 (separated by ',')",
    ),
    (HEADER + GOOD.replace("b", "a"), "column 'class' holds one class only, 'a'"),
    (HEADER + "1,2,a\n", "column 'class' holds one class only, 'a'"),
    ("class\n" + "a\nb\n" * 5, "t.csv: no column is left to learn from"),
    ("k,class\n" + "1,a\n1,b\n" * 5, "t.csv: no column is left to learn from"),
    ("x,x,class\n" + GOOD, "the name 'x' stands over 2 columns (1, 2): give each column a name of"),
    ("class,z,class\n" + GOOD, "the name 'class' stands over 2 columns (1, 3): give each column a"),
    (HEADER + GOOD + "tall,1,a\n", "column 'x' holds text: row 10 is 'tall'; correct it, or fit"),
    (HEADER + GOOD + '"1,000",1,a\n', "row 10 is '1,000', a number with thousands separators"),
    (HEADER + GOOD + '"0,5",1,a\n', "'0,5', a number with thousands separators or a decimal comma"),
    (HEADER + GOOD + "inf,1,a\n", "column 'x' holds an infinite number in row 10"),
    ("x,z,class\n" + GOOD.replace("3,", "2020-01-01,"), "column 'x' holds text: row 4 is '2020-"),
    ("d,class\n" + "2020-01-01,a\n2020-01-02,b\n", "column 'd' holds dates or times: row 1 is"),
    (
        HEADER + GOOD + ",1,a\n1,,a\n,2,b\n3,3,\n",
        "t.csv has missing values in 'x' (2 rows), 'z' (1 row), 'class' (1 row);"
        " choose --missing drop to leave those rows out or --missing mean to fill them",
    ),
]


def check(result: object, status: int, text: str) -> None:
    assert result.exit_code == status, result.output  # type: ignore[attr-defined]
    assert text in result.stderr  # type: ignore[attr-defined]
    assert result.stderr.startswith("crossent: ")  # type: ignore[attr-defined]
    assert result.stderr.count("\n") == 1  # type: ignore[attr-defined]
    assert result.stdout == ""  # type: ignore[attr-defined]


@pytest.mark.parametrize(("call", "status", "text"), WRONG_CALLS)
def test_wrong_calls(
    run: Run, flowers: Path, model: Path, call: str, status: int, text: str
) -> None:
    Path("other.csv").write_text("a,b\n1,2\n")
    Path("bare.csv").write_text("1.5,2,rose\n2.5,3,lily\n")
    Path("strange.csv").write_text("length,width,kind\n1,2,rose\n1,2,tulip\n")
    Path("gaps.csv").write_text("length,width,kind\n1,2,rose\n1,2,\n")
    Path("empty.csv").write_text("length,width,kind\n,2,rose\n1,2,\n")
    Path("t.safetensors").write_text(rows())
    before = sorted(path.name for path in Path().iterdir())
    check(run(*(str(model) if word == "MODEL" else word for word in call.split())), status, text)
    assert sorted(path.name for path in Path().iterdir()) == before


@pytest.mark.parametrize(("text", "line"), BAD_TABLES)
def test_bad_tables(run: Run, text: str, line: str) -> None:
    Path("t.csv").write_text(text)
    check(run("fit", "t.csv", "--target", "class"), 1, line)
    assert [path.name for path in Path().iterdir()] == ["t.csv"]


@pytest.mark.parametrize(
    ("table", "line"),
    [
        (None, "m.safetensors does not say which columns it was trained on: it was saved without"),
        ({}, "m.safetensors is no model of a table: the description of the table is incomplete:"),
        (
            {"target": "kind", "columns": ["a"], "missing": "drop", "mean": [0], "unit": [1]},
            "m.safetensors is no model of a table: the estimator does not have 1 inputs",
        ),
    ],
)
def test_models_of_no_table(
    run: Run, flowers: Path, table: dict[str, object] | None, line: str
) -> None:
    from crossent.estimators import SoftmaxClassifier, save_model

    estimator = SoftmaxClassifier().fit([[0.0, 1.0], [1.0, 0.0]], [0, 1])
    save_model("m.safetensors", estimator, table=table)
    for command in ("predict", "evaluate"):
        check(run(command, "m.safetensors", "flowers.csv"), 1, line)


def test_a_damaged_model(run: Run, flowers: Path, model: Path) -> None:
    content = bytearray(model.read_bytes())
    content[-3] ^= 4
    Path("m.safetensors").write_bytes(content)
    check(
        run("predict", "m.safetensors", "flowers.csv"), 1, "m.safetensors was changed after it was"
    )


def test_a_device_is_no_table(run: Run, model: Path) -> None:
    """It would be read for ever."""
    Path("t.csv").symlink_to("/dev/zero")
    line = "t.csv is a device or a pipe: expected a file (- reads CSV from standard input)"
    for call in (("fit", "t.csv", "--target", "x"), ("predict", model, "t.csv")):
        check(run(*call), 1, line)


def test_a_quote_that_is_never_closed(run: Run) -> None:
    Path("t.csv").write_text('"x,class\n' + "1,a\n" * 40_000)
    line = "t.csv: the header holds a name of more than 131072 characters (separated by ','); is a"
    check(run("fit", "t.csv", "--target", "class"), 1, line)


def test_all_rows_dropped(run: Run) -> None:
    Path("t.csv").write_text(HEADER + "1,,a\n,2,b\n")
    line = "t.csv: no row is left, all of them have missing values"
    check(run("fit", "t.csv", "--target", "class", "--missing", "drop"), 1, line)


def test_traceback_is_shown_where_it_is_asked_for(run: Run) -> None:
    for call in (("--traceback", "evaluate", "a", "b"), ("evaluate", "a", "b", "--traceback")):
        result = run(*call)
        assert result.exit_code == 1
        assert result.stderr.startswith("Traceback (most recent call last):\n")
        assert result.stderr.splitlines()[-1].startswith("crossent: a")


def test_what_nobody_expected_is_one_line_too(
    run: Run, flowers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crossent.cli import _training

    for error, status, text in [
        (TypeError("a\nb"), 1, "unexpected TypeError: a b (--traceback shows where)"),
        (MemoryError("80 GB"), 1, "there is not enough memory: 80 GB"),
        (PermissionError(13, "Permission denied", "x.csv"), 1, "x.csv: Permission denied"),
    ]:

        def fail(task: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(_training, "fit_table", fail)
        check(run(*FIT.split()), status, text)


def test_interrupted(run: Run, flowers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from crossent.cli import _training

    def interrupt(task: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_training, "fit_table", interrupt)
    result = run(*FIT.split())
    assert (result.exit_code, result.output) == (130, "")
    assert [path.name for path in Path().iterdir()] == ["flowers.csv"]
