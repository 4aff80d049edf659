"""Judge what people call, and write docs/peers.md; judge planted faults, and write docs/faults.md.

    python -m benchmarks.peers_page [peers | faults]

Every failing entry of the first page is shown by three lines that anyone can run. The second page
is the list of the wrong implementations in tests/verify/wrong.py with what caught each.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import pathlib
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

from .judged import PEERS

ROOT = pathlib.Path(__file__).parent.parent
MARKS = {"passed": "✓", "failed": "✗", "noted": "note", "not applicable": "", "not judged": "?"}


def judged(home: str, like: str) -> dict[str, Any]:
    """Judge a function in a process of its own, as `crossent verify` does."""
    command = [sys.executable, "-m", "crossent", "verify", home, "--like", like, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode > 1:
        raise RuntimeError(f"{home} was not judged: {done.stderr.strip()}")
    return json.loads(done.stdout)


def versions() -> str:
    """Name the versions that were judged."""
    names = ("numpy", "scipy", "torch", "jax")
    return ", ".join(f"{n} {importlib.import_module(n).__version__}" for n in names)


def peers() -> str:
    """Return the page on the peers."""
    found = {
        heading: [(home, judged(home, like)) for home, like in functions]
        for heading, functions in PEERS.items()
    }
    parts = [
        "# What people call, judged",
        "",
        "`crossent verify` on the textbook formula, SciPy, torch, JAX and crossent itself: each",
        "property ([what they are](api/verify.md#the-properties)), each failing one with the",
        "smallest example that was found and three lines that show it. ✗ is a required property",
        'that fails, "note" one that is not required; an empty cell is a property that the',
        f"function has not got. Judged: {versions()}; written by `make peers`.",
        "",
    ]
    for heading, reports in found.items():
        parts += [f"## {heading}", "", *table(reports), "", *details(reports)]
    return "\n".join(parts).rstrip() + "\n"


def table(reports: list[tuple[str, dict[str, Any]]]) -> Iterable[str]:
    """Return property by function, without the properties that none of them has."""
    yield "| property | " + " | ".join(f"`{home.replace(':', '.')}`" for home, _ in reports) + " |"
    yield "|---" * (len(reports) + 1) + "|"
    columns = [{f["property"]: f["status"] for f in report["findings"]} for _, report in reports]
    for name in columns[0]:
        marks = [MARKS[column[name]] for column in columns]
        if any(marks):
            yield f"| {name} | " + " | ".join(marks) + " |"
    worst = [max((_ulp(e["ulp"]) for e in r["errors_in_ulp"]), default=0) for _, r in reports]
    yield "| worst error, ulp | " + " | ".join(f"{ulp:.3g}" for ulp in worst) + " |"


def _ulp(value: float | str) -> float:
    return float(value)


def details(reports: list[tuple[str, dict[str, Any]]]) -> Iterable[str]:
    """Return every failing property with its three lines."""
    for home, report in reports:
        failing = [f for f in report["findings"] if f["status"] in ("failed", "noted")]
        for finding in failing:
            yield f"**{home.replace(':', '.')}, {finding['property']}**: {finding['message']}"
            yield ""
            yield "```py"
            yield from finding["program"]
            yield "```"
            yield ""


def faults() -> str:
    """Return the page on the planted faults."""
    from crossent.verify import check
    from tests.verify.wrong import WRONG

    parts = [
        "# Planted faults, and what caught each",
        "",
        "The judge is judged by wrong implementations of the kind that people write. A test plants",
        "each, and each must be caught and named right; functions that are right in odd styles",
        "must not be accused (`tests/verify/right.py`). Written by",
        "`python -m benchmarks.peers_page faults`; a test holds the list in step.",
        "",
        "| fault | in a | caught by | what it says |",
        "|---|---|---|---|",
    ]
    for function, (like, expected, _) in WRONG.items():
        with np.errstate(all="ignore"):
            report = check(function, like, raises=False)
        finding = report[expected]
        kind = "" if finding.required else " (a note)"
        name = function.__name__.replace("_", " ")
        message = finding.message.replace("|", "\\|").replace("<", "&lt;")
        parts.append(f"| {name} | {report.kind} | {expected}{kind} | {message} |")
    parts += ["", f"{len(WRONG)} faults. As they are written:", "", "```py"]
    parts += [inspect.getsource(function).rstrip() + "\n" for function in WRONG]
    return "\n".join(parts).rstrip() + "\n```\n"


PAGES = {"peers": peers, "faults": faults}


def main() -> None:
    """Write the pages asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", nargs="?", choices=[*PAGES])
    page = parser.parse_args().page
    for name in [page] if page else PAGES:
        text = PAGES[name]()
        (ROOT / "docs" / f"{name}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
