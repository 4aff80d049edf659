"""Objectives for boosting libraries: what the libraries' own give, and what the formulas say."""

import pickle

import numpy as np
import pytest

import crossent as ce
from crossent.boosting import lightgbm_softmax, xgboost_softmax

RNG = np.random.default_rng(31)
N, K = 400, 4
X = RNG.normal(size=(N, 5))
Y = (X @ RNG.normal(size=(5, K)) + RNG.gumbel(size=(N, K))).argmax(axis=1)
WEIGHT = RNG.uniform(0.2, 3.0, N)
OBJECTIVES = {"xgboost": xgboost_softmax, "lightgbm": lightgbm_softmax}
CURVATURES = {
    "p(1-p)": lambda p, y: p * (1 - p),
    "2p(1-p)": lambda p, y: 2 * p * (1 - p),
    "K/(K-1) p(1-p)": lambda p, y: K / (K - 1) * p * (1 - p),
    "|p-y|": lambda p, y: abs(p - y),
}


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize("curvature", CURVATURES)
@pytest.mark.parametrize("library", OBJECTIVES)
def test_gradient_and_curvature(library, curvature, weight):
    scores = RNG.normal(size=(N, K)) * 2
    given = () if weight is None else (weight,)
    gradient, diagonal = OBJECTIVES[library](curvature)(Y.astype("f4"), scores, *given)
    p, y = ce.softmax(scores), np.eye(K)[Y]
    r = 1.0 if weight is None else weight[:, None]
    np.testing.assert_allclose(gradient, r * (p - y), rtol=2e-7, atol=1e-12)
    np.testing.assert_allclose(diagonal, r * CURVATURES[curvature](p, y), rtol=2e-7)
    assert gradient.dtype == diagonal.dtype == np.float32
    assert gradient.shape == diagonal.shape == (N, K)


def test_confident_rows_keep_their_digits_and_stay_positive():
    scores = np.array([[60.0, 0.0, 0.0], [30.0, 0.0, -np.inf]])
    gradient, diagonal = xgboost_softmax("p(1-p)")([0, 0], scores)
    assert gradient[1, 0] == pytest.approx(-np.exp(-30.0), rel=1e-6)
    assert diagonal[1, 0] == pytest.approx(np.exp(-30.0), rel=1e-6)
    assert (diagonal >= np.float32(1e-16)).all()


XGBOOST = {"max_depth": 3, "eta": 0.3, "nthread": 1, "seed": 0, "base_score": 0.5, "num_class": K}


def of_xgboost(weight, objective, **more):
    """Return the margins after ten rounds, with the name of an objective or with a function."""
    xgboost = pytest.importorskip("xgboost", reason="XGBoost has no small wheel here")
    data = xgboost.DMatrix(X, Y, weight=weight)
    named = {"objective": objective} if isinstance(objective, str) else {}
    custom = {} if named else {"obj": objective}
    model = xgboost.train(XGBOOST | named | more, data, 10, **custom)
    return model.predict(data, output_margin=True)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
def test_xgboost_trains_as_with_its_own_objective(weight):
    own = of_xgboost(weight, "multi:softprob")
    ours = of_xgboost(weight, xgboost_softmax())
    assert abs(own).max() > 0.5
    # a constant more or less in every class is the same softmax: base_score may be one
    np.testing.assert_allclose(centred(ours), centred(own), rtol=0, atol=2e-6)
    other = of_xgboost(weight, xgboost_softmax("p(1-p)"))
    assert abs(centred(other) - centred(own)).max() > 0.1


def centred(margins):
    return margins - margins.mean(axis=1, keepdims=True)


LIGHTGBM = {"num_leaves": 7, "num_threads": 1, "num_class": K, "verbosity": -1, "seed": 0,
            "deterministic": True, "boost_from_average": False}  # fmt: skip


def of_lightgbm(weight, objective):
    lightgbm = pytest.importorskip("lightgbm")
    data = lightgbm.Dataset(X, Y, weight=weight)
    model = lightgbm.train(LIGHTGBM | {"objective": objective}, data, 10)
    return model.predict(X, raw_score=True)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
def test_lightgbm_trains_as_with_its_own_objective(weight):
    own = of_lightgbm(weight, "multiclass")
    ours = of_lightgbm(weight, lightgbm_softmax())
    assert abs(own).max() > 0.5
    np.testing.assert_allclose(ours, own, rtol=0, atol=2e-6)
    assert abs(of_lightgbm(weight, lightgbm_softmax("p(1-p)")) - own).max() > 0.05


def test_the_scikit_learn_interfaces_take_them_with_sample_weights():
    lightgbm = pytest.importorskip("lightgbm")
    options = {"n_estimators": 10, "num_leaves": 7, "n_jobs": 1, "verbosity": -1}
    model = lightgbm.LGBMClassifier(objective=lightgbm_softmax(), **options)
    model.fit(X, Y, sample_weight=WEIGHT)
    np.testing.assert_allclose(
        model.predict(X, raw_score=True), of_lightgbm(WEIGHT, "multiclass"), rtol=0, atol=2e-6
    )
    xgboost = pytest.importorskip("xgboost", reason="XGBoost has no small wheel here")
    options = {"n_estimators": 10, "max_depth": 3, "learning_rate": 0.3, "n_jobs": 1}
    model = xgboost.XGBClassifier(objective=xgboost_softmax(), base_score=0.5, **options)
    model.fit(X, Y, sample_weight=WEIGHT)
    margins = model.predict(X, output_margin=True)
    own = of_xgboost(WEIGHT, "multi:softprob")
    np.testing.assert_allclose(centred(margins), centred(own), rtol=0, atol=2e-6)


def test_objectives_can_be_pickled():
    scores = RNG.normal(size=(N, K))
    for make in OBJECTIVES.values():
        objective = make("|p-y|")
        again = pickle.loads(pickle.dumps(objective))
        np.testing.assert_array_equal(again(Y, scores), objective(Y, scores))


ERRORS = [
    (lambda: xgboost_softmax("p"), "curvature must be one of 'p"),
    (lambda: lightgbm_softmax("p"), "curvature must be one of 'p"),
    (lambda: xgboost_softmax()([0, 1], [0.0, 1.0]), "set num_class to the number of classes"),
    (lambda: xgboost_softmax()([0, 2], [[0.0, 1.0]] * 2), r"labels\[1\] is 2, but there are 2"),
    (lambda: xgboost_softmax()([0, 0.5], [[0.0, 1.0]] * 2), r"labels\[1\] is 0.5: class numbers"),
    (lambda: xgboost_softmax()([0, np.nan], [[0.0, 1.0]] * 2), r"labels\[1\] is nan: class"),
    (lambda: xgboost_softmax()([0], [[0.0, 1.0]] * 2), "scores of 2 rows"),
    (lambda: xgboost_softmax()([0, 1], [[0.0, 1.0]] * 2, [1, -1]), r"sample_weight\[1\] is -1"),
]


@pytest.mark.parametrize(("call", "text"), ERRORS)
def test_errors_say_what_to_do(call, text):
    with pytest.raises(ValueError, match=text):
        call()
