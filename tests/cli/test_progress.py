"""Progress shows where someone watches, and nowhere else."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest

from crossent.cli._progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_the_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with progress("training on [red] rows") as callback:
        assert callback is not None
        assert callback(SimpleNamespace(n_iteration=7, value=0.25, gradient_norm=0.5)) is None
    assert "training on [red] rows: iteration 7, objective 0.25" in screen.getvalue()


def test_a_file_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    with progress("training") as callback:
        assert callback is None
    assert file.getvalue() == ""
