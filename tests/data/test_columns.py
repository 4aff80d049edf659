"""Columns of tables as numbers and as labels: every type, every error text."""

from __future__ import annotations

import datetime
import decimal

import numpy as np
import pyarrow as pa
import pytest

from crossent.data._columns import (
    class_values,
    column,
    column_labels,
    match_labels,
    number_matrix,
)
from crossent.data._table import ColumnError, Table, TableError

# ---------------------------------------------------------------- columns as numbers

NUMBERS = [
    ("int32", pa.array([1, None, 3], pa.int32()), [1, np.nan, 3]),
    ("uint64", pa.array([2**63 + 2048, 0, None], pa.uint64()), [2.0**63 + 2048, 0, np.nan]),
    ("bool", pa.array([True, False, None]), [1, 0, np.nan]),
    ("float16", pa.array(np.array([0.5, 1, np.nan], np.float16)), [0.5, 1, np.nan]),
    ("decimal", pa.array([decimal.Decimal("1.25"), None, decimal.Decimal(2)]), [1.25, np.nan, 2]),
    ("dictionary of numbers", pa.array([7, 8, 7]).dictionary_encode(), [7, 8, 7]),
    ("text of numbers", pa.array(["1", " 2.5 ", None]), [1, 2.5, np.nan]),
    ("dictionary of text", pa.array(["1", "2", "1"]).dictionary_encode(), [1, 2, 1]),
    ("large text", pa.array(["1", "-2e3", None], pa.large_string()), [1, -2000, np.nan]),
    ("nothing", pa.nulls(3), [np.nan] * 3),
]


@pytest.mark.parametrize(("values", "expected"), [row[1:] for row in NUMBERS], ids=lambda v: None)
def test_numbers_of_any_type(values: pa.Array, expected: list[float]) -> None:
    table = Table("t", pa.table({"a": values, "b": [0, 1, 2]}))
    matrix = number_matrix(table, ["b", "a"])
    np.testing.assert_array_equal(matrix, np.column_stack([[0, 1, 2], expected]))
    assert matrix.flags.c_contiguous
    assert matrix.dtype == np.float64


def test_chunks_are_joined() -> None:
    table = Table("t", pa.table({"a": pa.chunked_array([[1], [2.0, None]], pa.float64())}))
    np.testing.assert_array_equal(number_matrix(table, ["a"]), [[1], [2], [np.nan]])


DAY = datetime.date(2020, 1, 2)
NUMBER_ERRORS = [
    (["1", "x"], "column 'a' holds text: row 2 is 'x'; correct it, or fit without the column"),
    ([None, "NA", "?", "1", "tall"], "column 'a' holds text: row 5 is 'tall'"),
    (["1_000", "2"], "column 'a' holds text: row 1 is '1_000'"),
    (["3", "1,234.5"], "row 2 is '1,234.5', a number with thousands separators or a decimal comma"),
    (["3", "1 234"], "row 2 is '1 234', a number with thousands separators"),
    (["y" * 99], "row 1 is 'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy…'"),
    ([None, DAY], "column 'a' holds dates or times: row 2 is '2020-01-02'"),
    ([[1.0], [2.0]], "column 'a' holds list<item: double> values: row 1 is '[1.0]'"),
    ([1.0, float("-inf")], "column 'a' holds an infinite number in row 2"),
]


@pytest.mark.parametrize(("values", "text"), NUMBER_ERRORS)
def test_number_errors(values: list[object], text: str) -> None:
    table = Table("t.csv", pa.table({"b": [0] * len(values), "a": values}))
    with pytest.raises(TableError) as caught:
        number_matrix(table, ["b", "a"])
    assert text in str(caught.value)
    assert str(caught.value).startswith("t.csv: ")


def test_all_columns_of_text_are_named() -> None:
    table = Table("t", pa.table({name: ["x"] for name in "abc"}))
    with pytest.raises(TableError, match=r"'a' holds text.*\(not numbers either: 'b', 'c'\)"):
        number_matrix(table, ["a", "b", "c"])


