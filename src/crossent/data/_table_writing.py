"""Tables into files that appear whole or not at all."""

from __future__ import annotations

import csv
import io
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from ._tables import COMPRESSIONS, DELIMITERS, TableError, table_format

__all__ = ["check_writable", "whole_file", "write_table"]

_PIECE = 1 << 14  # characters


def check_writable(path: Path) -> None:
    """Refuse early what could not be written later.

    Raises
    ------
    TableError
        If the folder does not exist or may not be written to, or the path is a folder, a device
        or a pipe.
    """
    if path.is_dir():
        raise TableError(f"{path} is a folder: expected the name of a file to write")
    if path.exists() and not path.is_file():
        raise TableError(f"{path} is a device or a pipe: expected the name of a file to write")
    if not path.parent.is_dir():
        raise TableError(f"{path} cannot be written: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise TableError(
            f"{path} cannot be written: the folder {path.parent} may not be written to"
        )


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a file beside ``path`` to write to; it takes that place once written and synced.

    If the body raises, the file beside is removed and ``path`` is as it was. A new file has the
    mode the process gives new files; one that is replaced keeps its own.

    Parameters
    ----------
    path : Path
        The file to make or replace; its folder exists.

    Yields
    ------
    Path
        An empty file with the same suffixes, in the same folder.
    """
    path = Path(os.path.realpath(path))  # a link stays one
    mode = path.stat().st_mode & 0o777 if path.exists() else None
    beside = path.with_name(f".{uuid.uuid4().hex}{''.join(path.suffixes)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    os.close(os.open(beside, flags, 0o666 if mode is None else 0o600))
    try:
        yield beside
        if mode is not None:
            beside.chmod(mode)
        _sync(beside)
        beside.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            beside.unlink()
        raise
    if os.name == "posix":
        _sync(path.parent)  # the rename itself


def write_table(table: pa.Table, path: Path | None) -> None:
    """Write a table in the format the suffix tells; None is CSV on standard output.

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
    if path.suffix.lower() in COMPRESSIONS:
        raise TableError(f"{path}: predictions are not written compressed; expected a plain .csv")
    with whole_file(path) as beside:
        if kind in DELIMITERS:
            with beside.open("wb") as file:
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


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
