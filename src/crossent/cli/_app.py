"""The commands put together, and how each of them ends: quietly, or with one line."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from . import missing_package
from ._bench import bench
from ._derive import NUMBERS_ARE_ARGUMENTS, derive
from ._evaluate import evaluate
from ._fit import fit
from ._predict import predict
from ._verify import VerifyCommand, verify

__all__ = ["app", "run"]

_FAILED, _WRONG_CALL, _INTERRUPTED, _BROKEN_PIPE = 1, 2, 130, 141


class _Group(TyperGroup):
    """The commands; an error becomes one line on standard error and an exit status."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command; ``--traceback`` may stand anywhere."""
        args = list(sys.argv[1:] if args is None else args)
        show_traceback = "--traceback" in args
        args = [arg for arg in args if arg != "--traceback"]
        try:
            status = super().main(args, prog_name, standalone_mode=False, **extra) or 0
        except KeyboardInterrupt:
            status = _INTERRUPTED
        except ModuleNotFoundError as error:
            status = missing_package(error)
        except Exception as error:
            if show_traceback:
                traceback.print_exc()
            status = _report(error)
        if standalone_mode:
            sys.exit(status)
        return status

    def invoke(self, ctx: Any) -> Any:
        """Run the command and flush what it printed; a reader that has left is no error."""
        try:
            result = super().invoke(ctx)
            if sys.stdout is not None:  # as under >&-
                sys.stdout.flush()
        except BrokenPipeError:
            # what is still buffered has nowhere to go: let the interpreter flush it into nothing
            if sys.stdout is not None:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(_BROKEN_PIPE) from None
        return result


def _report(error: Exception) -> int:
    """Print the error as one line and give the exit status it stands for."""
    status = _FAILED
    wrong_call = getattr(error, "format_message", None)  # typer's own errors have one
    if wrong_call is not None:
        text, status = wrong_call(), _WRONG_CALL
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    elif isinstance(error, MemoryError):
        text = f"there is not enough memory: {error}"
    elif isinstance(error, ValueError):  # says itself what was expected, what came, what to do
        from ..data._table import ColumnError

        text, status = str(error), _WRONG_CALL if isinstance(error, ColumnError) else _FAILED
    else:
        text = f"unexpected {type(error).__name__}: {error} (--traceback shows where)"
    print("crossent:", " ".join(text.split()), file=sys.stderr)
    return status


app = typer.Typer(
    name="crossent",
    cls=_Group,
    add_completion=False,
    rich_markup_mode=None,
)
for command in (fit, predict, evaluate):
    app.command()(command)
app.command(cls=VerifyCommand)(verify)
app.command(context_settings=NUMBERS_ARE_ARGUMENTS)(derive)
app.command()(bench)


def _print_version(wanted: bool) -> None:
    if wanted:
        from .._version import __version__

        typer.echo(f"crossent {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def commands(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and stop."
        ),
    ] = False,
    with_traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where an error arose (anywhere in the call).")
    ] = False,
) -> None:
    """Train the output layer of a classifier on a table, use it, and see how it works."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def run(args: Sequence[str] | None = None) -> int:
    """Run the command line and give its exit status."""
    command = typer.main.get_command(app)
    return command.main(args, standalone_mode=False, prog_name="crossent")
