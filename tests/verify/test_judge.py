"""The judge of anyone's function, judged: planted faults are named, odd styles are not accused."""

import json
import re
import subprocess
import sys
from ast import literal_eval
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy import special

import crossent
from crossent.verify import Rejected, check
from crossent.verify._judge import _limit
from crossent.verify._judge._files import junit, page
from crossent.verify._judge._judge import PROPERTIES
from tests.verify.right import RIGHT, of_a_list
from tests.verify.wrong import WRONG, no_shift, textbook

ROOT = Path(__file__).resolve().parents[2]

# What shows itself in more than one entry of one result, or by chance.
_WITH_STATE = {"counts_calls", "cached_by_shape", "silences", "thread_unsafe"}
_NOT_BY_ENTRY = {"thread safety", "side effects", "input unchanged", "aliasing", "determinism"}


def name_of(function):
    return getattr(function, "__name__", type(function).__name__)


@pytest.mark.parametrize("function", WRONG, ids=name_of)
def test_planted_fault_is_caught_and_named(function):
    like, expected, word = WRONG[function]
    report = check(function, like, raises=False)
    finding = report[expected]
    assert not finding.passed, report
    assert word in finding.message
    assert len(finding.program) == 3
    if function.__name__ not in _WITH_STATE:
        for other in (*report.failed, *report.notes):
            reproduced(other)


def reproduced(finding):
    """Run the three lines: they raise, or show the entry that the finding names."""
    if finding.name in _NOT_BY_ENTRY or not finding.program:
        return
    head, data, last = finding.program
    last = last.partition("  # ")[0]
    space = {}
    if "raised" in finding.message:
        exec("\n".join((head, data)), space)
        with pytest.raises(Exception, match=r"."):
            exec(last, space)
        return
    shown = []
    space["print"] = lambda *values: shown.extend(values)
    with np.errstate(all="ignore"):
        exec("\n".join((head, data, last)), space)
    assert shown
    if finding.output and len(shown) == 1:
        result = np.asarray(shown[0], float)
        entry = finding.entry if result.ndim == len(finding.entry) else ()
        if result.ndim == len(entry):
            np.testing.assert_allclose(result[entry], finding.got, rtol=1e-6)


@pytest.mark.parametrize("function", RIGHT, ids=name_of)
def test_right_in_odd_styles_is_not_accused(function):
    report = check(function, RIGHT[function])
    assert report.passed


@pytest.mark.parametrize(
    "name",
    [
        "softmax",
        "log_softmax",
        "logsumexp",
        "cross_entropy",
        "cross_entropy_value_and_grad",
        "softmax_vjp",
        "softmax_jacobian",
    ],
)
def test_crossent_passes_strictly(name):
    report = check(getattr(crossent, name), strict=True)
    assert report.kind == name
    assert not report.notes


def test_crossent_s_linear_layer_passes():
    wanted = ["values", "derivatives", "overflow", "reduction", "label range", "empty batch"]
    assert check(crossent.linear_cross_entropy_value_and_grad, properties=wanted).passed


def test_scipy_passes_for_floats_and_not_for_small_integers():
    with np.errstate(all="ignore"):
        report = check(special.softmax, raises=False)
        assert [finding.name for finding in report.failed] == ["integers"]
        assert special.softmax(np.array([[3, 2]], np.uint8), axis=-1)[0, 0] != pytest.approx(0.73)


@pytest.mark.parametrize("function", [no_shift, textbook], ids=name_of)
def test_kind_is_told_by_three_rows_where_the_name_says_nothing(function):
    report = check(lambda q: function(q), raises=False)
    assert report.kind == "softmax"
    assert report.how == "by its results for three ordinary rows"


def test_rejected_is_an_assertion_with_the_report():
    with pytest.raises(Rejected, match="overflow") as caught:
        check(no_shift, "softmax", properties=["overflow"])
    assert isinstance(caught.value, AssertionError)
    finding = caught.value.report["overflow"]
    assert finding.program[1] == "z = np.array([[89.0]], np.float32)"
    assert "due, came nan" in finding.program[2]
    assert str(finding.program[2]) in str(caught.value)


def test_strict_makes_notes_failures():
    wanted = ["precision", "sixteen bits"]
    lenient = check(textbook, "softmax", properties=wanted)
    strict = check(textbook, "softmax", properties=wanted, strict=True, raises=False)
    assert {f.name for f in lenient.notes} == {f.name for f in strict.failed} == set(wanted)


def test_what_does_not_return_is_stopped(monkeypatch):
    monkeypatch.setattr(_limit, "SECONDS", 0.05)

    def softmax(z):
        while True:
            pass

    report = check(softmax, raises=False)
    assert report["values"].message == "did not return within 0.05 s"
    assert report["overflow"].status == "not judged"


def test_none_is_called_so():
    report = check(lambda z: None, "softmax", raises=False)
    assert report["values"].message == "returned None"


