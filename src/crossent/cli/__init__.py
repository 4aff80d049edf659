"""The command line: from a table to a trained network and back.

`main` is what the console script calls; everything else is loaded when a command needs it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]

_NEEDED = {
    *("typer", "rich", "pyarrow", "sklearn", "scipy", "safetensors"),
    *("mpmath", "hypothesis", "jinja2", "latex2mathml"),
}


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    args : sequence of str, optional
        What stands after ``crossent``; by default what the process was called with.

    Returns
    -------
    int
        0 when all is well, 1 when the work failed (a missing or bad file is that), 2 when the call
        was wrong (an option, a column), 130 after Ctrl-C.
    """
    try:
        from ._app import run

        return run(args)
    except ModuleNotFoundError as error:
        return missing_package(error)
    except KeyboardInterrupt:  # while the packages were being loaded
        return 130


def missing_package(error: ModuleNotFoundError) -> int:
    """Say in one line how to install what the command line needs, and give the exit status."""
    package = (error.name or "").partition(".")[0]
    if package not in _NEEDED:
        raise error
    print(
        f'crossent: the command line needs {package}: pip install "crossent[cli]"', file=sys.stderr
    )
    return 1
