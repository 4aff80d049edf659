"""The command as a process of its own: pipes, signals, packages that are not there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from .conftest import rows

COMMAND = [sys.executable, "-m", "crossent"]


def crossent(*args: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *(str(arg) for arg in args)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, **options
    )  # type: ignore[call-overload]


def test_from_a_table_to_predictions_and_back(tmp_path: Path) -> None:
    fitted = crossent(
        *("fit", "-", "--target", "kind", "-o", "m.safetensors"), input=rows(), cwd=tmp_path
    )
    assert (fitted.returncode, fitted.stderr) == (0, "")
    assert "held out" in fitted.stdout
    found = crossent("predict", "m.safetensors", "-", input=rows(6, seed=1), cwd=tmp_path)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.split() == ["prediction", *["iris", "lily", "rose"] * 2]


def test_errors_are_one_line_without_a_traceback(tmp_path: Path) -> None:
    found = crossent("evaluate", "none.safetensors", "none.csv", cwd=tmp_path)
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr.count("\n") == 1
    assert found.stderr.startswith("crossent: ")
    found = crossent("evaluate", cwd=tmp_path)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.count("\n") == 1


def test_help_and_version() -> None:
    from crossent import __version__

    assert crossent("--version").stdout == f"crossent {__version__}\n"
    bare, with_option = crossent(), crossent("--help")
    assert bare.stdout == with_option.stdout
    assert (bare.returncode, with_option.returncode) == (0, 0)
    for command in ("fit", "predict", "evaluate", "bench"):
        assert command in bare.stdout
        assert crossent(command, "--help").stdout.startswith(f"Usage: crossent {command} ")


@pytest.mark.parametrize("package", ["typer", "rich", "pyarrow", "sklearn"])
def test_a_package_that_is_not_there(tmp_path: Path, package: str) -> None:
    (tmp_path / "t.csv").write_text(rows())
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from crossent.cli import main\n"
        "sys.exit(main(['fit', 't.csv', '--target', 'kind']))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=120,
    )
    assert (found.returncode, found.stdout) == (1, "")
    line = f'crossent: the command line needs {package}: pip install "crossent[cli]"\n'
    assert found.stderr == line


def test_a_bug_in_our_own_imports_is_not_hidden() -> None:
    code = (
        "import sys; sys.modules['crossent.cli._app'] = None\n"
        "from crossent.cli import main\nmain([])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert found.returncode == 1
    assert "ModuleNotFoundError: import of crossent.cli._app halted" in found.stderr


def test_help_needs_no_package_that_only_the_work_needs() -> None:
    code = (
        "import sys\nfrom crossent.cli import main\nmain(['fit', '--help'])\n"
        "print(sorted({'sklearn', 'scipy', 'pyarrow', 'torch'} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert found.stdout.splitlines()[-1] == "[]"


def test_the_script_is_the_module() -> None:
    scripts = [entry for entry in entry_points(group="console_scripts") if entry.name == "crossent"]
    if not scripts:
        pytest.skip("crossent is imported from its source tree: it has no script")
    assert {entry.value for entry in scripts} == {"crossent.cli:main"}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGPIPE to speak of")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("n_rows", [6, 30_000])  # less and more than a pipe holds
def test_a_reader_that_leaves_is_no_error(
    model: Path, tmp_path: Path, n_rows: int, unbuffered: str
) -> None:
    (tmp_path / "t.csv").write_text(rows(n_rows))
    process = subprocess.Popen(
        [*COMMAND, "predict", str(model), str(tmp_path / "t.csv")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    assert process.stdout is not None
    if n_rows > 6:
        assert process.stdout.readline() == "prediction\n"
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait(timeout=60) == 141


def _heed_interrupts() -> None:
    """What a shell starts in the background ignores them, and so would what it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is another thing there")
def test_an_interrupt_ends_quietly(model: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "predict", str(model), "-", "-o", "p.csv"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        preexec_fn=_heed_interrupts,
    )
    assert process.stdin is not None
    process.stdin.write(rows(30_000))  # more than a pipe holds: it comes back once reading began
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    printed = process.communicate(timeout=60)  # between two reads, a signal waits for the next end
    assert (process.returncode, *printed) == (130, "", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["evaluate", "fit"])
def test_reports_end_quietly_where_the_reader_has_left(command: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(rows())
    fit = ["fit", "t.csv", "--target", "kind", "-o", "m.safetensors"]
    assert crossent(*fit, cwd=tmp_path).returncode == 0
    arguments = fit if command == "fit" else ["evaluate", "m.safetensors", "t.csv"]
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as output:
        process = subprocess.run(
            [*COMMAND, *arguments], stdout=output, stderr=subprocess.PIPE, cwd=tmp_path, check=False
        )
    assert (process.returncode, process.stderr) == (141, b"")


def test_a_closed_standard_output_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(rows())
    line = " ".join([*COMMAND, "fit", "t.csv", "--target", "kind", "-o", "m.safetensors", ">&-"])
    found = subprocess.run(["sh", "-c", line], stderr=subprocess.PIPE, cwd=tmp_path, check=False)
    assert (found.returncode, found.stderr) == (0, b"")
    assert (tmp_path / "m.safetensors").exists()
