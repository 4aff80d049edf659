"""torch and JAX functions judged, their own derivatives with them."""

import pytest

from crossent.verify import check

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")

functional = torch.nn.functional


def test_torch_softmax_passes_with_its_derivatives():
    report = check(functional.softmax, properties=[*EVERY, "forward mode", "layouts"])
    assert report.framework == "torch"
    assert report["derivatives"].status == report["forward mode"].status == "passed"


EVERY = ["values", "derivatives", "overflow", "minus infinity", "NaN", "thread safety", "axes"]


def test_torch_logsumexp_s_derivative_of_ties_is_caught():
    report = check(torch.logsumexp, properties=["values", "overflow"], raises=False)
    finding = report["overflow"]
    assert (finding.status, finding.output) == ("failed", "gradient")
    assert finding.got == 1
    assert run(finding)[0][finding.entry] == 1


def test_torch_cross_entropy():
    wanted = ["values", "derivatives", "precision", "certain targets", "label dtypes"]
    report = check(functional.cross_entropy, properties=wanted, raises=False)
    assert [f.name for f in report.failed] == ["certain targets"]
    assert {f.name for f in report.notes} == {"precision", "label dtypes"}
    assert torch.isnan(run(report["certain targets"])[0])


def test_a_torch_function_of_ours_is_found_by_its_code():
    def attention(scores):
        e = torch.exp(scores - scores.max(dim=-1, keepdim=True).values)
        return e / e.sum(dim=-1, keepdim=True)

    report = check(attention, "softmax", properties=["values", "derivatives", "empty batch"])
    assert report.framework == "torch"


def test_a_detached_derivative_is_wrong():
    def softmax(z):
        e = torch.exp(z - z.max(dim=-1, keepdim=True).values)
        return e / e.sum(dim=-1, keepdim=True).detach()

    report = check(softmax, properties=["values", "derivatives"], raises=False)
    assert report["values"].passed
    assert report["derivatives"].output == "gradient"


def test_jax_softmax_jitted_passes():
    report = check(jax.jit(jax.nn.softmax), properties=["values", "derivatives", "subnormals"])
    assert report.framework == "jax"
    assert report["derivatives"].status == "passed"
    assert report["subnormals"].status == "not applicable"


def test_jax_log_softmax_loses_a_certain_class():
    report = check(jax.nn.log_softmax, properties=["precision"], strict=True, raises=False)
    finding = report["precision"]
    assert finding.got == 0
    assert finding.expected < 0
    assert run(finding)[0][finding.entry] == 0


def run(finding):
    """What the three lines print."""
    shown = []
    exec("\n".join(finding.program), {"print": lambda *values: shown.extend(values)})
    return shown
