"""The classifiers inside scikit-learn's and joblib's tools: names, weights, processes, memory."""

from __future__ import annotations

import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

from crossent import RBFClassifier, SoftmaxClassifier, TemperatureScaling, softmax

X, Y = load_iris(return_X_y=True)
WEIGHT = np.random.default_rng(0).integers(0, 4, len(Y)).astype(float)
CLASSIFIERS = {
    "softmax": SoftmaxClassifier(),
    "rbf": RBFClassifier(8, random_state=0, tol=1e-2),
    "calibrated": TemperatureScaling(SoftmaxClassifier(), cv=3),
}
every_classifier = pytest.mark.parametrize("classifier", CLASSIFIERS.values(), ids=CLASSIFIERS)


# ------------------------------------------------------------ names of columns


@every_classifier
def test_columns_are_known_by_their_names(classifier):
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    model = clone(classifier).fit(frame, Y)
    assert model.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(model.predict(frame), clone(classifier).fit(X, Y).predict(X))
    with pytest.raises(ValueError, match="must be in the same order"):
        model.predict(frame[["b", "a", "c", "d"]])
    with pytest.raises(ValueError, match="unseen at fit time:\n- e"):
        model.predict(frame.rename(columns={"d": "e"}))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)


@every_classifier
def test_a_pipeline_hands_names_on(classifier):
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    steps = make_pipeline(StandardScaler(), clone(classifier)).set_output(transform="pandas")
    steps.fit(frame, pd.Series(Y, name="kind"))
    assert steps[-1].feature_names_in_.tolist() == ["a", "b", "c", "d"]
    assert steps.score(frame, Y) > 0.9


@every_classifier
def test_labels_of_pandas(classifier):
    """Categories, texts of pandas' own type and nullable integers are names like any other."""
    names = np.array(["setosa", "versicolor", "virginica"])[Y]
    for series in (pd.Series(names, dtype="category"), pd.Series(names, dtype="string")):
        model = clone(classifier).fit(X, series)
        assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
        assert model.score(X, series) > 0.9
    assert clone(classifier).fit(X, pd.Series(Y, dtype="Int64")).classes_.tolist() == [0, 1, 2]


# ------------------------------------------------------------ weights on their way


def requesting(classifier):
    """A clone that asks for weights, and so does what it wraps."""
    model = clone(classifier).set_fit_request(sample_weight=True)
    if isinstance(model, TemperatureScaling):
        model.estimator.set_fit_request(sample_weight=True)
    return model.set_score_request(sample_weight=True)


@every_classifier
def test_weights_are_routed(classifier):
    grid = {"C": [1e-3, 1.0]}
    with config_context(enable_metadata_routing=True):
        model = requesting(classifier)
        search = GridSearchCV(model, grid, cv=3).fit(X, Y, sample_weight=WEIGHT)
        steps = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
        steps.fit(X, Y, sample_weight=WEIGHT)
    wanted = clone(classifier).set_params(**search.best_params_).fit(X, Y, sample_weight=WEIGHT)
    np.testing.assert_array_equal(search.best_estimator_.predict_proba(X), wanted.predict_proba(X))
    plain = clone(classifier).set_params(**search.best_params_).fit(X, Y)
    assert np.abs(wanted.predict_proba(X) - plain.predict_proba(X)).max() > 1e-3
    scaled = StandardScaler().fit_transform(X)
    wanted = clone(classifier).fit(scaled, Y, sample_weight=WEIGHT)
    np.testing.assert_array_equal(steps.predict_proba(X), wanted.predict_proba(scaled))


@every_classifier
def test_weights_nobody_spoke_of_are_refused(classifier):
    with (
        config_context(enable_metadata_routing=True),
        pytest.raises(UnsetMetadataPassedError, match="sample_weight"),
    ):
        GridSearchCV(clone(classifier), {"C": [1.0]}, cv=3).fit(X, Y, sample_weight=WEIGHT)


def test_a_calibration_routes_to_its_estimator_and_its_splitter():
    """The weights reach the folds' clones only where the estimator asks for them."""
    with config_context(enable_metadata_routing=True):
        deaf = SoftmaxClassifier().set_fit_request(sample_weight=False)
        scaled = TemperatureScaling(deaf, cv=3).set_fit_request(sample_weight=True)
        scaled.fit(X, Y, sample_weight=WEIGHT)
    plain = SoftmaxClassifier().fit(X, Y)
    np.testing.assert_array_equal(scaled.estimator_.coef_, plain.coef_)
    assert scaled.temperature_ != TemperatureScaling(plain, cv=3).fit(X, Y).temperature_


# ------------------------------------------------------------ other tools


@every_classifier
def test_cross_validation_scores_probabilities(classifier):
    scores = cross_validate(clone(classifier), X, Y, cv=3, scoring=["neg_log_loss", "accuracy"])
    assert scores["test_neg_log_loss"].min() > -np.log(3.0)
    assert scores["test_accuracy"].min() > 0.9


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
@pytest.mark.parametrize("name", ["softmax", "rbf"])
def test_scikit_learn_calibrates_them(name, method):
    model = CalibratedClassifierCV(CLASSIFIERS[name], method=method, cv=3).fit(X, Y)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)
    assert model.score(X, Y) > 0.9


@every_classifier
def test_a_notebook_shows_them(classifier):
    name = type(classifier).__name__
    fresh, fitted = clone(classifier), clone(classifier).fit(X, Y)
    for model, word in ((fresh, "Not fitted"), (fitted, "Fitted")):
        page = estimator_html_repr(model)
        assert name in page
        assert f"<span>{word}</span>" in page
    assert ("SoftmaxClassifier" in estimator_html_repr(fresh)) == (name != "RBFClassifier")
    assert name in fitted._repr_mimebundle_()["text/plain"]


# ------------------------------------------------------------ processes and memory


def proba_of(classifier, X, y):
    """Fit and predict where X lies; whether it was memory-mapped."""
    return clone(classifier).fit(X, y).predict_proba(X), isinstance(X, np.memmap)


@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
def test_cross_validation_side_by_side(backend):
    """After the native threads of this process have run; "multiprocessing" forks it."""
    softmax(np.zeros((100_000, 10)))
    models = [clone(classifier) for classifier in CLASSIFIERS.values()]
    alone = [cross_val_score(model, X, Y, cv=3) for model in models]
    with warnings.catch_warnings(), joblib.parallel_config(backend=backend, n_jobs=2):
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        together = [cross_val_score(model, X, Y, cv=StratifiedKFold(3)) for model in models]
    np.testing.assert_array_equal(together, alone)


def test_processes_share_rows_by_memory_maps():
    tall = np.repeat(X, 10, axis=0)
    labels = Y.repeat(10)
    with joblib.parallel_config(backend="loky", n_jobs=2, max_nbytes=1000):
        found = joblib.Parallel()(
            joblib.delayed(proba_of)(classifier, tall, labels)
            for classifier in CLASSIFIERS.values()
        )
    for classifier, (proba, mapped) in zip(CLASSIFIERS.values(), found, strict=True):
        assert mapped
        wanted, mapped_here = proba_of(classifier, tall, labels)
        assert not mapped_here
        np.testing.assert_allclose(proba, wanted, atol=1e-9)


@every_classifier
def test_a_class_is_named_as_python_writes_it(classifier):
    with pytest.raises(ValueError, match=r"one class only [^a-z]*0\.0[^a-z]*:"):
        clone(classifier).fit(X, np.zeros(len(X)))
