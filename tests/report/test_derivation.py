"""A derivation: exact numbers against the reference, float32 that shows its rounding, JSON."""

from __future__ import annotations

import io
import json
import math
import re

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from crossent.report import Derivation, derive
from crossent.report._derivation_text import print_derivation
from crossent.report._exact_steps import ulp_error
from crossent.report._spelling import short
from crossent.verify import _reference as reference

LOGITS = [1.0, -2.5, 0.3, 7.0]


def numbers(values: object) -> object:
    """Give the decimal strings of a step as numbers of many digits."""
    if isinstance(values, tuple):
        return [numbers(entry) for entry in values]
    return mpmath.mpf(values)


def close(found: object, expected: object, digits: int = 22) -> bool:
    flat, due = np.ravel(np.array(found, object)), np.ravel(np.array(expected, object))
    assert flat.shape == due.shape
    return all(
        mpmath.almosteq(a, b, rel_eps=mpmath.mpf(10) ** -digits)
        for a, b in zip(flat, due, strict=True)
    )


finite = st.floats(-60, 60)
shares = st.floats(0, 1).filter(lambda y: y == 0 or y > 1e-6)
rows = st.integers(2, 6).flatmap(
    lambda k: st.tuples(
        st.lists(finite, min_size=k, max_size=k), st.lists(shares, min_size=k, max_size=k)
    )
)


@given(row=rows, temperature=st.floats(0.2, 5), smoothing=st.sampled_from([0.0, 0.1, 1.0]))
def test_exact_steps_are_the_reference(row, temperature, smoothing) -> None:
    z, y = row
    found = derive(z, targets=y, temperature=temperature, smoothing=smoothing)
    with mpmath.workdps(120):
        truth = reference.cross_entropy(
            np.array([z]),
            np.array([y]),
            temperature=temperature,
            label_smoothing=smoothing,
            reduction="sum",
        )
        assert close(numbers(found.step("loss").exact), truth.loss.value)
        due = truth.gradient.value
        for name in ("gradient", "chain_rule"):
            gap = [abs(a - b) for a, b in zip(numbers(found.step(name).exact), due[0], strict=True)]
            assert max(gap) <= 1e-22 * max(1, max(abs(due[0])))
        central = numbers(found.step("central_difference").exact)
        assert max(abs(a - b) for a, b in zip(central, due[0], strict=True)) < 1e-20


def test_softmax_and_its_jacobian_are_the_reference() -> None:
    found = derive(LOGITS)
    with mpmath.workdps(120), reference.mp.workdps(120):
        p = reference.softmax(np.array([LOGITS])).value[0]
        assert close(numbers(found.step("probabilities").exact), p)
        jacobian = [[p[j] * ((j == k) - p[k]) for k in range(4)] for j in range(4)]
        assert close(numbers(found.step("jacobian").exact), jacobian)
        assert close(sum(numbers(found.step("probabilities").exact)), 1)


def test_steps_in_order() -> None:
    found = derive(LOGITS, label=3, temperature=2.0)
    assert [step.name for step in found.steps] == [
        *("logits", "tempered", "shift", "exponentials", "sum", "probabilities", "jacobian"),
        *("targets", "log_probabilities", "loss", "loss_by_probabilities"),
        *("chain_rule", "gradient", "central_difference"),
    ]
    assert "tempered" not in [step.name for step in derive(LOGITS).steps]
    with pytest.raises(KeyError, match="no step 'loss'; there are logits, shift"):
        derive(LOGITS).step("loss")


def test_rounding_is_seen() -> None:
    step = derive([20.0, 0.0], label=0).step("gradient")
    assert step.exact[0].startswith("-2.06115361819020")
    assert step.formula_float32.value[0] == 0.0
    assert step.formula_float32.error[0] > 1e6
    assert step.crossent_float32 is not None
    assert max(step.crossent_float32.error) <= 1


def test_the_chain_rule_breaks_where_a_probability_underflows() -> None:
    found = derive([1000.0, 0.0], label=1)
    assert found.step("probabilities").exact[1].endswith("e-435")
    chain = found.step("chain_rule")
    assert chain.exact == ("1.0", "-1.0")
    assert all(math.isnan(value) for value in chain.formula_float32.value)
    gradient = found.step("gradient").crossent_float32
    assert gradient is not None
    assert gradient.value == (1.0, -1.0)


def test_an_error_is_the_arithmetics_alone() -> None:
    """0.1 is no float32 number: the logit moves, and no step is blamed for it."""
    found = derive([20.1, 0.1], label=0)
    ours = found.step("loss").crossent_float32
    assert ours is not None
    assert ours.error <= 1
    assert found.notes[0].startswith("Float32 rounds 2 of the logits")


