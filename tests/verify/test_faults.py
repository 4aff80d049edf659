"""The judge judged: every planted slip is found where it is, and nothing right is accused."""

import subprocess
import sys

import numpy as np
import pytest

import crossent
from crossent.verify import run
from crossent.verify._reference import exact, truth
from crossent.verify._run import bounds_of
from crossent.verify._ulp import worst
from tests.verify.planted import build

# slip -> the operation and the dtypes in which it must be found
SLIPS = {
    "no shift": ("softmax", ("float32",)),
    "shift by the mean": ("softmax", ("float64",)),
    "one shift for all rows": ("softmax", ("float64",)),
    "integers wrap": ("softmax", ("int8", "uint8")),
    "swallowed NaN": ("softmax", ("float32",)),
    "mask by multiplying": ("softmax", ("float32",)),
    "masked class counted": ("softmax", ("float32",)),
    "float32 accumulation": ("softmax", ("float64",)),
    "flushed subnormals": ("softmax", ("float32",)),
    "wrong axis": ("softmax", ("float32",)),
    "16 bits come back as 32": ("softmax", ("float16",)),
    "computed in 16 bits": ("softmax", ("float16",)),
    "written into the input": ("softmax", ("float32",)),
    "log of softmax": ("log_softmax", ("float32",)),
    "log of the whole sum": ("log_softmax", ("float64",)),
    "missing off-diagonal": ("softmax_vjp", ("float32",)),
    "sign of the Jacobian": ("softmax_vjp", ("float32",)),
    "inner product without p": ("softmax_jvp", ("float32",)),
    "transposed Jacobian": ("log_softmax_vjp", ("float32",)),
    "exp of z - rounded lse": ("logsumexp_vjp", ("float32",)),
    "label off by one": ("cross_entropy", ("float32",)),
    "ignored rows counted": ("cross_entropy", ("float32",)),
    "smoothing spread over all classes": ("cross_entropy", ("float32",)),
    "torch's smoothing": ("cross_entropy", ("float32",)),
    "class weights forgotten": ("cross_entropy", ("float32",)),
    "0 times inf": ("cross_entropy", ("float32",)),
    "z-loss with class weights": ("cross_entropy", ("float32",)),
    "loss by log of the probability": ("cross_entropy", ("float32",)),
    "sample weight squared": ("cross_entropy", ("float32",)),
    "mean over all rows": ("cross_entropy", ("float32",)),
    "empty mean is zero": ("cross_entropy_value_and_grad", ("float32",)),
    "p - y for any targets": ("cross_entropy_value_and_grad", ("float32",)),
    "p - 1 in float32": ("cross_entropy_value_and_grad", ("float32",)),
    "softcap not differentiated": ("cross_entropy_value_and_grad", ("float32",)),
    "forgotten 1/T": ("cross_entropy_jvp", ("float32",)),
    "tangent by the rounded gradient": ("cross_entropy_jvp", ("bfloat16",)),
    "tangent of 14 bits": ("cross_entropy_jvp", ("float16",)),
    "curvature of z-loss forgotten": ("cross_entropy_hvp", ("float32",)),
    "curvature of the softcap forgotten": ("cross_entropy_hvp", ("float32",)),
    "Gauss-Newton for the Hessian": ("cross_entropy_hvp", ("float32",)),
    "1 - sigmoid(-x)": ("sigmoid", ("float32",)),
    "distances by a matrix product": ("gaussian_features", ("float32",)),
    "near features poor where others are far": ("gaussian_features", ("float64",)),
    "sign of dbeta": ("gaussian_features_vjp", ("float64",)),
    "beta forgotten in dcenters": ("gaussian_features_vjp", ("float64",)),
    "same sign for inputs and centers": ("gaussian_features_vjp", ("float64",)),
}

RIGHT = build(None)


