"""Tables from files: CSV, TSV, Parquet and Feather, read with pyarrow in typed columns.

The one place that knows how a table is spelled on disk. What its columns mean (numbers, labels)
is the business of ``_columns.py``; writing is that of ``_table_writing.py``.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import csv as arrow_csv

__all__ = ["COMPRESSIONS", "DELIMITERS", "MISSING", "ColumnError", "Table", "TableError"]
__all__ += ["read_table", "table_format"]

DELIMITERS = {".csv": ",", ".txt": ",", ".tsv": "\t", ".tab": "\t"}
"""The separator a text file's suffix promises."""

COMPRESSIONS = (".gz", ".bz2", ".zst", ".lz4")
"""Suffixes of a compressed text file, as in ``table.csv.gz``."""

MISSING = frozenset({"", "?", "NA", "N/A", "n/a", "#NA", "#N/A", "#N/A N/A", "<NA>", "None"}) | {
    *("NaN", "nan", "-NaN", "-nan", "NULL", "null", "1.#IND", "1.#QNAN", "-1.#IND", "-1.#QNAN")
}
"""Spellings of a missing value in a text file."""

_ARROW = (".feather", ".arrow", ".ipc", ".arrows")
_HEAD_BYTES = 1 << 20  # enough for a header of many thousand columns
_BLOCK_BYTES = 8 << 20  # a row must fit into a block
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class TableError(ValueError):
    """A table that cannot be used as it is; the text says where and what to do."""


class ColumnError(TableError):
    """A column was asked for that the table does not have, or that cannot serve the purpose."""


@dataclass(frozen=True)
class Table:
    """A table in memory, the name to call it by, and what is worth saying about its reading."""

    name: str
    columns: pa.Table
    notes: tuple[str, ...] = ()

    @property
    def n_rows(self) -> int:
        """The number of rows, the header not counted."""
        return self.columns.num_rows

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, in order; several may be empty or alike."""
        return self.columns.column_names


def read_table(source: str | Path, *, text: Collection[str] = (), least_rows: int = 1) -> Table:
    r"""Read a table whose format the suffix tells.

    Good for everything a spreadsheet, R or pandas writes. Text files may start with a byte order
    mark, end lines either way, be compressed (``.csv.gz``), quote numbers, and use another
    separator than the suffix promises: it is found in the header and said in ``notes``.

    Parameters
    ----------
    source : str or Path
        A ``.csv``, ``.tsv``, ``.txt``, ``.parquet``, ``.feather`` or ``.arrow`` file; ``"-"`` is
        CSV on standard input.
    text : collection of str, optional
        Columns of a text file to be kept as they are spelled: labels, where 007 is not 7.
    least_rows : {1, 0}, optional
        Whether there must be a row below the header.

    Returns
    -------
    Table
        Typed columns.

    Raises
    ------
    TableError
        If the file is missing, no regular file, empty, has a header only (unless ``least_rows``
        is 0), or is not what its suffix says.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "points.csv"
    >>> _ = path.write_text("x;class\n1,5;a\n2,5;b\n")
    >>> table = read_table(path)
    >>> table.columns.to_pydict()
    {'x': [1.5, 2.5], 'class': ['a', 'b']}
    >>> table.notes
    ("columns are separated by ';'", "decimals are written with ','")
    >>> folder.cleanup()
    """
    if str(source) == "-":
        table = _read_text("standard input", sys.stdin.buffer.read(), ",", text)
    else:
        table = _read_file(Path(source), text)
    if not table.column_names:
        raise TableError(f"{table.name} has no columns")
    if table.n_rows < least_rows:
        raise TableError(f"{table.name} has a header but no rows")
    return table


def _read_file(path: Path, text: Collection[str]) -> Table:
    kind = table_format(path)
    if not path.exists():
        raise TableError(f"{path}: no such file")
    if path.is_dir():
        raise TableError(f"{path} is a folder: expected a file")
    if not path.is_file():
        raise TableError(
            f"{path} is a device or a pipe: expected a file (- reads CSV from standard input)"
        )
    if kind in DELIMITERS:
        return _read_text(str(path), path, DELIMITERS[kind], text)
    try:
        columns = _read_parquet(path) if kind == ".parquet" else _read_arrow(path)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        if isinstance(error, PermissionError):
            raise
        what = "a Parquet" if kind == ".parquet" else "an Arrow or Feather"
        raise TableError(
            f"{path} cannot be read as {kind}: it is not {what} file, or was cut off or changed;"
            f" write it again, or give it its right suffix (pyarrow: {_first_line(error)})"
        ) from error
    return Table(str(path), columns)


def table_format(path: Path) -> str:
    """Find the suffix that tells a table's format, a compression left aside.

    Raises
    ------
    TableError
        If it is none of the known ones.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if len(suffixes) > 1 and suffixes[-1] in COMPRESSIONS and suffixes[-2] in DELIMITERS:
        return suffixes[-2]
    suffix = suffixes[-1] if suffixes else ""
    if suffix in (".parquet", *DELIMITERS, *_ARROW):
        return suffix
    raise TableError(
        f"{path}: the format of a table is told by its suffix; expected .csv, .tsv, .txt, .parquet,"
        f" .feather or .arrow, got {suffix or 'none'}"
    )


# ---------------------------------------------------------------- text


@dataclass(frozen=True)
class _Layout:
    """How a text file is spelled, as far as its first bytes tell."""

    header: list[str]
    delimiter: str
    decimal_point: str
    encoding: str


def _read_text(name: str, source: Path | bytes, delimiter: str, text: Collection[str]) -> Table:
    if isinstance(source, bytes):
        head = source[:_HEAD_BYTES]
    else:
        with pa.input_stream(str(source)) as stream:
            head = stream.read(_HEAD_BYTES)
    layout = _layout(name, head, delimiter)
    columns = _parse(name, source, layout, text)
    if layout.encoding == "utf8":
        _check_utf8(name, columns)
    columns = columns.rename_columns([column.strip() for column in columns.column_names])
    notes = []
    if layout.delimiter != delimiter:
        notes.append(f"columns are separated by {layout.delimiter!r}")
    if layout.decimal_point != ".":
        notes.append(f"decimals are written with {layout.decimal_point!r}")
    return Table(name, columns, tuple(notes))


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
    except (pa.ArrowInvalid, UnicodeError) as error:
        if not invalid:
            raise TableError(f"{name} cannot be read as text: {_first_line(error)}") from error
        row = invalid[0]
        raise TableError(
            f"{name}: row {row.number - 1} has {row.actual_columns} values, but the header has"
            f" {row.expected_columns} columns (separated by {layout.delimiter!r})"
        ) from error


def _check_utf8(name: str, columns: pa.Table) -> None:
    for field in columns.schema:
        if pa.types.is_binary(field.type):
            raise _not_utf8(name, f"column {field.name!r}")


# ---------------------------------------------------------------- Parquet and Arrow


def _read_parquet(path: Path) -> pa.Table:
    from pyarrow import parquet

    return parquet.ParquetFile(path, memory_map=True).read()


def _read_arrow(path: Path) -> pa.Table:
    from pyarrow import feather

    with path.open("rb") as file:
        magic = file.read(6)
    if magic == b"ARROW1" or magic.startswith(b"FEA1"):
        return feather.read_table(path, memory_map=True)
    with pa.memory_map(str(path)) as stream:
        return pa.ipc.open_stream(stream).read_all()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
