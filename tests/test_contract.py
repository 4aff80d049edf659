"""The import contract of pyproject.toml holds, and it is one that can be broken."""

import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


def check_contract(root: pathlib.Path) -> subprocess.CompletedProcess:
    """Run the linter on the tree at `root`.

    Without `site` (-S) the editable installation does not stand in front of that tree.
    """
    installed = sysconfig.get_paths()
    path = [str(root / "src"), installed["purelib"], installed["platlib"]]
    return subprocess.run(
        [sys.executable, "-S", "-c", "from importlinter.cli import lint_imports_command as c; c()",
         "--config", str(root / "pyproject.toml"), "--no-cache"],
        cwd=root, env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "COLUMNS": "200"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def tree(tmp_path):
    """Return a copy of what the linter reads, to break."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("*.so"))
    return tmp_path


def test_imports_go_down_only(tree):
    checked = check_contract(tree)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("module", "statement", "said"),
    [
        ("_typing.py", "from crossent import ops", "crossent._typing"),
        ("features/__init__.py", "import crossent.data", "crossent.features"),
        ("ops/__init__.py", "def late():\n    import crossent.estimators", "crossent.ops"),
        ("verify/__init__.py", "import crossent.ops", "crossent.verify"),
    ],
)
def test_a_planted_import_breaks_the_contract(tree, module, statement, said):
    path = tree / "src" / "crossent" / module
    path.write_text(f"{path.read_text()}\n{statement}\n")
    checked = check_contract(tree)
    assert checked.returncode != 0
    assert "BROKEN" in checked.stdout
    assert said in checked.stdout
