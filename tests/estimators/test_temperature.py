"""TemperatureScaling: the right optimum, on rows held out, of any classifier's logits."""

from __future__ import annotations

import pickle

import joblib
import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from crossent import RBFClassifier, SoftmaxClassifier, TemperatureScaling
from crossent.estimators._held_out import logits_of
from crossent.estimators._scaling import HeldOut, best_scaling, best_temperature
from crossent.metrics import log_loss


def drawn(n_samples=600, n_classes=4, factor=3.0, seed=0):
    """Labels drawn from the softmax of logits, and those logits times a factor."""
    rng = np.random.default_rng(seed)
    z = 1.5 * rng.normal(size=(n_samples, n_classes))
    labels = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    return factor * z, labels, rng.integers(1, 4, n_samples).astype(float)


def plain_loss(z, labels, weight):
    """Sum of r (lse - z_t), written without the library."""
    return float(weight @ (logsumexp(z, axis=1) - z[np.arange(len(z)), labels]))


class Given(ClassifierMixin, BaseEstimator):
    """A classifier whose decision function is X, or for two classes its only column."""

    def __init__(self, classes=None):
        self.classes = classes

    def fit(self, X, y):
        self.classes_ = np.unique(y) if self.classes is None else np.asarray(self.classes)
        return self

    def decision_function(self, X):
        return np.asarray(X)[:, 0] if len(self.classes_) == 2 else np.asarray(X)

    def predict(self, X):
        raise AssertionError("a scaling looks at scores only")


def scaled_given(z, y, sample_weight=None, **options):
    return TemperatureScaling(Given().fit(z, y), cv="prefit", **options).fit(z, y, sample_weight)


@pytest.mark.parametrize("n_classes", [2, 4, 30])
@pytest.mark.parametrize("factor", [1e-3, 1.0, 40.0])
def test_the_temperature_is_that_of_the_least_loss(n_classes, factor):
    z, labels, weight = drawn(n_classes=n_classes, factor=factor)
    found, reason = best_temperature(HeldOut(z, labels, weight))
    wanted = minimize_scalar(
        lambda t: plain_loss(z / np.exp(t), labels, weight),
        bracket=(np.log(factor) - 1.0, np.log(factor) + 1.0),
        tol=1e-14,
    )
    assert found == pytest.approx(np.exp(wanted.x), rel=1e-6)  # all that a value's minimum tells
    assert reason.startswith("converged")
    slope = (
        plain_loss(z / (found * 1.001), labels, weight),
        plain_loss(z / (found * 0.999), labels, weight),
    )
    assert min(slope) > plain_loss(z / found, labels, weight)


def test_the_slope_at_the_temperature_is_zero_to_rounding():
    z, labels, weight = drawn()
    t, _ = best_temperature(HeldOut(z, labels, weight))
    p = np.exp(z / t - logsumexp(z / t, axis=1, keepdims=True))
    own = z[np.arange(len(z)), labels]
    slope = weight @ ((p * z).sum(axis=1) - own) / weight.sum()
    assert abs(slope) < 1e-12 * np.abs(z).max()


@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_units_of_the_logits_are_the_temperatures(factor):
    z, labels, weight = drawn()
    plain, _ = best_temperature(HeldOut(z, labels, weight))
    other, _ = best_temperature(HeldOut(factor * z, labels, weight))
    assert other == pytest.approx(factor * plain, rel=1e-11)


def test_scikit_learn_finds_the_same_temperature():
    z, labels, _ = drawn()
    peer = CalibratedClassifierCV(FrozenEstimator(Given().fit(z, labels)), method="temperature")
    peer.fit(z, labels)
    ours = scaled_given(z, labels)
    np.testing.assert_allclose(ours.predict_proba(z), peer.predict_proba(z), atol=1e-5)


