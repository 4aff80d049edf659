"""Rows that come a part at a time: what is learned, what stays the same, what is refused."""

from __future__ import annotations

import pickle
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_digits

from crossent import RBFClassifier, SoftmaxClassifier


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return X[order], y[order]


def passed_over(model, X, y, *, times=1, rows=300, weight=None):
    for _ in range(times):
        for start in range(0, len(y), rows):
            part = slice(start, start + rows)
            some = None if weight is None else weight[part]
            model.partial_fit(X[part], y[part], np.arange(10), some)
    return model


def test_one_pass_learns_the_digits(digits):
    X, y = digits
    model = passed_over(SoftmaxClassifier(), X[:1500], y[:1500])
    assert model.score(X[1500:], y[1500:]) > 0.92  # measured: 0.943
    assert model.n_iter_ == 25


def test_many_passes_come_near_the_optimum(digits):
    """Of the loss of a strong penalty: what is left is the scatter of the steps."""
    X, y = digits
    best = SoftmaxClassifier(C=1e-3, tol=1e-8).fit(X, y)
    model = passed_over(SoftmaxClassifier(C=1e-3), X, y, times=8)
    losses = [-m.predict_log_proba(X)[np.arange(len(y)), y].mean() for m in (model, best)]
    assert losses[0] < losses[1] + 0.05  # measured: 0.005


@pytest.mark.parametrize("n_classes", [2, 10])
def test_targets_weights_and_sparse_rows_mean_the_same(digits, n_classes):
    X, y = digits
    X, y = X[y < n_classes], y[y < n_classes]
    names, weight = np.arange(n_classes), np.arange(len(y)) % 3 + 0.5
    plain = SoftmaxClassifier().partial_fit(X, y, names, weight)
    soft = SoftmaxClassifier().partial_fit(X, np.eye(n_classes)[y], names, weight)
    np.testing.assert_allclose(soft.coef_, plain.coef_, atol=1e-12)
    by_class = SoftmaxClassifier(class_weight=dict.fromkeys(range(n_classes), 2.0), C=0.5)
    np.testing.assert_allclose(
        by_class.partial_fit(X, y, names, weight).coef_,
        plain.coef_,
        atol=2e-3,  # measured: 3e-4, by Adam's epsilon
    )
    sparse = SoftmaxClassifier().partial_fit(sp.csr_matrix(X), y, names, weight)
    assert sparse.score(sp.csr_matrix(X), y) > 0.5  # steps of more rows: not the same ones


def test_steps_do_not_depend_on_how_rows_are_parted(digits):
    X, y = digits
    scales = X[:640], y[:640]
    one = SoftmaxClassifier().partial_fit(*scales, np.arange(10)).partial_fit(X[640:], y[640:])
    parts = SoftmaxClassifier().partial_fit(*scales, np.arange(10))
    for start in range(640, len(y), 128):
        parts.partial_fit(X[start : start + 128], y[start : start + 128])
    np.testing.assert_allclose(parts.coef_, one.coef_, atol=1e-12)


def test_memory_does_not_grow(digits):
    X, y = digits
    model = SoftmaxClassifier().partial_fit(X[:256], y[:256], np.arange(10))
    tracemalloc.start()
    passed_over(model, X, y, times=2)
    before = tracemalloc.get_traced_memory()[0]
    passed_over(model, X, y, times=6)
    assert tracemalloc.get_traced_memory()[0] < before + 200_000  # the rows are 920 kB
    tracemalloc.stop()


def test_after_a_fit_it_goes_on_from_there(digits):
    X, y = digits
    model = SoftmaxClassifier().fit(X, y)
    score = model.score(X, y)
    model.partial_fit(X[:64], y[:64])
    assert model.score(X, y) > score - 0.05
    assert not hasattr(model, "converged_")
    assert model.fit(X, y).converged_


def test_a_pickle_goes_on_like_the_model_itself(digits):
    X, y = digits
    model = SoftmaxClassifier().partial_fit(X[:500], y[:500], np.arange(10))
    again = pickle.loads(pickle.dumps(model))
    for each in (model, again):
        each.partial_fit(X[500:], y[500:])
    np.testing.assert_array_equal(again.coef_, model.coef_)


