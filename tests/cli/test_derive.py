"""``crossent derive``: numbers that begin with a dash, options that do not exist, three forms."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from crossent.report import Derivation, derive

from .conftest import Run


def test_text(run: Run) -> None:
    result = run("derive", "1.0", "2.0", "3.0", "--label", "2")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    headings = [" ".join(words[1:3]) for words in lines if words and words[0].isdigit()]
    for title in ("Jacobian of", "Gradient by", "Cross-entropy E"):
        assert title in headings
    assert ["2", "(label)", "-0.334759044225178", "-0.33475906", "0.41"] in [w[:5] for w in lines]
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize(
    "call", ["1 -3", "-1 -3", "-1e-3 -.5", "-1. 2", "1 -- -3", "1 -3 --label 1", "--label 0 -1 -2"]
)
def test_negative_numbers_are_numbers(run: Run, call: str) -> None:
    result = run("derive", "--json", *call.split())
    assert result.exit_code == 0, result.output
    words = re.sub(r"--label \d|-- ", "", call).split()
    expected = tuple(float(word) for word in words)
    assert Derivation.from_json(result.stdout).logits == expected


def test_json_is_the_record(run: Run) -> None:
    call = ("0.5", "-2", "--targets", "0.25, 0.75", "--temperature", "2", "--smoothing", "0.1")
    result = run("derive", *call, "--json")
    due = derive([0.5, -2.0], targets=[0.25, 0.75], temperature=2.0, smoothing=0.1)
    assert result.stdout == due.to_json() + "\n"
    assert json.loads(result.stdout)["steps"][1]["name"] == "tempered"


def test_page(run: Run, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("what was here before")
    result = run("derive", "1", "-3", "--label", "0", "--html", "page.html")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "written: page.html\n"
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    both = run("derive", "1", "-3", "--html", "page.html", "--json")
    assert json.loads(both.stdout)["label"] is None


@pytest.mark.parametrize(
    ("call", "status", "text"),
    [
        ("1 2 --lable 1", 2, "No such option: --lable (--help lists them)"),
        ("1 2 --lable=1", 2, "No such option: --lable (--help lists them)"),
        ("1 -x", 2, "No such option: -x (--help lists them)"),
        ("", 2, "Missing argument 'LOGIT'"),
        ("1", 2, "at least two logits, one for each class, got 1"),
        ("1 two", 2, "logits: 'two' is not a number"),
        ("1 nan", 2, "logits[1] is nan: give finite numbers"),
        ("1 -inf", 2, "logits[1] is -inf: give finite numbers"),
        ("1 1e400", 2, "logits[1] is inf: give finite numbers"),
        ("1 2 --label 2", 2, "label is 2, but there are 2 classes (0 ... 1)"),
        ("1 2 --label -1", 2, "label is -1, but there are 2 classes (0 ... 1)"),
        ("1 2 --label one", 2, "Invalid value for '--label'"),
        ("1 2 --targets 1", 2, "targets need one number for each of the 2 logits, got 1"),
        ("1 2 --targets 1,-1", 2, "targets[1] is -1: targets must not be negative"),
        ("1 2 --targets 1,a", 2, "targets: 'a' is not a number"),
        ("1 2 --targets 1,0 --label 0", 2, "give a label or targets, not both"),
        ("1 2 --temperature 0", 2, "temperature must be positive"),
        ("1 2 --label 0 --smoothing 2", 2, "smoothing must be in [0, 1], got 2.0"),
        ("1 2 --html no/page.html", 1, "no/page.html cannot be written: there is no folder no"),
        ("1 2 --html .", 1, ". is a folder: expected the name of a file to write"),
    ],
)
def test_errors_are_one_line(run: Run, call: str, status: int, text: str) -> None:
    result = run("derive", *call.split())
    assert (result.exit_code, result.stdout) == (status, "")
    assert text in result.stderr
    assert result.stderr.count("\n") == 1
