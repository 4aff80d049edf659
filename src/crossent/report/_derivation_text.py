"""A derivation on a terminal: one table a step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ._console import print_parts, table
from ._derivation import Derivation, Float32, Step
from ._spelling import short, short_ulp

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["print_derivation"]

_DIGITS, _FLOAT32_DIGITS, _MATRIX_DIGITS = 15, 9, 4
_COLUMNS = 5  # of a matrix: more do not fit into 80 characters


def print_derivation(derivation: Derivation, console: Console | None = None) -> None:
    """Print every step: its formula, the exact numbers, float32 beside them and its error in ulp.

    Parameters
    ----------
    derivation : Derivation
    console : rich.console.Console, optional
        Standard output by default.
    """
    names = [_name(derivation, k) for k in derivation.classes]
    parts: list[Any] = [
        f"Softmax of {derivation.n_classes} logits, step by step. float32 is the formula as it "
        "stands, crossent this library; ulp counts how far each is off."
    ]
    for number, step in enumerate(derivation.steps, 1):
        parts += ["", f"{number}  {step.title}   {step.formula}"]
        if isinstance(step.exact, str):
            parts.append(_scalar_table(step))
        elif isinstance(step.exact[0], str):
            parts.append(_class_table(step, names))
        else:
            parts += [*_matrix_tables(step, names), _largest_error(step.formula_float32)]
    print_parts(console, *parts, "", *derivation.notes)


def _name(derivation: Derivation, k: int) -> str:
    return f"{k} (label)" if k == derivation.label else str(k)


def _columns(step: Step) -> list[str]:
    ours = ["crossent", "ulp"] if step.crossent_float32 else []
    return ["exact", "float32", "ulp", *ours]


def _class_table(step: Step, names: list[str]) -> Table:
    result = _whole(table("class", *_columns(step)))
    for i, (name, exact) in enumerate(zip(names, step.exact, strict=True)):
        compared = [
            cell
            for source in (step.formula_float32, step.crossent_float32)
            if source is not None
            for cell in _cells(source.value[i], source.error[i])
        ]
        result.add_row(name, short(exact, _DIGITS), *compared)
    return result


def _scalar_table(step: Step) -> Table:
    result = _whole(table("", *_columns(step)))
    compared = [
        cell
        for source in (step.formula_float32, step.crossent_float32)
        if source is not None
        for cell in _cells(source.value, source.error)
    ]
    result.add_row("", short(step.exact, _DIGITS), *compared)
    return result


def _cells(value: float, error: float) -> tuple[str, str]:
    return short(value, _FLOAT32_DIGITS), short_ulp(error)


def _matrix_tables(step: Step, names: list[str]) -> Iterator[Table]:
    """Rows j, columns k, some of them at a time; on a terminal up is red and down is blue."""
    for start in range(0, len(names), _COLUMNS):
        some = slice(start, start + _COLUMNS)
        result = _whole(table("j \\ k", *names[some]))
        for name, row in zip(names, step.exact, strict=True):
            result.add_row(name, *(_tinted(entry) for entry in row[some]))
        yield result


def _whole(made: Table) -> Table:
    """Let a number that is too long go on in the next line: cut off, it would be another one."""
    for column in made.columns:
        column.no_wrap, column.overflow = False, "fold"
    return made


def _tinted(entry: str) -> Any:
    from rich.text import Text

    return Text(short(entry, _MATRIX_DIGITS), style="blue" if entry.startswith("-") else "red")


def _largest_error(compared: Float32) -> str:
    largest = max(error for row in compared.error for error in row)
    return f"exact; in float32 off by at most {short_ulp(largest)} ulp"
