"""metrics against scikit-learn's, and where scikit-learn's clip or stop."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as peer

from crossent import metrics


def _problem(seed: int = 0, n_samples: int = 200, n_classes: int = 4):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n_samples, n_classes))
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    labels = rng.integers(0, n_classes, n_samples)
    return labels, log_probabilities, rng.uniform(0.0, 2.0, n_samples)


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_equal_scikit_learns(weighted):
    labels, log_p, weight = _problem()
    chosen = weight if weighted else None
    guess = log_p.argmax(axis=1)
    assert metrics.accuracy(labels, log_p, sample_weight=chosen) == pytest.approx(
        peer.accuracy_score(labels, guess, sample_weight=chosen), rel=1e-14
    )
    assert metrics.log_loss(labels, log_p, sample_weight=chosen) == pytest.approx(
        peer.log_loss(labels, np.exp(log_p), sample_weight=chosen), rel=1e-14
    )
    matrix = metrics.confusion_matrix(labels, log_p, sample_weight=chosen)
    np.testing.assert_allclose(
        matrix, peer.confusion_matrix(labels, guess, sample_weight=chosen), rtol=1e-14
    )
    precision, recall, f1, support = peer.precision_recall_fscore_support(
        labels, guess, sample_weight=chosen
    )
    scores = metrics.class_scores(matrix)
    np.testing.assert_allclose(scores.precision, precision, rtol=1e-13)
    np.testing.assert_allclose(scores.recall, recall, rtol=1e-13)
    np.testing.assert_allclose(scores.f1, f1, rtol=1e-13)
    np.testing.assert_allclose(scores.support, support, rtol=1e-13)


def test_log_loss_neither_clips_nor_underflows():
    assert metrics.log_loss([1], [[0.0, -800.0]]) == 800.0


def test_absent_rows_cost_nothing():
    log_p = np.array([[-0.5, -0.9], [-np.inf, 0.0]])
    assert metrics.log_loss([0, 0], log_p, sample_weight=[1.0, 0.0]) == 0.5


def test_nan_in_an_absent_row_is_not_looked_at():
    scores = [[0.2, 0.8], [np.nan, np.nan]]
    assert metrics.accuracy([1, 1], scores, sample_weight=[1.0, 0.0]) == 1.0
    matrix = metrics.confusion_matrix([1, 1], scores, sample_weight=[1.0, 0.0])
    np.testing.assert_array_equal(matrix, [[0.0, 0.0], [0.0, 1.0]])


def test_log_loss_of_nan_is_nan():
    assert np.isnan(metrics.log_loss([0, 1], [[np.nan, np.nan], [-1.0, -0.5]]))


def test_a_class_never_predicted_is_undefined_not_zero():
    scores = metrics.class_scores([[2, 0], [1, 0]])
    assert np.isnan(scores.precision[1])
    assert scores.recall[1] == 0.0


def test_no_rows_is_nan():
    empty = np.empty((0, 3))
    assert np.isnan(metrics.accuracy(np.empty(0, dtype=int), empty))
    assert np.isnan(metrics.log_loss(np.empty(0, dtype=int), empty))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: metrics.accuracy([0, 1], [[0.5, 0.5]]), "expected"),
        (lambda: metrics.accuracy([2], [[0.5, 0.5]]), "labels\\[0\\] is 2, but there are 2"),
        (lambda: metrics.accuracy([-1], [[0.5, 0.5]]), "labels\\[0\\] is -1"),
        (lambda: metrics.accuracy(["a"], [[0.5, 0.5]]), "class numbers"),
        (lambda: metrics.log_loss([0], [[0.5, 0.5]]), "never positive"),
        (lambda: metrics.accuracy([0], [[0.5, 0.5]], sample_weight=[-1.0]), "not negative"),
        (lambda: metrics.accuracy([0], [[0.5, 0.5]], sample_weight=[1.0, 1.0]), "1 rows"),
        (lambda: metrics.accuracy([0, 0], [[1, 0], [np.nan] * 2]), "scores of row 1 hold NaN"),
        (lambda: metrics.accuracy([1], [[0.1, np.nan]]), "row 0 hold NaN \\(1 of 1 rows do\\)"),
        (lambda: metrics.confusion_matrix([0], [[np.nan, np.nan]]), "scores of row 0 hold NaN"),
        (lambda: metrics.class_scores([[1, 2]]), "square"),
    ],
)
def test_errors_say_what_to_do(call, words):
    with pytest.raises(ValueError, match=words):
        call()