COLUMN_ERRORS = [
    ("klass", ColumnError, "t has no column 'klass' (did you mean 'Class'?); its columns are 'id'"),
    ("zebra", ColumnError, "t has no column 'zebra'; its columns are 'id', 'x', 'Class', 'x'"),
    ("x", TableError, "t: the name 'x' stands over 2 columns (2, 4): give each column a name of"),
]


@pytest.mark.parametrize(("name", "kind", "text"), COLUMN_ERRORS)
def test_column_errors(name: str, kind: type[TableError], text: str) -> None:
    table = Table("t", pa.table([[1], [2], [3], [4]], names=["id", "x", "Class", "x"]))
    with pytest.raises(kind) as caught:
        column(table, name)
    assert text in str(caught.value)


# ---------------------------------------------------------------- columns as labels

LABELS = [
    (["b", None, "a", "b"], ["b", None, "a", "b"]),
    ([" b", "NA", "?", "b "], ["b", None, None, "b"]),
    ([3, None, 1, 3], [3, None, 1, 3]),
    ([3.0, float("nan"), 1.0, None], [3, None, 1, None]),
    (["3", "1.0", "", "-2"], [3, 1, None, -2]),
    (["007", "7", "1", "1"], ["007", "7", "1", "1"]),
    ([True, False, None, True], ["true", "false", None, "true"]),
    ([decimal.Decimal("2.00"), decimal.Decimal("1.00"), None, None], [2, 1, None, None]),
    ([DAY, None, DAY, DAY], ["2020-01-02", None, "2020-01-02", "2020-01-02"]),
    ([str(10**30), "1", "1", "1"], [str(10**30), "1", "1", "1"]),
]


@pytest.mark.parametrize(("values", "expected"), LABELS)
@pytest.mark.parametrize("encoded", [False, True])
def test_labels_of_any_type(values: list[object], expected: list[object], encoded: bool) -> None:
    array = pa.array(values).dictionary_encode() if encoded else pa.array(values)
    labels, spellings = column_labels(pa.chunked_array([array]), "class")
    names = class_values(spellings, "class").tolist()
    assert [None if label < 0 else names[label] for label in labels] == expected
    assert labels.dtype == np.int64


LABEL_ERRORS = [
    ([1.0, 2.5], "column 'y' holds numbers that are not whole, such as 2.5: classes are text or"),
    (["1.5", "2"], "column 'y' holds numbers that are not whole, such as 1.5: classes are text or"),
    ([[1], [2]], "column 'y' holds list<item: int64>, which cannot be labels"),
    ([b"a", b"b"], "column 'y' holds binary, which cannot be labels"),
]


@pytest.mark.parametrize(("values", "text"), LABEL_ERRORS)
def test_label_errors(values: list[object], text: str) -> None:
    with pytest.raises(ColumnError) as caught:
        class_values(column_labels(pa.chunked_array([pa.array(values)]), "y")[1], "y")
    assert text in str(caught.value)


def test_labels_are_matched_by_value_not_by_spelling() -> None:
    labels, spellings = column_labels(pa.chunked_array([["2.0", "1", None, "2"]]), "y")
    assert match_labels(labels, spellings, np.array([1, 2]), "y").tolist() == [1, 0, -1, 1]
    assert match_labels(np.array([0]), ["02"], np.array(["01", "02"]), "y").tolist() == [1]
    truths = match_labels(
        np.array([0, 1, 2]), ["True", "false", "TRUE"], np.array(["false", "true"]), "y"
    )
    assert truths.tolist() == [1, 0, 1]
    with pytest.raises(TableError, match=r"^t\.csv: column 'y' holds 'c'"):
        match_labels(np.array([0]), ["c"], np.array(["a", "b"]), "y", "t.csv")
    with pytest.raises(TableError, match=r"'y' holds '02' in row 1, .* it knows 1, 2"):
        match_labels(np.array([0]), ["02"], np.array([1, 2]), "y")
    with pytest.raises(TableError, match=r"'y' holds 'c' in row 2, .* it knows 'a', 'b'"):
        match_labels(np.array([0, 1]), ["a", "c"], np.array(["a", "b"]), "y")
