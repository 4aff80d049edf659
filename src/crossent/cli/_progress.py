"""Progress of long work: one line on standard error, and only where someone watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["progress"]


@contextmanager
def progress(what: str) -> Iterator[Callable[[Any], None] | None]:
    """Show that something is going on until the body ends.

    Yields
    ------
    callable or None
        A callback for `fit` that shows iteration and loss; None when standard error is no
        terminal, where nothing is shown.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    console = Console(stderr=True, highlight=False, markup=False)
    with Progress(*columns, console=console, transient=True) as display:
        task = display.add_task(what)

        def show(info: Any) -> None:
            text = f"{what}: iteration {info.n_iteration}, objective {info.value:.6g}"
            display.update(task, description=text)

        yield show
