"""Arrays as Batches: every row once, in order, as views."""

from __future__ import annotations

import numpy as np
import pytest

from crossent.data import ArrayBatches


@pytest.mark.parametrize("batch_rows", [None, 1, 3, 10, 100])
def test_every_row_comes_once_in_order(batch_rows):
    inputs, labels, weight = np.arange(20.0).reshape(10, 2), np.arange(10), np.arange(10.0)
    batches = ArrayBatches(inputs, labels, weight, batch_rows=batch_rows)
    for _ in range(2):  # it can be gone through again
        parts = list(batches)
        assert all(len(part.inputs) <= (batch_rows or 10) for part in parts)
        assert all(np.shares_memory(part.inputs, inputs) for part in parts)
        np.testing.assert_array_equal(np.concatenate([p.inputs for p in parts]), inputs)
        np.testing.assert_array_equal(np.concatenate([p.target for p in parts]), labels)
        np.testing.assert_array_equal(np.concatenate([p.sample_weight for p in parts]), weight)
    assert (batches.n_samples, batches.n_inputs, batches.dtype) == (10, 2, np.float64)


def test_rows_weigh_one_without_weights():
    (batch,) = ArrayBatches(np.zeros((3, 1)), np.zeros(3, dtype=int))
    assert batch.sample_weight.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("target", "weight", "batch_rows", "words"),
    [
        (np.zeros(2), None, None, "inputs have 3 rows, the target 2"),
        (np.zeros(3), np.zeros(4), None, "shape \\(4,\\)"),
        (np.zeros(3), None, 0, "batch_rows must be 1 at least"),
    ],
)
def test_errors(target, weight, batch_rows, words):
    with pytest.raises(ValueError, match=words):
        ArrayBatches(np.zeros((3, 1)), target, weight, batch_rows=batch_rows)