def test_a_long_row_that_comes_back_short_is_named_by_its_shape():
    def softmax(z):
        return textbook(z[..., :300])

    finding = check(softmax, raises=False, properties=["many classes"])["many classes"]
    assert finding.message == "value has shape (1, 300) where (1, 100003) is due"


def test_a_function_of_all_pairs_of_classes_is_not_given_very_many():
    def softmax(z):
        with np.errstate(over="ignore"):
            return 1 / np.exp(z[..., None, :] - z[..., :, None]).sum(axis=-1)

    finding = check(softmax, raises=False, properties=["many classes"])["many classes"]
    assert finding.status == "not applicable"
    assert finding.message == "its memory grows with the square of the classes"


@pytest.mark.parametrize("error", [RuntimeError("boom\nmore"), SystemExit(3)])
def test_what_raises_is_a_finding(error):
    def softmax(z):
        raise error

    report = check(softmax, raises=False)
    assert report["values"].message.startswith(f"raised {type(error).__name__}: ")
    assert {f.status for f in report.findings} <= {"failed", "not judged", "not applicable"}


@pytest.mark.parametrize(
    ("function", "options", "error", "message"),
    [
        (3, {}, TypeError, "callable, got int"),
        (textbook, {"like": "softmin"}, ValueError, "like must be one of .*softmax"),
        (textbook, {"like": "softmax", "properties": ["beauty"]}, ValueError, "called beauty"),
        (lambda q: q, {}, ValueError, "cannot tell what <lambda> computes"),
        (lambda: 0, {"like": "softmax"}, ValueError, "does not take what a softmax takes"),
    ],
)
def test_what_cannot_be_judged_is_an_error(function, options, error, message):
    with pytest.raises(error, match=message):
        check(function, **options)


@pytest.mark.parametrize("name", ["reseeds", "silences"])
def test_the_caller_is_left_as_before(name):
    function = next(function for function in WRONG if function.__name__ == name)
    np.random.seed(7)  # noqa: NPY002
    before, due = np.geterr(), np.random.random()  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    check(function, "softmax", properties=["side effects"], raises=False)
    assert np.geterr() == before
    assert np.random.random() == due  # noqa: NPY002


def test_report_as_json_junit_and_page():
    report = check(no_shift, "softmax", name="<mine>", raises=False)
    values = json.loads(json.dumps(report.as_dict()))
    assert values["passed"] is False
    assert {f["property"] for f in values["findings"]} == {p.name for p in PROPERTIES}
    suite = ElementTree.fromstring(junit(report).partition("?>")[2])
    assert int(suite.attrib["failures"]) == len(report.failed) == len(suite.findall(".//failure"))
    assert int(suite.attrib["tests"]) == len(PROPERTIES)
    text = page(report)
    assert "&lt;mine&gt;" in text
    assert "http" not in text
    assert text.count("<tr>") == len(PROPERTIES) + 1


def test_a_function_of_a_list_is_called_with_one():
    report = check(of_a_list, "softmax")
    assert report["layouts"].message == "it takes lists"
    wrong = check(lambda row: of_a_list(row)[::-1], "softmax", properties=["values"], raises=False)
    assert wrong["values"].program[2].startswith("print([f(z_i) for z_i in z.tolist()])")


def test_without_hypothesis_the_table_still_runs():
    code = """
import sys
sys.modules["hypothesis"] = None
from crossent import verify
assert verify.run
try:
    verify.check
except ModuleNotFoundError as error:
    assert "needs hypothesis: pip install 'crossent[verify]'" in str(error), error
else:
    raise SystemExit("verify.check came without hypothesis")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_page_of_planted_faults_is_in_step():
    text = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| (\w+) \| ([^|(]+?)(?: \(a note\))? \|", text, re.MULTILINE)
    due = [(f.__name__.replace("_", " "), like, named) for f, (like, named, _) in WRONG.items()]
    assert rows[1:] == due if rows[0][0] == "fault" else rows == due


PROGRAMS = re.compile(r"^```py\n(.*?)\n(.*?)\n(.*?)\n```$", re.MULTILINE)


def test_the_three_lines_of_the_peers_page_show_what_they_say():
    text = (ROOT / "docs" / "peers.md").read_text(encoding="utf-8")
    programs = [lines for lines in PROGRAMS.findall(text) if "jax" not in lines[0]]
    assert len(programs) > 20
    for lines in programs:
        call, _, remark = lines[2].partition("  # at ")
        shown = []
        if not remark:
            continue
        with np.errstate(all="ignore"):
            exec("\n".join((*lines[:2], call)), {"print": lambda *v, to=shown: to.extend(v)})
        entry, _, numbers = remark.partition(": ")
        came = float(numbers.partition(", came ")[2])
        result, place = np.asarray(shown[0], float), literal_eval(entry)
        if len(shown) == 1:
            np.testing.assert_allclose(result[place if result.ndim else ()], came, rtol=1e-5)
