"""to_onnx: ONNX Runtime gives the same classes and probabilities."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from crossent import RBFClassifier, SoftmaxClassifier, TemperatureScaling
from crossent.estimators import to_onnx

RNG = np.random.default_rng(0)
# Columns of any scale, one far from 0, one without spread.
X = RNG.normal(size=(120, 5)) * [1.0, 100.0, 0.01, 1.0, 0.0] + [0.0, 1e3, 0.0, -3.0, 2.0]
LABELS = (X[:, 0] + RNG.gumbel(size=120) > 0.5).astype(int) + (X[:, 3] > -3.0)

MODELS = {
    "softmax": SoftmaxClassifier(C=10.0),
    "no intercept": SoftmaxClassifier(fit_intercept=False),
    "radial": RBFClassifier(9, random_state=0, max_iter=20),
    "additive": RBFClassifier(9, kind="additive", random_state=0, max_iter=20),
    "given centers": RBFClassifier(centers=X[:4], train_centers=False, max_iter=20),
}
NAMES = {
    "text": np.array(["no", "ja", "größer"]),
    "objects": np.array(["no", "ja", "größer"], dtype=object),
    "int64": np.array([-7, 0, 2**40]),
    "uint8": np.array([0, 1, 255], dtype=np.uint8),
    "float64": np.array([-2.0, 0.0, 3.0]),
}


def fitted(model, X, y, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y, **options)


def run(proto, rows):
    """Labels and probabilities of ONNX Runtime, from the bytes of a checked model."""
    onnx.checker.check_model(proto, full_check=True)
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(["label", "probabilities"], {"X": rows})


def assert_same(model, rows):
    """Measured: 7e-7 in float32 and 7e-16 in float64 at most."""
    labels, proba = run(model.to_onnx(), rows)
    wanted = model.predict_proba(rows)
    assert proba.dtype == wanted.dtype
    atol = 5e-6 if proba.dtype == np.float32 else 1e-13
    np.testing.assert_allclose(proba, wanted, rtol=0.0, atol=atol)
    np.testing.assert_array_equal(labels, model.predict(rows))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_the_runtime_gives_the_same(model, n_classes, dtype):
    rows = X.astype(dtype)
    model = fitted(model, rows, NAMES["text"][np.minimum(LABELS, n_classes - 1)])
    assert_same(model, rows)
    assert_same(model, rows[:1])
    labels, proba = run(model.to_onnx(), rows[:0])
    assert labels.shape == (0,)
    assert proba.shape == (0, n_classes)


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_class_names_keep_their_type(names):
    model = fitted(SoftmaxClassifier(), X, names[LABELS])
    labels, _ = run(model.to_onnx(), X)
    assert labels.dtype.kind == ("O" if names.dtype.kind in "UO" else names.dtype.kind)
    np.testing.assert_array_equal(labels, model.predict(X))


def test_two_truth_values():
    model = fitted(SoftmaxClassifier(), X, LABELS > 0)
    labels, _ = run(model.to_onnx(), X)
    assert labels.dtype == bool
    np.testing.assert_array_equal(labels, model.predict(X))


@pytest.mark.parametrize("name", ["softmax", "radial"])
@pytest.mark.parametrize("classes", [[0, 1, 2, 3, 4], [0, 1, 2, 7]])
def test_a_class_without_rows_has_probability_zero(name, classes):
    model = fitted(MODELS[name], X, LABELS, classes=classes)
    assert_same(model, X)
    assert (run(model.to_onnx(), X)[1][:, 3:] == 0.0).all()


@pytest.mark.parametrize("method", ["temperature", "vector", "matrix"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", ["softmax", "additive"])
def test_a_calibration_is_part_of_it(method, n_classes, name):
    y = np.minimum(LABELS, n_classes - 1)
    assert_same(fitted(TemperatureScaling(MODELS[name], method=method, cv=2, C=1.0), X, y), X)


@pytest.mark.parametrize("method", ["temperature", "vector", "matrix"])
def test_a_calibration_keeps_impossible_classes(method):
    inner = fitted(SoftmaxClassifier(), X, LABELS, classes=[0, 1, 2, 3])
    model = TemperatureScaling(FrozenEstimator(inner), method=method, C=1.0).fit(X, LABELS)
    assert_same(model, X)


def test_it_can_be_written_and_read(tmp_path):
    model = fitted(SoftmaxClassifier(), X, LABELS)
    onnx.save(model.to_onnx(), tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert [value.name for value in session.get_inputs()] == ["X"]
    np.testing.assert_allclose(
        session.run(None, {"X": X})[1], model.predict_proba(X), rtol=0.0, atol=1e-13
    )


def test_what_cannot_be_written():
    with pytest.raises(NotFittedError):
        SoftmaxClassifier().to_onnx()
    with pytest.raises(TypeError, match="SoftmaxClassifier, an RBFClassifier or a"):
        to_onnx(LogisticRegression(tol=1.0).fit(X, LABELS))
    with pytest.raises(TypeError, match="got TemperatureScaling"):
        fitted(TemperatureScaling(LogisticRegression(tol=1.0), cv=2), X, LABELS).to_onnx()
    mixed = fitted(SoftmaxClassifier(), X, LABELS)
    mixed.classes_ = np.array([1, 2.5, 3], dtype=object)
    with pytest.raises(TypeError, match="have no type in ONNX"):
        mixed.to_onnx()


def test_without_onnx_the_error_says_what_to_install():
    program = (
        "import sys; sys.modules['onnx'] = None\n"
        "from crossent import SoftmaxClassifier\n"
        "SoftmaxClassifier().fit([[0.0], [1.0]], [0, 1]).to_onnx()\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert 'pip install "crossent[onnx]"' in run.stderr.splitlines()[-1]
