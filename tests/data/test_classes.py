"""Class names and numbers, masses and weights."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from crossent.data import ArrayBatches, class_mass, class_weights, encode_labels, sorted_classes


@pytest.mark.parametrize(
    "names",
    [
        np.array(["b", "a", "b", "ä"]),
        np.array(["b", "a", "b"], dtype=object),
        np.array([3, -1, 3]),
        np.array([True, False]),
        np.array([0.5, -0.25, 0.5]),
        np.array([2**60 + 1, 2**60, 2**60 + 1]),
    ],
)
def test_names_to_numbers_and_back(names):
    classes = sorted_classes(names)
    labels = encode_labels(names, classes)
    assert labels.dtype == np.int64
    assert classes[labels].tolist() == names.tolist()
    assert classes.tolist() == sorted(set(names.tolist()))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: encode_labels(np.array(["a", "c"]), np.array(["a", "b"])), "y\\[1\\] is .*'c'"),
        (lambda: encode_labels(np.array([1]), np.array(["a", "b"])), "y\\[0\\] is"),
        (lambda: sorted_classes(np.array([]), ["a", "a"]), "twice"),
        (lambda: sorted_classes(np.array([]), [["a"]]), "list of names"),
        (lambda: sorted_classes(np.array(["a", 1], dtype=object)), "mix types"),
    ],
)
def test_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_mass_of_labels_and_targets():
    labels, weight = np.array([0, 2, 2]), np.array([1.0, 2.0, 4.0])
    X = np.zeros((3, 1))
    of_labels = class_mass(ArrayBatches(X, labels, weight, batch_rows=2), 3)
    of_targets = class_mass(ArrayBatches(X, np.eye(3)[labels], weight, batch_rows=2), 3)
    assert of_labels.tolist() == of_targets.tolist() == [1.0, 0.0, 6.0]


def test_balanced_is_scikit_learns():
    y = np.array([0, 0, 0, 1, 2, 2])
    mass = np.bincount(y).astype(float)
    wanted = compute_class_weight("balanced", classes=np.arange(3), y=y)
    found = class_weights("balanced", np.arange(3), mass)
    assert found is not None
    np.testing.assert_allclose(found, wanted, rtol=1e-15)


def test_named_weights_leave_others_at_one():
    found = class_weights({"b": 3.0}, np.array(["a", "b"]), np.ones(2))
    assert found is not None
    assert found.tolist() == [1.0, 3.0]
    assert class_weights(None, np.array(["a"]), np.ones(1)) is None
