"""Tables of results in and out, lines of a page out."""

from __future__ import annotations

import csv
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["ROOT", "Row", "line", "put", "read", "read_if_there", "write"]

ROOT = pathlib.Path(__file__).parent.parent

Row = dict[str, str]


def read(path: pathlib.Path) -> list[Row]:
    """Return a table of results."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def read_if_there(path: pathlib.Path) -> list[Row]:
    """Return a table of results, or no rows where nothing has been measured."""
    return read(path) if path.exists() else []


def write(path: pathlib.Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a table of results; what a row does not name is left empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def line(cells: list[str]) -> str:
    """Return one line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def put(page: pathlib.Path, name: str, lines: list[str]) -> None:
    """Replace what stands between the page's markers of this name."""
    text = page.read_text(encoding="utf-8")
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"{page} must hold one {begin} and one {end}")
    before, rest = text.split(begin)
    _, after = rest.split(end)
    body = "\n".join(lines)
    page.write_text(f"{before}{begin}\n\n{body}\n\n{end}{after}", encoding="utf-8")
