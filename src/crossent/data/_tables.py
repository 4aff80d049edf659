"""Tables from files: CSV, TSV, Parquet and Feather, read with pyarrow in typed columns.

Text is read in ``_text_tables.py``. What columns mean (numbers, labels) is the business of
``_columns.py``; writing is that of ``_table_writing.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path

import pyarrow as pa

from ._table import Table, TableError, first_line
from ._text_tables import read_text

__all__ = ["COMPRESSIONS", "DELIMITERS", "read_table", "table_format"]

DELIMITERS = {".csv": ",", ".txt": ",", ".tsv": "\t", ".tab": "\t"}
"""The separator a text file's suffix promises."""

COMPRESSIONS = (".gz", ".bz2", ".zst", ".lz4")
"""Suffixes of a compressed text file, as in ``table.csv.gz``."""

_ARROW = (".feather", ".arrow", ".ipc", ".arrows")


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
        table = read_text("standard input", sys.stdin.buffer.read(), ",", text)
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
        return read_text(str(path), path, DELIMITERS[kind], text)
    try:
        columns = _read_parquet(path) if kind == ".parquet" else _read_arrow(path)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        if isinstance(error, PermissionError):
            raise
        what = "a Parquet" if kind == ".parquet" else "an Arrow or Feather"
        raise TableError(
            f"{path} cannot be read as {kind}: it is not {what} file, or was cut off or changed;"
            f" write it again, or give it its right suffix (pyarrow: {first_line(error)})"
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