@pytest.mark.parametrize("slip", SLIPS)
def test_planted_slip_is_caught(slip):
    operation, dtypes = SLIPS[slip]
    records = run(build(slip), operations=[operation], dtypes=dtypes)
    failed = [record for record in records if not record.passed]
    assert failed
    assert {record.operation for record in failed} == {operation}


@pytest.mark.parametrize("operation", RIGHT)
def test_right_implementation_is_not_accused(operation):
    failed = [record for record in run(RIGHT, operations=[operation]) if not record.passed]
    assert not failed, failed[:5]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_tangent_of_14_bits_is_caught_wherever_it_has_32(dtype):
    """All but the 16-bit results of no reduction, zeros, and sums that cancel to very little."""
    records = run(build("tangent of 14 bits"), operations=["cross_entropy_jvp"], dtypes=[dtype])
    tangents = [record for record in records if record.output == "loss_tangent"]
    assert [record for record in records if not (record.passed or record in tangents)] == []
    assert sum(not record.passed for record in tangents) > 0.75 * len(tangents)


def test_an_entry_where_the_plain_formula_is_poor_excuses_no_other():
    value = np.array([[1.0, 1.0, 1.0, 1.0]])
    plain = value + np.finfo(float).eps * np.array([[0, 1000, np.inf, 0.5]])
    bounds = bounds_of(plain, truth(exact(value)))
    np.testing.assert_array_equal(bounds, [[5, 2001, 5, 5]])
    off = worst(
        value + np.finfo(float).eps * np.array([[0, 1500, 0, 6]]), truth(exact(value)), bounds
    )
    assert (off.ulp, off.allowed, off.entry) == (6, 5, (0, 3))


def test_what_fails_to_return_is_recorded_not_raised():
    def broken(logits, **options):
        raise ZeroDivisionError("planted")

    records = run({"softmax": broken}, dtypes=["float32"])
    assert all(record.problem == "raised ZeroDivisionError: planted" for record in records)


def test_missing_gradient_is_recorded():
    records = run(
        {"cross_entropy_value_and_grad": crossent.cross_entropy},
        dtypes=["float32"],
    )
    assert {record.problem for record in records} == {"returned 1 arrays where 2 were due"}


def test_wrong_shape_is_recorded():
    records = run({"logsumexp": crossent.softmax}, dtypes=["float64"])
    assert any("has shape" in record.problem for record in records)


@pytest.mark.parametrize(
    ("implementation", "operations", "message"),
    [
        (RIGHT, ["softmin"], "no operation is called 'softmin'"),
        ({}, ["softmax"], "the implementation has no function 'softmax'"),
        ({}, None, "nothing to judge"),
    ],
)
def test_what_cannot_be_judged_is_an_error(implementation, operations, message):
    with pytest.raises(ValueError, match=message):
        run(implementation, operations=operations)


def test_record_as_json_values():
    def broken(x):
        return np.full(x.shape, np.nan, x.dtype)

    (record, *_) = run({"sigmoid": broken}, dtypes=["float64"])
    values = record.as_dict()
    assert values["ulp"] == "inf"
    assert values["got"] == "nan"
    assert values["index"] == [0]
    assert values["passed"] is False


def test_without_ml_dtypes_there_is_no_bfloat16(monkeypatch):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    records = run({"sigmoid": RIGHT["sigmoid"]})
    assert {record.dtype for record in records} == {"float16", "float32", "float64"}


def test_without_mpmath_the_gradient_checker_still_works():
    code = """
import sys
sys.modules["mpmath"] = None
from crossent import verify
assert verify.check_gradients(lambda x: x * x, [1.0], vjp=lambda x, w: 2 * x * w).passed
try:
    verify.run
except ModuleNotFoundError as error:
    assert "pip install 'crossent[verify]'" in str(error), error
else:
    raise SystemExit("verify.run came without mpmath")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_that_do_not_exist_are_attribute_errors():
    from crossent import verify

    assert {"run", "check_gradients"} <= set(dir(verify))
    with pytest.raises(AttributeError, match="jury"):
        _ = verify.jury