@pytest.mark.parametrize(
    ("got", "exact", "ulp"),
    [
        (1.0, 1, 0), (1.0 + 2**-23, 1, 1), (1.0 - 2**-24, 1, 0.5), (2.0, 2 + 2**-23, 0.5),
        (0.0, mpmath.mpf(2) ** -150, 0.5), (0.0, mpmath.mpf("1e-999"), 0), (math.inf, 1, math.inf),
        (math.nan, 1, math.inf), (3.0, -1, 2**25),
    ],
)  # fmt: skip
def test_ulp(got: float, exact: object, ulp: float) -> None:
    assert ulp_error(got, mpmath.mpf(exact)) == ulp


@pytest.mark.parametrize("width", [80, 100])
def test_no_number_is_cut_off(width: int) -> None:
    """On the narrowest terminal ten classes and a vanishing probability are written out."""
    logits = [0.1 * k * k - 1 for k in range(9)] + [-2000.0]
    found = derive(logits, label=3)
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=True, color_system=None)
    print_derivation(found, console)
    text = file.getvalue()
    assert "…" not in text
    assert max(len(line) for line in text.splitlines()[2:-2]) <= width
    for row in found.step("jacobian").exact:
        assert all(short(entry, 4) in text for entry in row)
    assert short(found.step("probabilities").exact[9], 15) in text


def test_a_terminal_shows_the_sign_in_colour() -> None:
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True, color_system="standard")
    print_derivation(derive([1.0, -3.0]), console)
    assert re.search(r"\x1b\[31m *0.01766", file.getvalue())
    assert re.search(r"\x1b\[34m *-0.01766", file.getvalue())


def test_json_both_ways() -> None:
    for found in (
        derive(LOGITS),
        derive([1000.0, 0.0], label=1, smoothing=0.1),  # inf and NaN in float32
        derive(LOGITS, targets=[0.0, 2.0, 0.1, 0.0], temperature=0.7),
    ):
        text = found.to_json()
        again = Derivation.from_json(text)
        assert again.to_json() == text
        assert again.logits == found.logits
        assert [s.exact for s in again.steps] == [s.exact for s in found.steps]


@pytest.mark.parametrize("damage", [lambda c: c.pop("notes"), lambda c: c["steps"][0].pop("exact")])
def test_json_of_something_else(damage) -> None:
    content = json.loads(derive(LOGITS).to_json())
    damage(content)
    with pytest.raises(ValueError, match=r"not the JSON of a (Derivation|Step): see (notes|exact)"):
        Derivation.from_json(json.dumps(content))


def test_many_classes_are_summarised() -> None:
    logits = [float(k % 17) for k in range(300)]
    found = derive(logits, label=1)
    assert (found.n_classes, len(found.classes)) == (300, 10)
    assert 1 in found.classes
    assert all(logits[k] == 16 for k in found.classes if k != 1)
    jacobian = found.step("jacobian").exact
    assert (len(jacobian), len(jacobian[0])) == (10, 10)
    total = sum(math.exp(z - 16) for z in logits)
    assert float(found.step("sum").exact) == pytest.approx(total, rel=1e-14)
    assert found.step("gradient").exact == found.step("chain_rule").exact
    assert "10 of 300 classes are shown" in " ".join(found.notes)


@pytest.mark.parametrize("n_classes", range(2, 11))
def test_up_to_ten_are_all_shown(n_classes: int) -> None:
    found = derive(list(range(n_classes)), label=0)
    assert found.classes == tuple(range(n_classes))
    assert not any("classes are shown" in note for note in found.notes)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"logits": [1.0]}, "at least two logits, one for each class, got 1"),
        ({"logits": []}, "at least two logits, one for each class, got 0"),
        ({"logits": [1.0, math.inf]}, r"logits\[1\] is inf: give finite numbers"),
        ({"logits": [1e39, 0.0]}, r"logits\[0\] is 1e\+39, but float32.*ends at 3.4e\+38"),
        ({"label": 4}, r"label is 4, but there are 4 classes \(0 ... 3\)"),
        ({"label": -1}, r"label is -1, but there are 4 classes \(0 ... 3\)"),
        ({"label": 1, "targets": [1.0, 0, 0, 0]}, "give a label or targets, not both"),
        ({"targets": [1.0]}, "targets need one number for each of the 4 logits, got 1"),
        ({"targets": [1.0, 0, -0.5, 0]}, r"targets\[2\] is -0.5: targets must not be negative"),
        ({"targets": [1.0, 0, math.nan, 0]}, r"targets\[2\] is nan: give finite numbers"),
        ({"temperature": 0.0}, "temperature must be positive, .* got 0.0"),
        ({"temperature": math.nan}, "temperature must be positive, .* got nan"),
        ({"label": 0, "smoothing": 1.5}, r"smoothing must be in \[0, 1\], got 1.5"),
        ({"smoothing": 0.1}, "smoothing changes the target: give a label or targets with it"),
    ],
)
def test_wrong_arguments(arguments: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        derive(**({"logits": LOGITS} | arguments))
