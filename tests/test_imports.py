"""`import crossent` is light: it loads NumPy and itself, starts nothing and touches nothing."""

import json
import pathlib
import subprocess
import sys

import pytest

OPTIONAL = {
    "cupy", "dask", "jax", "joblib", "lightgbm", "matplotlib", "ml_dtypes", "mpmath", "onnx",
    "onnxruntime", "pandas",
    "pyarrow", "rich", "safetensors", "scipy", "sklearn", "threadpoolctl", "torch", "triton",
    "typer", "xgboost",
}  # fmt: skip
REPORT = """
import json, pathlib, sys
tasks = pathlib.Path("/proc/self/task")
threads = len(list(tasks.iterdir())) if tasks.exists() else None
print(json.dumps({"modules": sorted(sys.modules), "threads": threads}))
"""


def after(statement: str) -> dict:
    """Return the modules and threads of a fresh interpreter that ran `statement`."""
    run = subprocess.run(
        [sys.executable, "-c", statement + REPORT], capture_output=True, text=True, check=True
    )
    assert run.stderr == "", "importing must print nothing"
    return json.loads(run.stdout)


def optional_loaded_by(statement: str) -> set[str]:
    """Return the optional packages that `statement` loads."""
    return {name.partition(".")[0] for name in after(statement)["modules"]} & OPTIONAL


def test_import_loads_no_optional_package():
    assert optional_loaded_by("import crossent") == set()


@pytest.mark.parametrize("package", ["mpmath", "sklearn", "rich"])
def test_the_check_sees_a_planted_import(package):
    pytest.importorskip(package)
    assert package in optional_loaded_by(f"import crossent, {package}")


def test_arrays_need_no_optional_package():
    statement = "import crossent; crossent.cross_entropy_value_and_grad([[1.0, 2.0]], [0])"
    assert optional_loaded_by(statement) == set()


def test_import_starts_no_thread():
    alone, ours = after("import numpy"), after("import crossent")
    if alone["threads"] is None:
        pytest.skip("only Linux tells how many threads a process has")
    assert ours["threads"] == alone["threads"]


def test_no_file_hides_a_package():
    """On sys.path a file called torch.py would be imported instead of torch."""
    root = pathlib.Path(__file__).resolve().parents[1]
    hiding = [
        path.relative_to(root).as_posix()
        for folder in ("docs", "tests", "benchmarks", "examples")
        for path in (root / folder).rglob("*.py")
        if path.stem in OPTIONAL | {"numpy"}
    ]
    assert hiding == []
