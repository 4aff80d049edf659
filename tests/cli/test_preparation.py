"""From a table to inputs: scaling, gaps, and a description that survives JSON exactly."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from crossent.cli._preparation import Preparation, Scaling
from crossent.data._table import Table


def test_scaling_is_that_of_the_present_values() -> None:
    inputs = np.array([[1.0, 5.0, 1e200], [3.0, 5.0, -1e200], [np.nan, 5.0, np.nan]])
    scaling = Scaling.of(inputs)
    np.testing.assert_array_equal(scaling.mean, [2.0, 5.0, 0.0])
    np.testing.assert_array_equal(scaling.unit, [1.0, 1.0, 1e200])
    np.testing.assert_array_equal(scaling(inputs), [[-1, 0, 1], [1, 0, -1], [0, 0, 0]])
    assert np.isnan(inputs[2, 0])


def test_scaling_agrees_with_numpy() -> None:
    inputs = np.random.default_rng(0).normal(3.0, 7.0, (200, 4))
    scaling = Scaling.of(inputs)
    np.testing.assert_allclose(scaling.mean, inputs.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(scaling.unit, inputs.std(axis=0), rtol=1e-14)


def preparation(missing: str = "error") -> Preparation:
    scaling = Scaling(np.array([0.1, -2.0]), np.array([3.0, 1 / 3]))
    return Preparation("y", ("b", "a"), missing, scaling)


def test_the_description_survives_json_exactly() -> None:
    before = preparation("drop")
    after = Preparation.from_dict(json.loads(json.dumps(before.to_dict())))
    assert (after.target, after.columns, after.missing) == ("y", ("b", "a"), "drop")
    np.testing.assert_array_equal(after.scaling.mean, before.scaling.mean)
    np.testing.assert_array_equal(after.scaling.unit, before.scaling.unit)


SPOILED = [
    ({"target": 3}, "the target or the policy for missing values is not one of ours"),
    ({"missing": "guess"}, "the target or the policy for missing values is not one of ours"),
    ({"columns": "ab"}, "the columns of the table are not a list of names"),
    ({"columns": ["a", 1]}, "the columns of the table are not a list of names"),
    ({"columns": ["a"]}, "the scaling is not that of 1 columns"),
    ({"unit": [1.0]}, "the scaling is not that of 2 columns"),
    ({"unit": [1.0, 0.0]}, "the scaling holds numbers that are not finite or not positive"),
    ({"mean": [1.0, float("nan")]}, "the scaling holds numbers that are not finite"),
    ({"mean": ["x", "y"]}, "the description of the table is incomplete: "),
]


@pytest.mark.parametrize(("spoiled", "text"), SPOILED)
def test_a_description_that_is_not_ours(spoiled: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011, the text is looked at below
        Preparation.from_dict({**preparation().to_dict(), **spoiled})
    assert text in str(caught.value)


@pytest.mark.parametrize("lost", ["target", "columns", "missing", "mean", "unit"])
def test_a_description_with_a_hole(lost: str) -> None:
    content = preparation().to_dict()
    del content[lost]
    with pytest.raises(ValueError, match=f"incomplete: '{lost}'"):
        Preparation.from_dict(content)


def test_the_order_of_columns_does_not_matter() -> None:
    columns = {"a": [1.0, None], "b": [3.1, 0.1], "y": [0, 1], "": [8, 9]}
    for names in (["a", "b", "y", ""], ["", "b", "a"]):
        table = Table("t", pa.table({name: columns[name] for name in names}))
        inputs, usable, notes = preparation("drop").inputs(table)
        np.testing.assert_allclose(inputs, [[1.0, 9.0], [0.0, 0.0]])
        assert usable.tolist() == [True, False]
        assert notes == ()
