"""Tables from text: what separates the columns, the spelling of numbers and of what is missing."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from ._table import Table, TableError, first_line

__all__ = ["MISSING", "read_text"]

MISSING = frozenset({"", "?", "NA", "N/A", "n/a", "#NA", "#N/A", "#N/A N/A", "<NA>", "None"}) | {
    *("NaN", "nan", "-NaN", "-nan", "NULL", "null", "1.#IND", "1.#QNAN", "-1.#IND", "-1.#QNAN")
}
"""Spellings of a missing value in a text file."""

_HEAD_BYTES = 1 << 20  # enough for a header of many thousand columns
_BLOCK_BYTES = 8 << 20  # a row must fit into a block
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class _Layout:
    """How a text file is spelled, as far as its first bytes tell."""

    header: list[str]
    delimiter: str
    decimal_point: str
    encoding: str


def read_text(name: str, source: Path | bytes, delimiter: str, text: Collection[str]) -> Table:
    """Read a file or its bytes; ``delimiter`` is what the suffix promises, ``text`` stays text."""
    layout = _layout(name, _head(name, source), delimiter)
    columns = _parse(name, source, layout, text)
    if layout.encoding == "utf8":
        _check_utf8(name, columns)
    _check_quotes(name, columns, layout.delimiter, text)
    columns = columns.rename_columns([column.strip() for column in columns.column_names])
    notes = []
    if layout.delimiter != delimiter:
        notes.append(f"columns are separated by {layout.delimiter!r}")
    if layout.decimal_point != ".":
        notes.append(f"decimals are written with {layout.decimal_point!r}")
    return Table(name, columns, tuple(notes))


def _head(name: str, source: Path | bytes) -> bytes:
    """The first bytes, uncompressed."""
    if isinstance(source, bytes):
        return source[:_HEAD_BYTES]
    try:
        with pa.input_stream(str(source)) as stream:
            return stream.read(_HEAD_BYTES)
    except OSError as error:
        raise _not_compressed(name, error) from error


def _layout(name: str, head: bytes, promised: str) -> _Layout:
    encoding = "utf-16" if head.startswith(_UTF16_MARKS) else "utf8"
    text = head.decode(encoding, errors="replace").removeprefix("\ufeff").lstrip("\r\n")
    if not text.strip():
        raise TableError(f"{name} is empty: expected a header line with the names of the columns")
    if "\x00" in text:
        raise TableError(f"{name} is not a text file: it holds zero bytes")
    headers = {mark: _header(text, mark) for mark in (promised, ",", ";", "\t", "|")}
    delimiter = promised
    if len(headers[promised]) <= 1:  # ties go to the promised one, which stands first
        delimiter = max(headers, key=lambda mark: len(headers[mark]))
    if not headers[promised] and len(headers[delimiter]) <= 1:
        raise TableError(
            f"{name}: the header holds a name of more than {csv.field_size_limit()} characters"
            f" (separated by {promised!r}); is a quote opened there and never closed?"
        )
    if any("\ufffd" in column for column in headers[delimiter]):
        raise _not_utf8(name, "the header")
    decimal_point = "."
    if delimiter == ";" and re.search(r'[;\n]"?[+-]?\d*,\d+"?[;\r\n]', text):
        decimal_point = ","
    return _Layout(headers[delimiter], delimiter, decimal_point, encoding)


def _header(text: str, delimiter: str) -> list[str]:
    """The names of the columns; none where one would be longer than a field may be."""
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error:
        return []


def _not_utf8(name: str, where: str) -> TableError:
    return TableError(f"{name}: {where} is not UTF-8 text; save the file as UTF-8")


def _parse(name: str, source: Path | bytes, layout: _Layout, text: Collection[str]) -> pa.Table:
    invalid: list[arrow_csv.InvalidRow] = []

    def remember(row: arrow_csv.InvalidRow) -> str:
        invalid.append(row)
        return "error"

    def parse(use_threads: bool) -> pa.Table:
        return arrow_csv.read_csv(
            pa.BufferReader(source) if isinstance(source, bytes) else str(source),
            read_options=arrow_csv.ReadOptions(
                use_threads=use_threads, block_size=_BLOCK_BYTES, encoding=layout.encoding
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=layout.delimiter,
                newlines_in_values=True,
                invalid_row_handler=None if use_threads else remember,
            ),
            convert_options=arrow_csv.ConvertOptions(
                null_values=sorted(MISSING),
                decimal_point=layout.decimal_point,
                column_types={raw: pa.string() for raw in layout.header if raw.strip() in text},
            ),
        )

    try:
        try:
            return parse(use_threads=True)
        except pa.ArrowInvalid:
            return parse(use_threads=False)  # slower, and it knows which row is at fault
    except OSError as error:
        raise _not_compressed(name, error) from error
    except (pa.ArrowInvalid, UnicodeError) as error:
        if not invalid:
            raise _unreadable(name, layout, first_line(error)) from error
        row = invalid[0]
        raise TableError(
            f"{name}: row {row.number - 1} is not as long as the header: expected"
            f" {row.expected_columns} values, got {row.actual_columns}"
            f" (separated by {layout.delimiter!r})"
        ) from error


def _unreadable(name: str, layout: _Layout, said: str) -> TableError:
    """What pyarrow said of a text file, in the words of a table."""
    if found := re.search(r"column #(\d+): .*invalid UTF8", said):
        return _not_utf8(name, f"column {layout.header[int(found[1])]!r}")
    if "straddles two block boundaries" in said:
        return TableError(
            f"{name}: a row is longer than {_BLOCK_BYTES >> 20} MiB;"
            " is a quote opened there and never closed?"
        )
    return TableError(f"{name} cannot be read as text: {said}")


def _not_compressed(name: str, error: OSError) -> OSError | TableError:
    """The file is not what its suffix promises, unless it is the system that complains."""
    if error.errno is not None:
        return error
    return TableError(
        f"{name} is not compressed as its suffix says, or was cut off; write it again, or give it"
        f" its right suffix (pyarrow: {first_line(error)})"
    )


def _check_quotes(name: str, columns: pa.Table, delimiter: str, text: Collection[str]) -> None:
    """A label with whole rows in it began with a quote that is never closed."""
    for title, values in zip(columns.column_names, columns.columns, strict=True):
        if title.strip() not in text or columns.num_columns == 1:
            continue
        breaks = pc.MatchSubstringOptions("[\r\n]")
        broken = pc.call_function("match_substring_regex", [values], breaks).fill_null(False)
        for row in np.flatnonzero(broken.to_numpy()).tolist():
            first, *others = values[row].as_py().splitlines()
            if any(line.count(delimiter) == columns.num_columns - 1 for line in others):
                raise TableError(
                    f"{name}: column {title.strip()!r} holds {first!r} in row {row + 1} and the"
                    " rows below it; is a quote opened there and never closed?"
                )


def _check_utf8(name: str, columns: pa.Table) -> None:
    for field in columns.schema:
        if pa.types.is_binary(field.type):
            raise _not_utf8(name, f"column {field.name!r}")
