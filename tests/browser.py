"""A real browser, where the machine has one: what a page looks like once it is laid out."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    *("--headless", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--mute-audio"),
    *("--no-sandbox", "--disable-dev-shm-usage", "--virtual-time-budget=5000"),
)


def browser() -> str:
    """Return the browser's path; the test is skipped where there is none."""
    named = os.environ.get("CROSSENT_BROWSER")
    if named and shutil.which(named) is None:
        pytest.fail(f"CROSSENT_BROWSER names {named}, which is no program")
    found = named or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed (see CONTRIBUTING.md)")
    return found


def run(page: Path, *flags: str, width: int = 1000, height: int = 2000) -> str:
    """Open a page and return what the browser prints."""
    profile = page.parent / "profile"
    command = [
        browser(), *FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}", *flags,
        page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def ask(page: Path, script: str, **size: int) -> Any:
    """Return what a script's `answer` is once the page is laid out; the page itself stays as is."""
    asked = page.with_name(f"asked-{page.name}")
    asked.write_text(
        page.read_text(encoding="utf-8")
        + "<script>addEventListener('load', () => { let answer;\n"
        + f"{script}\n"
        + "const told = document.createElement('pre'); told.id = 'told';"
        + "told.textContent = JSON.stringify(answer); document.body.append(told); });</script>",
        encoding="utf-8",
    )
    told = re.search(r'<pre id="told">(.*?)</pre>', run(asked, "--dump-dom", **size), re.DOTALL)
    assert told is not None, "the page's script gave no answer"
    return json.loads(html.unescape(told.group(1)))


def picture(page: Path, **size: int) -> Any:
    """Return the page as the browser draws it, (height, width, colours)."""
    import matplotlib.pyplot as plt

    path = page.with_suffix(".png")
    run(page, f"--screenshot={path}", **size)
    return plt.imread(path)
