"""The command that prints the differential table."""

import json

import pytest

pytest.importorskip("typer")
typer_testing = pytest.importorskip("typer.testing")

import typer  # noqa: E402

from crossent.cli import _verify  # noqa: E402

BRIEF = """
import json, crossent
from crossent.verify import run
print(json.dumps([r.as_dict() for r in run(crossent, operations=["sigmoid", "logsumexp_jvp"])]))
"""
BROKEN = BRIEF.replace("run(crossent,", "run({'sigmoid': abs, 'logsumexp_jvp': abs},")


def call(*args):
    app = typer.Typer()
    app.command(cls=_verify.VerifyCommand)(_verify.verify)
    return typer_testing.CliRunner().invoke(app, list(args))


@pytest.fixture
def one_floor(monkeypatch):
    """Only NumPy's floor, and a short table."""
    monkeypatch.setattr(_verify, "_FLOORS", ("numpy",))
    monkeypatch.setattr(_verify, "_JUDGE", BRIEF)


@pytest.mark.usefixtures("one_floor")
def test_table():
    result = call()
    assert result.exit_code == 0, result.output
    for text in ("sigmoid", "logsumexp_jvp", "float16", "float64", "numpy", "0 failed"):
        assert text in result.output
    assert all(len(line) <= _verify._WIDTH for line in result.output.splitlines())


@pytest.mark.usefixtures("one_floor")
def test_json():
    result = call("--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["floors"] == ["numpy"]
    assert found["absent"] == {}
    assert {record["operation"] for record in found["records"]} == {"sigmoid", "logsumexp_jvp"}
    assert all(record["passed"] for record in found["records"])


@pytest.mark.usefixtures("one_floor")
def test_failures_are_shown_and_end_with_1(monkeypatch):
    monkeypatch.setattr(_verify, "_JUDGE", BROKEN)
    result = call()
    assert result.exit_code == 1
    assert "FAILED numpy sigmoid float32 (normal): value" in result.output
    assert "raised TypeError" in result.output


def test_floor_that_is_not_here_is_named_with_its_reason(monkeypatch):
    monkeypatch.setattr(_verify, "_FLOORS", ("numpy", "abacus"))
    monkeypatch.setattr(_verify, "_JUDGE", BRIEF)
    result = call()
    assert result.exit_code == 0
    assert "not judged: abacus (ImportError: CROSSENT_KERNELS must be one of" in result.output


def test_each_floor_has_a_process_with_its_own_kernels():
    code = "import crossent; print(crossent.build_info()['isa'])"
    assert _verify._python("numpy", code).stdout.strip() == "numpy"


@pytest.mark.usefixtures("one_floor")
def test_judging_that_ends_badly_is_an_error(monkeypatch):
    monkeypatch.setattr(_verify, "_JUDGE", "raise SystemError('planted')")
    result = call()
    assert isinstance(result.exception, RuntimeError)
    assert "numpy kernels ended with SystemError: planted" in str(result.exception)


def test_print_records_asks_for_every_operation(monkeypatch, capsys):
    from crossent import verify
    from crossent.verify._problems import OPERATIONS

    asked = []
    monkeypatch.setattr(
        verify, "run", lambda _, operations: asked.extend(operations) or [], raising=False
    )
    _verify.print_records()
    assert asked == [operation.name for operation in OPERATIONS]
    assert json.loads(capsys.readouterr().out) == []
