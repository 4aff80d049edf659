"""Errors in units in the last place."""

import math

import ml_dtypes
import numpy as np
import pytest

from crossent.verify._reference import exact, mp, truth
from crossent.verify._ulp import ulp_error, worst

DTYPES = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64]


def error(got, value, dtype, scale=None):
    scale = None if scale is None else exact(np.array([scale]))
    with mp.workdps(40):
        due = truth(np.array([mp.mpf(value)], object), scale)
    return float(ulp_error(np.array([got], dtype), due)[0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("power", [0, 3, -5])
def test_neighbours_are_one_ulp_apart(dtype, power):
    unit = float(np.finfo(dtype).eps if dtype is not ml_dtypes.bfloat16 else 2.0**-7)
    value = 2.0**power
    assert error(value, value, dtype) == 0
    assert error(value * (1 + unit), value, dtype) == 1
    with mp.workdps(40):
        between = value * (1 + mp.mpf(unit) / 2)
    assert error(value * (1 + unit), between, dtype) == 0.5


@pytest.mark.parametrize(
    ("dtype", "smallest"),
    [(np.float16, 2.0**-24), (np.float32, 2.0**-149), (np.float64, 2.0**-1074)],
)
def test_subnormals_have_the_smallest_unit(dtype, smallest):
    assert error(0.0, smallest, dtype) == 1
    assert error(0.0, 100 * smallest, dtype) == 100  # flushed to zero
    assert error(smallest, mp.ldexp(mp.mpf(smallest), -2), dtype) == 0.75


def test_nan_and_infinities_must_come_just_where_they_are_due():
    for dtype in DTYPES:
        assert error(np.nan, "nan", dtype) == 0
        assert error(np.inf, "inf", dtype) == 0
        assert error(-np.inf, "-inf", dtype) == 0
        for got, due in (("nan", 1), (1, "nan"), (1, "inf"), ("-inf", "inf"), ("nan", "inf")):
            assert error(float(got), due, dtype) == math.inf


def test_overflow_counts_as_the_number_after_the_largest():
    largest = float(np.finfo(np.float32).max)
    assert error(np.inf, 1e39, np.float32) == 0
    assert error(largest, 1e39, np.float32) == 1
    assert error(np.inf, largest, np.float32) == 1
    assert error(np.inf, 1.0, np.float32) > 1e30


def test_scale_is_what_a_cancelling_sum_is_measured_by():
    assert error(2.0**-20, 0.0, np.float32, scale=1.0) == 8


def test_worst_names_the_entry():
    got = np.array([[1.0, 2.0], [3.0, 4.5]])
    found = worst(got, truth(exact(np.array([[1.0, 2.0], [3.0, 4.0]]))))
    assert found.entry == (1, 1)
    assert (found.expected, found.got) == (4.0, 4.5)
    assert found.ulp == 0.5 / 2.0**-50


def test_empty_arrays_have_no_error():
    assert worst(np.empty((0, 3)), truth(np.empty((0, 3), object))).ulp == 0


def test_other_dtypes_and_shapes_are_refused():
    with pytest.raises(TypeError, match="floating dtype, got int64"):
        ulp_error(np.array([1]), truth(exact(np.array([1.0]))))
    with pytest.raises(ValueError, match="expected an array of shape"):
        ulp_error(np.array([1.0, 2.0]), truth(exact(np.array([1.0]))))