@pytest.mark.parametrize("matrix", [False, True])
@pytest.mark.parametrize("C", [0.01, 1.0])
def test_vector_and_matrix_scaling_reach_their_optimum(matrix, C):
    z, labels, weight = drawn(n_samples=200)
    held = HeldOut(z, labels, weight)
    t, _ = best_temperature(held)
    scaling, result = best_scaling(held, t, matrix=matrix, C=C)
    assert result.converged
    centred = (z - z.mean(axis=1, keepdims=True)) / t
    shape = (4, 4) if matrix else (4,)

    def objective(theta):
        d, b = theta[:-4].reshape(shape), theta[-4:]
        moved = centred + (centred @ d.T if matrix else centred * d) + b
        return C * plain_loss(moved, labels, weight) + 0.5 * theta @ theta

    wanted = minimize(objective, np.zeros(np.prod(shape) + 4), tol=1e-9, options={"maxiter": 2000})
    d = scaling.coef * t - (np.eye(4) if matrix else 1.0)
    np.testing.assert_allclose(d.ravel(), wanted.x[:-4], atol=2e-3)
    np.testing.assert_allclose(scaling.intercept, wanted.x[-4:], atol=2e-3)
    assert result.value <= wanted.fun * (1.0 + 1e-8)


@pytest.mark.parametrize("method", ["vector", "matrix"])
def test_a_small_C_leads_back_to_the_temperature(method):
    z, labels, _ = drawn()
    near = scaled_given(z, labels, method=method, C=1e-9).predict_proba(z)
    np.testing.assert_allclose(near, scaled_given(z, labels).predict_proba(z), atol=1e-6)


@pytest.mark.parametrize("method", ["vector", "matrix"])
def test_with_two_classes_it_is_platts(method):
    z, labels, _ = drawn(n_classes=2)
    u = (z[:, 1] - z[:, 0] - 1.0)[:, None]
    ours = scaled_given(u, labels, method=method, C=1e6)
    peer = LogisticRegression(C=np.inf, tol=1e-10).fit(u, labels)
    np.testing.assert_allclose(ours.decision_function(u), peer.decision_function(u), atol=1e-3)


@pytest.mark.parametrize("method", ["vector", "matrix"])
def test_what_a_row_has_in_common_does_not_matter(method):
    z, labels, weight = drawn()
    plain = scaled_given(z, labels, method=method).predict_proba(z)
    moved = z + 50.0 * weight[:, None]
    found = scaled_given(moved, labels, method=method).predict_proba(moved)
    np.testing.assert_allclose(found, plain, atol=1e-6)


@pytest.mark.parametrize("method", ["temperature", "vector", "matrix"])
def test_weights_are_repetitions(method):
    z, labels, weight = drawn(n_samples=100)
    weight[::7] = 0.0
    times = weight.astype(int)
    weighted = scaled_given(z, labels, sample_weight=weight, method=method)
    repeated = scaled_given(z.repeat(times, axis=0), labels.repeat(times), method=method)
    np.testing.assert_allclose(weighted.predict_proba(z), repeated.predict_proba(z), atol=1e-7)


def test_where_every_row_is_right_no_probability_exceeds_the_rule_of_succession():
    """N rows all right: their mean log-probability is that of the smoothed labels, and no more."""
    u = np.array([[-1.0], [-1.0], [1.0], [1.0]])
    model = scaled_given(u, [0, 0, 1, 1])
    assert model.predict_proba(u).max() == pytest.approx(5.0 / 6.0, rel=1e-9)
    assert "every held-out row is right" in model.stopping_reason_


def test_rows_that_speak_against_the_classifier_make_it_nearly_uniform():
    z, labels, _ = drawn()
    with pytest.warns(ConvergenceWarning, match="no better than by chance"):
        model = scaled_given(-z, labels)
    proba = model.predict_proba(-z)
    assert np.abs(proba - 0.25).max() < 1e-3
    np.testing.assert_array_equal(model.predict(-z), z.argmin(axis=1))


def test_logits_that_say_nothing():
    with pytest.warns(ConvergenceWarning):
        model = scaled_given(np.zeros((6, 3)), [0, 1, 2] * 2)
    assert model.temperature_ == 1.0


