"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["whole_file"]


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

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "note.txt"
    ...     with whole_file(path) as beside:
    ...         _ = beside.write_text("whole")
    ...     path.read_text()
    'whole'
    """
    path = Path(os.path.realpath(path))  # a link stays one
    mode = path.stat().st_mode & 0o777 if path.exists() else None
    beside = path.with_name(f".{uuid.uuid4().hex}{''.join(path.suffixes)}")
    _make(beside, path, 0o666 if mode is None else 0o600)
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


def _make(beside: Path, path: Path, mode: int) -> None:
    """Make the empty file; an error names the place it is for."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    try:
        os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
