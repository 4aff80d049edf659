"""Where a command writes to: checked before the work, so that none is done in vain."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..data._table import TableError
from ..data._table_writing import check_writable
from ..data._tables import COMPRESSIONS, table_format
from ._options import CallError

__all__ = ["MODEL_SUFFIX", "model_file", "output_file"]

MODEL_SUFFIX = ".safetensors"


def output_file(name: str, inputs: Iterable[str], *, is_table: bool = False) -> Path:
    """Check that a file can be written and is none of the files read.

    Raises
    ------
    CallError
        If it is one of ``inputs``, or a table of no known format.
    TableError
        If its folder is not there or may not be written to.
    """
    path = Path(name)
    for other in map(Path, inputs):
        if path.exists() and other.exists() and path.samefile(other):
            raise CallError(f"-o {name} would overwrite {other}, which is read")
    if is_table:
        try:
            table_format(path)
        except TableError as error:
            raise CallError(f"-o {error}") from error
    check_writable(path)
    return path


def model_file(name: str | None, data: str, inputs: Iterable[str]) -> Path:
    """Find where the model goes: by default into the current folder, under the table's name.

    Raises
    ------
    CallError
        If standard input gives no name, or the name is not that of a model file.
    """
    if name is None:
        if data == "-":
            raise CallError("standard input has no name: say where the model goes with -o")
        table = Path(data)
        stem = Path(table.stem).stem if table.suffix in COMPRESSIONS else table.stem
        name = stem + MODEL_SUFFIX
    if not name.endswith(MODEL_SUFFIX):
        raise CallError(f"-o {name}: a model file is named with {MODEL_SUFFIX} at its end")
    return output_file(name, inputs)
