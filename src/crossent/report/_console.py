"""How every report is printed: text unbroken, tables without lines, colour on a terminal only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

__all__ = ["print_parts", "table"]

_WIDTH = 100  # where there is no terminal to ask


def table(first: str, *others: str) -> Table:
    """Make a table without lines: the first column to the left, the others to the right."""
    from rich.table import Table

    made = Table(first, box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in others:
        made.add_column(name, justify="right", no_wrap=True)
    return made


def print_parts(console: Console | None, *parts: RenderableType) -> None:
    """Print text and tables, plain and 100 wide where nobody watches."""
    from rich.console import Console

    class Piped(Console):
        def on_broken_pipe(self) -> None:
            """Leave it to the caller what a reader that has left means."""
            raise  # rich calls this from its handler of BrokenPipeError

    console = console or Piped(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDTH
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, str), markup=False)