@pytest.mark.parametrize("method", ["temperature", "vector", "matrix"])
def test_an_impossible_class_stays_so(method):
    z, labels, _ = drawn(n_classes=3)
    wide = np.insert(z, 1, -np.inf, axis=1)
    given = Given(classes=["a", "b", "c", "d"]).fit(wide, labels)
    names = np.array(["a", "c", "d"])[labels]
    model = TemperatureScaling(given, cv="prefit", method=method).fit(wide, names)
    proba = model.predict_proba(wide)
    assert (proba[:, 1] == 0.0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    if method == "temperature":
        wanted = scaled_given(z, labels)
        np.testing.assert_allclose(model.temperature_, wanted.temperature_, rtol=1e-9)
    with pytest.raises(ValueError, match="1 held-out rows are of the class 'b'"):
        TemperatureScaling(given, cv="prefit").fit(wide[:3], ["a", "b", "c"])


CLASSIFIERS = {
    "softmax": SoftmaxClassifier(C=100.0),
    "radial": RBFClassifier(20, C=0.1, random_state=0),
    "bayes": GaussianNB(),
    "forest": RandomForestClassifier(20, random_state=0),
    "neighbours": KNeighborsClassifier(),
    "vectors": SVC(),
    "perceptron": Perceptron(),
}


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("estimator", CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_any_classifier_is_calibrated(estimator, n_classes):
    """On other rows it is better than no answer, and than the estimator but for chance.

    The folds' clones saw fewer rows than the estimator itself; measured is 0.011 worse at most.
    """
    rng = np.random.default_rng(1)
    X = rng.normal(size=(600, 8))
    y = (2.0 * X[:, :n_classes] + rng.gumbel(size=(600, n_classes))).argmax(axis=1)
    names = np.array(["no", "perhaps", "yes"])[y]
    model = TemperatureScaling(clone(estimator), cv=3).fit(X[:300], names[:300])
    assert model.classes_.tolist() == sorted(set(names))
    proba = model.predict_proba(X[300:])
    np.testing.assert_allclose(np.log(proba), model.predict_log_proba(X[300:]), atol=1e-9)
    np.testing.assert_array_equal(model.predict(X[300:]), model.classes_[proba.argmax(axis=1)])
    before = logits_of(model.estimator_, X[300:])
    loss = log_loss(y[300:], before - logsumexp(before, axis=1, keepdims=True))
    assert log_loss(y[300:], np.log(proba)) < min(loss + 0.02, np.log(n_classes))
    decision = model.decision_function(X[300:])
    assert decision.shape == ((300,) if n_classes == 2 else (300, 3))


class Memory(ClassifierMixin, BaseEstimator):
    """It knows the rows it was trained on, and refuses to score them."""

    def fit(self, X, y, sample_weight=None):
        self.classes_, self.rows_ = np.unique(y), {row.tobytes() for row in X}
        return self

    def decision_function(self, X):
        assert not self.rows_ & {row.tobytes() for row in X}, "scored on what it was trained on"
        return X


@pytest.mark.parametrize("cv", [None, 3, KFold(4), StratifiedKFold(2), "splits"])
def test_every_row_is_scored_by_who_has_not_seen_it(cv):
    z, labels, _ = drawn(n_classes=3)
    splits = list(KFold(3, shuffle=True, random_state=0).split(z)) if cv == "splits" else cv
    model = TemperatureScaling(Memory(), cv=splits).fit(z, labels)
    assert model.temperature_ == pytest.approx(scaled_given(z, labels).temperature_, rel=1e-9)
    assert len(model.estimator_.rows_) == len(z)


def test_folds_side_by_side_are_the_same():
    z, labels, weight = drawn()
    models = []
    for n_jobs in (None, 2):
        model = TemperatureScaling(SoftmaxClassifier(), n_jobs=n_jobs)
        with joblib.parallel_config(backend="threading"):
            models.append(model.fit(z, labels, sample_weight=weight))
    assert models[0].temperature_ == models[1].temperature_


def test_fewer_rows_than_five_of_a_class_are_fewer_folds():
    z, labels, _ = drawn(n_classes=3, n_samples=60)
    rare = np.r_[np.flatnonzero(labels == 0)[:2], np.flatnonzero(labels > 0)]
    assert TemperatureScaling(SoftmaxClassifier()).fit(z[rare], labels[rare]).temperature_ > 0.0


def test_a_frozen_estimator_is_prefit():
    z, labels, _ = drawn()
    inner = SoftmaxClassifier().fit(z[:300], labels[:300])
    frozen = TemperatureScaling(FrozenEstimator(inner)).fit(z[300:], labels[300:])
    prefit = TemperatureScaling(inner, cv="prefit").fit(z[300:], labels[300:])
    assert frozen.temperature_ == prefit.temperature_
    assert prefit.estimator_ is inner
    again = clone(frozen).fit(z[300:], labels[300:])
    np.testing.assert_array_equal(again.predict_proba(z), frozen.predict_proba(z))
    with pytest.raises(NotFittedError):
        clone(prefit).fit(z[300:], labels[300:])


def test_float32_stays_float32():
    z, labels, _ = drawn()
    for method in ("temperature", "vector", "matrix"):
        model = TemperatureScaling(SoftmaxClassifier(), method=method).fit(z.astype("f4"), labels)
        assert model.predict_proba(z.astype("f4")).dtype == np.float32


def test_a_fit_that_fails_leaves_it_as_it_was():
    z, labels, _ = drawn()
    model = scaled_given(z, labels)
    before = model.temperature_
    with pytest.raises(ValueError, match="which is none of the classes"):
        model.fit(z, labels + 1)
    assert model.temperature_ == before
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(z), model.predict_proba(z))


def test_weights_an_estimator_does_not_know_are_the_scalings():
    z, labels, weight = drawn()
    with pytest.warns(UserWarning, match=r"Given.fit takes no sample_weight"):
        found = TemperatureScaling(Given(), cv=3).fit(z, labels, sample_weight=weight)
    wanted, _ = best_temperature(HeldOut(z, labels, weight))
    assert found.temperature_ == pytest.approx(wanted, rel=1e-9)


Z, LABELS, _ = drawn(n_samples=60, n_classes=3)


@pytest.mark.parametrize(
    ("options", "y", "words"),
    [
        ({"method": "platt"}, LABELS, "method must be one of 'temperature', 'vector', 'matrix'"),
        ({"cv": "prefitted"}, LABELS, "cv must be one of 'prefit'"),
        ({"C": 0.0}, LABELS, "C must be positive and finite"),
        ({"cv": 40}, LABELS, "fewer than the 40 folds of cv"),
        ({}, np.zeros(60), r"one class only \(0.0\)"),
        ({}, np.linspace(0.0, 1.0, 60), "Unknown label type"),
        ({}, np.full((60, 3), 1.0 / 3.0), "class names, one a row"),
        ({"cv": [(np.arange(5, 60), np.arange(5))]}, np.r_[9, LABELS[1:]], "no row of the class"),
        ({}, LABELS[:5], "inconsistent numbers of samples"),
        ({"estimator": SVC(decision_function_shape="ovo")}, np.arange(60) % 4, "shape \\(.*, 6\\)"),
    ],
)
def test_errors_say_what_to_do(options, y, words):
    with pytest.raises(ValueError, match=words):
        TemperatureScaling(**{"estimator": SoftmaxClassifier()} | options).fit(Z, y)


def test_what_is_no_classifier_is_refused():
    with pytest.raises(TypeError, match="LinearRegression has neither decision_function nor"):
        TemperatureScaling(LinearRegression()).fit(Z, LABELS)
    with pytest.raises(ValueError, match="row 1 of X"):
        scaled_given(np.insert(Z[:5], 1, np.nan, axis=0), np.arange(6) % 3)
    with pytest.raises(ValueError, match="sample_weight"):
        scaled_given(Z, LABELS, sample_weight=-np.ones(60))
    weight, split = np.r_[np.zeros(20), np.ones(40)], (np.arange(20, 60), np.arange(20))
    model = TemperatureScaling(SoftmaxClassifier(), cv=[split])
    with pytest.raises(ValueError, match="no held-out row has a positive weight"):
        model.fit(Z, LABELS, sample_weight=weight)
