"""``crossent verify``: a function of yours, or every operation on every floor, judged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import typer

from ._judge import VerifyCommand, judge_function
from ._progress import progress

__all__ = ["VerifyCommand", "verify"]

_FLOORS = ("numpy", "baseline", "avx2", "avx512")
_WIDTH = 150  # where there is no terminal to ask
_JUDGE = "from crossent.cli._verify import print_records; print_records()"


def verify(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODULE:NAME]", help="The function to judge; without one, crossent."
        ),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(help="What it is: softmax, log_softmax, logsumexp, cross_entropy, ..."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Require the notes too.")] = False,
    as_json: Annotated[
        str | None,
        typer.Option("--json", metavar="[FILE]", help="Write JSON, to a file or instead of text."),
    ] = None,
    junit: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write JUnit XML for CI services.")
    ] = None,
    html: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write one self-contained page.")
    ] = None,
) -> None:
    """Judge a function of yours, or crossent itself, against the truth in mpmath.

    MODULE:NAME is a softmax, a log-softmax, a logsumexp, a cross-entropy, with or without a linear
    layer or its gradient, in NumPy, torch or JAX; the current folder is searched first. Each
    failing property comes with three lines that show it. Exits with 1 where a required property
    fails; precision beyond the textbook formula's is a note unless --strict.

    Without MODULE:NAME, every operation of crossent is judged on every floor of kernels. Each floor
    this machine has runs in a process of its own. Exits with 1 where an error is beyond what is
    allowed: twice the plain formula's of the same entry in the same precision (or 2 ulp, in 16 bits
    half of one), and one ulp.
    """
    files = {"json": as_json, "junit": junit, "html": html}
    if target is not None:
        given = {form: file for form, file in files.items() if file is not None}
        passed = judge_function(target, like, strict, given)
    else:
        if like or strict or junit or html:
            raise typer.BadParameter("--like, --strict, --junit and --html need a MODULE:NAME")
        passed = judge_floors(as_json)
    if not passed:
        raise typer.Exit(1)


def judge_floors(as_json: str | None) -> bool:
    """Judge crossent on every floor, print or write what was found, and say whether all passed."""
    with progress("judging the operations on every floor"):
        absent = {floor: reason for floor in _FLOORS if (reason := _why_absent(floor))}
        floors = [floor for floor in _FLOORS if floor not in absent]
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            records = [record for found in pool.map(_records, floors) for record in found]
    text = json.dumps({"floors": floors, "absent": absent, "records": records})
    if as_json == "-":
        typer.echo(text)
    else:
        _print_table(records, floors, absent)
    if as_json not in (None, "-"):
        Path(as_json).write_text(text + "\n", encoding="utf-8")
    return all(record["passed"] for record in records)


def print_records() -> None:
    """Judge the floor in use and print its records as JSON: what each floor's process runs."""
    import crossent
    from crossent.verify import run
    from crossent.verify._problems import OPERATIONS

    every = [operation.name for operation in OPERATIONS]
    print(json.dumps([record.as_dict() for record in run(crossent, operations=every)]))


def _python(floor: str, code: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"CROSSENT_KERNELS": floor}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]


def _why_absent(floor: str) -> str:
    """Why crossent cannot be imported on a floor; nothing where it can."""
    done = _python(floor, "import crossent")
    return _last_line(done.stderr) if done.returncode else ""


def _records(floor: str) -> list[dict[str, Any]]:
    """The records of one floor."""
    done = _python(floor, _JUDGE)
    if done.returncode:
        raise RuntimeError(f"judging the {floor} kernels ended with {_last_line(done.stderr)}")
    return [{"floor": floor, **record} for record in json.loads(done.stdout)]


def _worst(records: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The record furthest off; one that failed goes before any that passed."""
    return max(records, key=lambda r: (not r["passed"], float(r["ulp"])))


def _print_table(records: list[dict[str, Any]], floors: list[str], absent: dict[str, str]) -> None:
    """Operation x dtype x floor: the worst error in ulp; then what failed, and what is not here."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Worst error in ulp against mpmath, by floor of kernels")
    for name in ("operation", "dtype"):
        table.add_column(name, no_wrap=True)
    for name in (*floors, "allowed there"):
        table.add_column(name, justify="right")
    table.add_column("worst case")
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault((record["operation"], record["dtype"]), []).append(record)
    previous = None
    for (operation, dtype), group in groups.items():
        if operation != previous:
            table.add_section()
        cells = [_cell(record for record in group if record["floor"] == f) for f in floors]
        worst = _worst(group)
        allowed = f"{float(worst['bound']):.3g}"
        shown = operation if operation != previous else ""
        table.add_row(shown, dtype, *cells, allowed, f"{worst['output']}: {worst['case']}")
        previous = operation
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    console.print(table)
    failed = [record for record in records if not record["passed"]]
    for r in failed:
        console.print(
            f"FAILED {r['floor']} {r['operation']} {r['dtype']} ({r['case']}): {r['output']} "
            f"{r['problem']}; at {r['index']} expected {r['expected']}, got {r['got']}",
            markup=False, highlight=False,
        )  # fmt: skip
    for floor, reason in absent.items():
        console.print(f"not judged: {floor} ({reason})", markup=False, highlight=False)
    console.print(f"{len(records)} results judged, {len(failed)} failed")


def _cell(records: Iterable[dict[str, Any]]) -> str:
    worst = _worst(records)
    figure = f"{float(worst['ulp']):.2f}"
    return figure if worst["passed"] else f"[bold red]{figure} failed[/]"
