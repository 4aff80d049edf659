"""A table in memory, and the errors of one that cannot be used."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

__all__ = ["ColumnError", "Table", "TableError", "first_line"]


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


def first_line(error: BaseException) -> str:
    """What an error says, as one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
