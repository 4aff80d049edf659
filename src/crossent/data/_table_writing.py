"""Tables into files that appear whole or not at all."""

from __future__ import annotations

import csv
import io
import os
import sys
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from ._table import TableError
from ._tables import DELIMITERS, table_format
from ._whole_file import whole_file

__all__ = ["check_writable", "write_table"]

_PIECE = 1 << 14  # characters


def check_writable(path: Path) -> None:
    """Refuse early what could not be written later.

    Raises
    ------
    TableError
        If the folder does not exist or may not be written to, or the path is a folder, a device,
        a pipe or a file that is read-only.
    """
    if path.is_dir():
        raise TableError(f"{path} is a folder: expected the name of a file to write")
    if path.exists() and not path.is_file():
        raise TableError(f"{path} is a device or a pipe: expected the name of a file to write")
    if path.exists() and not os.access(path, os.W_OK):
        raise TableError(f"{path} is read-only: name another file, or make it writable")
    if not path.parent.is_dir():
        raise TableError(f"{path} cannot be written: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise TableError(
            f"{path} cannot be written: the folder {path.parent} may not be written to"
        )


def write_table(table: pa.Table, path: Path | None) -> None:
    """Write a table in the format the suffix tells, compressed where it says so.

    None is CSV on standard output.

    Raises
    ------
    TableError
        If the suffix tells no format.

    Examples
    --------
    >>> write_table(pa.table({"prediction": ["a", "b"]}), None)
    prediction
    a
    b
    """
    if path is None:
        with io.BytesIO() as buffer:
            _write_text(table, buffer, ",")
            text = buffer.getvalue().decode()
        for start in range(0, len(text), _PIECE):  # unbuffered, a write may end halfway, unsaid
            sys.stdout.write(text[start : start + _PIECE])
        return
    kind = table_format(path)
    with whole_file(path) as beside:
        if kind in DELIMITERS:
            with pa.output_stream(str(beside)) as file:  # compresses as the suffix says
                _write_text(table, file, DELIMITERS[kind])
        elif kind == ".parquet":
            from pyarrow import parquet

            parquet.write_table(table, beside)
        else:
            _write_arrow(table, beside, stream=kind == ".arrows")


def _write_text(table: pa.Table, file: BinaryIO, delimiter: str) -> None:
    header = io.StringIO()  # pyarrow would quote every name
    csv.writer(header, delimiter=delimiter, lineterminator="\n").writerow(table.column_names)
    file.write(header.getvalue().encode())
    special = pc.MatchSubstringOptions(f'["\r\n{delimiter}]')
    quoted = any(
        True in pc.call_function("match_substring_regex", [values.unique()], special).to_pylist()
        for values in table.columns
        if pa.types.is_string(values.type)
    )
    options = arrow_csv.WriteOptions(
        include_header=False, delimiter=delimiter, quoting_style="needed" if quoted else "none"
    )
    arrow_csv.write_csv(table, file, options)


def _write_arrow(table: pa.Table, path: Path, *, stream: bool) -> None:
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(str(path), table.schema) as writer:
        writer.write_table(table)
