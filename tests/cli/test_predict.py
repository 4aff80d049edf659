"""``crossent predict``: a prediction a row, in order, in whole files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyarrow import csv as arrow_csv

from crossent.data._tables import read_table

from .conftest import Run, rows

KINDS = ["iris", "lily", "rose"]


def predicted(run: Run, *args: object, stdin: str | None = None) -> list[str]:
    result = run("predict", *args, stdin=stdin)
    assert result.exit_code == 0, result.output
    header, *lines = result.stdout.splitlines()
    assert header == "prediction"
    return lines


def test_a_prediction_for_every_row_in_order(run: Run, model: Path, flowers: Path) -> None:
    assert predicted(run, model, flowers) == KINDS * 20
    assert predicted(run, model, "-", stdin=rows(31)) == (KINDS * 11)[:31]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".parquet", ".feather"])
def test_probabilities_in_every_format(run: Run, model: Path, flowers: Path, suffix: str) -> None:
    result = run("predict", model, flowers, "--proba", "-o", f"p{suffix}")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    table = read_table(f"p{suffix}").columns
    assert table.column_names == ["prediction", *(f"probability_{kind}" for kind in KINDS)]
    assert table.column("prediction").to_pylist() == KINDS * 20
    probabilities = np.column_stack([table.column(1 + k).to_numpy() for k in range(3)])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), np.arange(60) % 3)


def test_columns_are_matched_by_name(run: Run, model: Path) -> None:
    lines = [line.split(",") for line in rows(9).splitlines()]
    text = "\n".join(f"{width},{i},note {i},{length}" for i, length, width, _ in lines[1:])
    Path("t.csv").write_text("width,id,remark,length\n" + text)
    result = run("predict", model, "t.csv")
    assert result.stdout.split() == ["prediction", *KINDS * 3]
    note = "crossent: note: columns the model does not know are ignored: 'id', 'remark'\n"
    assert result.stderr == note


def test_no_rows_have_no_predictions(run: Run, model: Path) -> None:
    Path("t.csv").write_text("length,width\n")
    assert predicted(run, model, "t.csv") == []
    header = ",".join(["prediction", *(f"probability_{kind}" for kind in KINDS)])
    assert run("predict", model, "t.csv", "--proba").stdout == header + "\n"
    assert run("predict", model, "t.csv", "--proba", "-o", "p.parquet").exit_code == 0
    written = read_table("p.parquet", least_rows=0).columns.schema
    assert [str(kind) for kind in written.types] == ["string", *["double"] * 3]


def test_whole_numbers_stay_whole_numbers(run: Run) -> None:
    Path("t.csv").write_text("x,y\n" + "".join(f"{i},{10 * (i % 2) - 3}\n" for i in range(20)))
    assert run("fit", "t.csv", "--target", "y", "-o", "m.safetensors").exit_code == 0
    run("predict", "m.safetensors", "t.csv", "--proba", "-o", "p.parquet")
    table = read_table("p.parquet").columns
    assert str(table.schema.field("prediction").type) == "int64"
    assert table.column_names == ["prediction", "probability_-3", "probability_7"]
    assert set(table.column("prediction").to_pylist()) <= {-3, 7}


def test_labels_keep_their_spelling(run: Run) -> None:
    Path("t.csv").write_text("x,y\n" + "".join(f"{i % 2},0{i % 2}\n" for i in range(20)))
    assert run("fit", "t.csv", "--target", "y").exit_code == 0
    assert predicted(run, "t.safetensors", "t.csv") == ["00", "01"] * 10


def test_labels_with_commas_and_quotes(run: Run) -> None:
    labels = ['"a, ""b"""', '"[red]"']
    Path("t.csv").write_text("x,y\n" + "".join(f"{i % 2},{labels[i % 2]}\n" for i in range(20)))
    assert run("fit", "t.csv", "--target", "y").exit_code == 0
    assert predicted(run, "t.safetensors", "t.csv")[0] == '"a, ""b"""'
    assert "[red]" in run("evaluate", "t.safetensors", "t.csv").stdout


GAPS = "length,width\n0,0\n,0\n4,-6\n"


def test_rows_with_gaps_follow_the_policy(run: Run, model: Path) -> None:
    Path("t.csv").write_text(GAPS)
    result = run("predict", model, "t.csv")
    assert result.exit_code == 1
    assert "t.csv has missing values in 'length' (1 row); choose --missing drop" in result.stderr
    result = run("predict", model, "t.csv", "--missing", "drop", "--proba")
    assert [line.split(",")[0] for line in result.stdout.splitlines()[1:]] == ["iris", "", "rose"]
    assert result.stdout.splitlines()[2] == ",,,"
    note = "crossent: note: rows with missing values have no prediction: 1 of 3\n"
    assert result.stderr == note
    result = run("predict", model, "t.csv", "--missing", "mean")
    assert len(result.stdout.split()) == 4
    assert "filled with the column's mean: 'length' (1)" in result.stderr


def test_the_policy_of_the_model_holds(run: Run, flowers: Path) -> None:
    run("fit", flowers, "--target", "kind", "--missing", "drop")
    Path("t.csv").write_text(GAPS)
    result = run("predict", "flowers.safetensors", "t.csv")
    assert result.stdout.splitlines() == ["prediction", "iris", "", "rose"]


def test_a_failed_write_leaves_no_file(
    run: Run, model: Path, flowers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(table: object, file: object, options: object) -> None:
        file.write(b"iris\n")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(arrow_csv, "write_csv", half)
    result = run("predict", model, flowers, "-o", "p.csv")
    assert (result.exit_code, result.stderr) == (1, "crossent: No space left on device\n")
    assert [path.name for path in Path().iterdir()] == ["flowers.csv"]