def test_what_is_refused(digits):
    X, y = digits
    with pytest.raises(ValueError, match="must name all classes"):
        SoftmaxClassifier().partial_fit(X, y)
    with pytest.raises(ValueError, match="column 1 has values so large that their squares"):
        SoftmaxClassifier().partial_fit(X * 1e300, y, np.arange(10))
    model = SoftmaxClassifier().partial_fit(X[:100], y[:100], np.arange(10))
    before = model.coef_.copy()
    with pytest.raises(ValueError, match="must stay the same"):
        model.partial_fit(X, y, classes=np.arange(11))
    with pytest.raises(ValueError, match="none of the classes"):
        model.partial_fit(X, y + 1)
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(X[:, 1:], y)
    np.testing.assert_array_equal(model.coef_, before)


def test_columns_of_any_size_learn_alike(digits):
    X, y = digits
    size = 10.0 ** np.random.default_rng(0).uniform(-6, 6, X.shape[1])
    plain = passed_over(SoftmaxClassifier(C=np.inf), X, y, times=2)
    scaled = passed_over(SoftmaxClassifier(C=np.inf), X * size, y, times=2)
    assert abs(scaled.score(X * size, y) - plain.score(X, y)) < 0.02


@pytest.mark.parametrize(("kind", "least"), [("radial", 0.97), ("additive", 0.95)])
def test_a_network_learns_the_digits_part_by_part(digits, kind, least):
    X, y = digits
    model = RBFClassifier(kind=kind, random_state=0)
    passed_over(model, X[:1500], y[:1500], times=2, rows=500)
    assert model.score(X[1500:], y[1500:]) > least  # measured: 0.987 and 0.973
    assert model.n_iter_ == 2 * 3 * 16
    assert model.coef_.shape == (10, len(model.centers_))


def test_a_network_goes_on_as_before(digits):
    """After a pickle as without one, and after a fit from its centers."""
    X, y = digits
    model = RBFClassifier(random_state=0).partial_fit(X[:500], y[:500], np.arange(10))
    again = pickle.loads(pickle.dumps(model))
    for each in (model, again):
        each.partial_fit(X[500:], y[500:])
    for name in ("coef_", "centers_", "beta_", "scale_"):
        np.testing.assert_array_equal(getattr(again, name), getattr(model, name))
    model.fit(X, y)
    score, centers = model.score(X, y), model.centers_
    model.partial_fit(X[:64], y[:64])
    assert model.score(X, y) > score - 0.05
    assert model.centers_.shape == centers.shape
    assert not np.array_equal(model.centers_, centers)
    with pytest.raises(ValueError, match="must stay the same"):
        model.partial_fit(X, y, classes=np.arange(11))
    with pytest.raises(TypeError, match="needs dense rows"):
        model.partial_fit(sp.csr_matrix(X), y)


def test_a_network_keeps_to_its_memory(digits):
    X, y = digits
    model = RBFClassifier(n_centers=50, random_state=0)
    model.partial_fit(X[:256], y[:256], np.arange(10))
    tracemalloc.start()
    passed_over(model, X, y, times=1)
    before = tracemalloc.get_traced_memory()[0]
    passed_over(model, X, y, times=3)
    assert tracemalloc.get_traced_memory()[0] < before + 200_000
    tracemalloc.stop()


@pytest.mark.parametrize("soft", [False, True])
def test_early_stopping_keeps_the_weights_of_the_lowest_held_out_loss(digits, soft):
    X, y = digits[0][:1200], digits[1][:1200]
    target = np.eye(10)[y] if soft else y
    options = {"C": 1e4, "random_state": 0, "early_stopping": True}
    model = SoftmaxClassifier(**options).fit(X, target, classes=np.arange(10))
    assert "stopped early" in model.stopping_reason_
    assert model.converged_
    patient = SoftmaxClassifier(**options, n_iter_no_change=25).fit(X, target, classes=range(10))
    assert patient.n_iter_ > model.n_iter_
    whole = SoftmaxClassifier(C=1e4).fit(X, y)
    X, y = digits[0][1200:], digits[1][1200:]
    losses = [-m.predict_log_proba(X)[np.arange(len(y)), y].mean() for m in (model, whole)]
    assert losses[0] < losses[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"early_stopping": 1}, "early_stopping must be True or False"),
        ({"validation_fraction": 1.0}, "validation_fraction must lie between 0 and 1"),
        ({"n_iter_no_change": 0}, "n_iter_no_change must be a positive integer"),
        (
            {"early_stopping": True, "validation_fraction": 1 - 1e-9},
            "early_stopping cannot hold out",
        ),
    ],
)
def test_early_stopping_is_checked(digits, options, words):
    X, y = digits
    with pytest.raises(ValueError, match=words):
        SoftmaxClassifier(**options).fit(X[:40], y[:40])
