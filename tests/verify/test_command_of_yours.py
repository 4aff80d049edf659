"""``crossent verify module:name``: from the current folder to a report and an exit status."""

import json
import sys
from xml.etree import ElementTree

import pytest

pytest.importorskip("typer")

from crossent.cli import main

GOOD = """
import numpy as np
print("imported")
def softmax(z):
    print("judged_call")
    z = np.asarray(z)
    z = z.astype(float) if z.dtype.kind in "iub" else z
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
def undone(z):
    return scaled(z)
def scaled(z):
    return z / temperature
class Layer:
    softmax = staticmethod(lambda z: np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True))
seven = 7
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with modules, which is the current one."""
    (tmp_path / "judged_good.py").write_text(GOOD)
    (tmp_path / "judged_broken.py").write_text("def softmax(z) return z")
    (tmp_path / "judged_ending.py").write_text("import sys; sys.exit(4)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("judged_")]:
        del sys.modules[name]


@pytest.mark.usefixtures("folder")
def test_a_good_function_ends_with_0_and_what_it_prints_is_kept_apart(capsys):
    assert main(["verify", "judged_good:softmax"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("softmax: passed")
    assert "judged_call" not in out
    assert "judged_call" in err
    assert "imported" in err


def test_files_are_written(folder, capsys):
    files = ["--json", "found.json", "--junit", "found.xml", "--html", "found.html"]
    assert main(["verify", "judged_good:Layer.softmax", "--like", "softmax", *files]) == 1
    out, _ = capsys.readouterr()
    found = json.loads((folder / "found.json").read_text())
    failed = [f for f in found["findings"] if f["status"] == "failed"]
    assert "overflow" in [f["property"] for f in failed]
    assert failed[0]["program"][0].endswith("from judged_good import Layer; f = Layer.softmax")
    suite = ElementTree.parse(folder / "found.xml").getroot()
    assert suite.attrib["failures"] == str(len(failed))
    assert "<title>softmax, judged</title>" in (folder / "found.html").read_text()
    assert all(line in out for line in failed[0]["program"])


@pytest.mark.parametrize("option", ["--json", "--junit", "--html"])
def test_a_file_that_cannot_be_written_is_said_before_the_work(folder, option, capsys):
    missing = str(folder / "missing" / "found")
    assert main(["verify", "judged_good:softmax", option, missing]) == 1
    out, err = capsys.readouterr()
    assert "cannot be written: there is no folder" in err
    assert "judged_call" not in err
    assert not out


@pytest.mark.usefixtures("folder")
def test_json_without_a_file_is_all_that_standard_output_has(capsys):
    assert main(["verify", "--json", "judged_good:softmax"]) == 0
    assert json.loads(capsys.readouterr().out)["like"] == "softmax"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["judged_good"], "expected module:name, as in mymodule:softmax, got 'judged_good'"),
        (["judged_nowhere:softmax"], "cannot import judged_nowhere: ModuleNotFoundError"),
        (["judged_broken:softmax"], "cannot import judged_broken: SyntaxError"),
        (["judged_ending:softmax"], "cannot import judged_ending: SystemExit: 4"),
        (["judged_good:softmin"], "judged_good has no 'softmin'; it has softmax, undone, scaled"),
        (["judged_good:seven"], "judged_good:seven is no function: int"),
        (["judged_good:softmax", "--like", "softmin"], "like must be one of"),
        (["judged_good:undone"], "it raised NameError: name 'temperature' is not defined ("),
        (["judged_good:undone"], "judged_good.py, line 13: return z / temperature); name one of"),
        (["--strict"], "need a MODULE:NAME"),
    ],
)
def test_a_wrong_call_is_one_line_and_2(args, text, capsys):
    assert main(["verify", *args]) == 2
    _, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line.startswith("crossent:")]
    assert len(lines) == 1
    assert text in lines[0]
    assert "Traceback" not in err


@pytest.mark.usefixtures("folder")
def test_strict_requires_the_notes(capsys):
    assert main(["verify", "judged_good:softmax", "--strict"]) == 1
    assert "FAIL  sixteen bits" in capsys.readouterr().out
