"""A small table, a model trained on it, and the command line called in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from crossent.cli._app import app

Run = Callable[..., Result]


def rows(n_rows: int = 60, seed: int = 0) -> str:
    """Return a table of three kinds of flowers, well apart, as CSV with an unnamed first column."""
    rng = np.random.default_rng(seed)
    kinds = ["iris", "lily", "rose"]
    lines = [",length,width,kind"]
    for row in range(n_rows):
        kind = row % 3
        length, width = rng.normal([2.0 * kind, -3.0 * kind], 0.3)
        lines.append(f"{row},{length:.3f},{width:.3f},{kinds[kind]}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that calls ``crossent`` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*args: object, stdin: str | bytes | None = None) -> Result:
        return CliRunner().invoke(app, [str(arg) for arg in args], input=stdin)

    return call


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    """Return the path of the table of flowers."""
    path = tmp_path / "flowers.csv"
    path.write_text(rows())
    return path


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a model trained on the flowers."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "flowers.csv").write_text(rows())
    path = folder / "flowers.safetensors"
    args = ["fit", str(folder / "flowers.csv"), "--target", "kind", "-o", str(path)]
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 0, result.output
    return path
