"""``crossent verify module:name``: somebody's function found, judged, and the report written."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from ._progress import progress

__all__ = ["VerifyCommand", "find_function", "judge_function"]


class VerifyCommand(TyperCommand):
    """A command whose ``--json`` may name a file or nothing: standard output."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give a ``--json`` without a file the name ``-``."""
        given = list(args)
        for i, arg in enumerate(given):
            if arg == "--json":
                following = given[i + 1] if i + 1 < len(given) else "--"
                if following.startswith("--") or ":" in following:
                    given.insert(i + 1, "-")
                break
        return super().parse_args(ctx, given)


def judge_function(target: str, like: str | None, strict: bool, files: dict[str, str]) -> bool:
    """Judge the function ``module:name``, write its report, and say whether it passed.

    `files` has the file for "json" ("-" for standard output), "junit" and "html". What the module
    prints goes to standard error.
    """
    from ._targets import output_file

    for file in files.values():
        if file != "-":
            output_file(file, inputs=())
    function, name = find_function(target)
    from ..verify import check

    with progress(f"judging {target}"), contextlib.redirect_stdout(sys.stderr):
        try:
            report = check(function, like, strict=strict, name=name, home=target, raises=False)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    if files.get("json") != "-":
        typer.echo(str(report))
    _write(report, files)
    return report.passed


def _write(report: Any, files: dict[str, str]) -> None:
    from ..verify._judge._files import junit, page

    text = {
        "json": lambda: json.dumps(report.as_dict(), indent=1) + "\n",
        "junit": lambda: junit(report),
        "html": lambda: page(report),
    }
    for form, file in files.items():
        if file == "-":
            typer.echo(text[form](), nl=False)
        else:
            Path(file).write_text(text[form](), encoding="utf-8")


def find_function(target: str) -> tuple[Callable[..., Any], str]:
    """Import ``module:name``, the current directory first; a target that is not there is an error.

    Raises `typer.BadParameter`, which ends the command with 2, saying what was found instead.
    """
    module_name, colon, path = target.partition(":")
    if not colon or not module_name or not path:
        raise typer.BadParameter(f"expected module:name, as in mymodule:softmax, got {target!r}")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            found: Any = importlib.import_module(module_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the module does when it is imported
        reason = f"{type(error).__name__}: {error}"
        raise typer.BadParameter(f"cannot import {module_name}: {reason}") from None
    for part in path.split("."):
        if not hasattr(found, part):
            raise typer.BadParameter(f"{module_name} has no {path!r}; {_offered(found)}")
        found = getattr(found, part)
    if not callable(found):
        raise typer.BadParameter(f"{target} is no function: {type(found).__name__}")
    return found, path.rpartition(".")[2]


def _offered(place: Any) -> str:
    """The functions there, at most eight."""
    names = [n for n, value in vars(place).items() if callable(value) and not n.startswith("_")]
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return f"it has {shown}" if names else "it has no functions"
