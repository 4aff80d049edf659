"""Model files come back as they went in, or not at all."""

from __future__ import annotations

import json
import os
import warnings

import numpy as np
import pytest
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from crossent.estimators import (
    ModelFileError,
    RBFClassifier,
    SoftmaxClassifier,
    TemperatureScaling,
    _sealed_file,
    load_model,
    save_model,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 2))
LABELS = (X[:, 0] > 0.3).astype(int) + (X[:, 1] > 0)


def trained(cls=SoftmaxClassifier, /, y=LABELS, X=X, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cls(**options).fit(X, y)


MODELS = {
    "softmax": lambda: trained(C=0.5),
    "two classes": lambda: trained(y=LABELS > 0),
    "float32": lambda: trained(X=X.astype(np.float32)),
    "no penalty": lambda: trained(C=float("inf"), max_iter=5),
    "weights": lambda: trained(class_weight={0: 2.0, 2: 0.5}, random_state=3),
    "radial": lambda: trained(RBFClassifier, n_centers=4, random_state=0),
    "additive": lambda: trained(RBFClassifier, n_centers=4, kind="additive", random_state=0),
    "given centers": lambda: trained(RBFClassifier, centers=[[0.0, 0.0], [1.0, 1.0]]),
}


CALIBRATED = {
    "temperature": lambda: trained(TemperatureScaling, estimator=SoftmaxClassifier(C=0.5)),
    "vector": lambda: trained(
        TemperatureScaling,
        estimator=RBFClassifier(n_centers=4, centers="random", random_state=0),
        method="vector",
        cv=3,
    ),
    "matrix": lambda: trained(
        TemperatureScaling, estimator=SoftmaxClassifier(), method="matrix", y=LABELS > 0
    ),
    "frozen": lambda: trained(TemperatureScaling, estimator=FrozenEstimator(trained(C=0.5))),
}


@pytest.mark.parametrize("make", CALIBRATED.values(), ids=CALIBRATED)
def test_a_calibrated_model_comes_back(make, tmp_path):
    model, path = make(), tmp_path / "model.safetensors"
    model.save(path)
    again = TemperatureScaling.load(path)
    np.testing.assert_array_equal(again.predict_log_proba(X), model.predict_log_proba(X))
    assert again.temperature_ == model.temperature_
    for name in ("method", "C", "n_jobs"):
        assert getattr(again, name) == getattr(model, name)
    assert again.stopping_reason_ == model.stopping_reason_
    again.fit(X, LABELS)
    with pytest.raises(ModelFileError, match="holds a TemperatureScaling, not a SoftmaxClassifier"):
        SoftmaxClassifier.load(path)


def test_only_our_own_classifiers_are_saved_with_their_calibration(tmp_path):
    model = trained(TemperatureScaling, estimator=LogisticRegression())
    with pytest.raises(TypeError, match="a calibrated LogisticRegression cannot be written"):
        model.save(tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "words"),
    {
        "part": (lambda d, t: d["model"].pop("C"), "a part is missing"),
        "method": (lambda d, t: d["model"].update(method="vector"), "does not belong to method"),
        "unknown": (lambda d, t: d["model"].update(method="x"), "method must be"),
        "kind": (lambda d, t: d["model"].update(kind="list"), "'list' of its estimator is none of"),
        "C": (lambda d, t: d["model"].update(C=-1.0), "C must be"),
        "temperature": (
            lambda d, t: t.update(temperature=np.array([-1.0])),
            "temperature must be positive",
        ),
        "tensor": (lambda d, t: t.update(more=np.ones(1)), "belong to nothing"),
        "inner": (
            lambda d, t: t.update({"estimator.coef": t["estimator.coef"][:, :1].copy()}),
            "coef_ has shape",
        ),
    }.values(),
)
def test_a_forged_calibration_is_refused(change, words, tmp_path):
    path = tmp_path / "model.safetensors"
    CALIBRATED["temperature"]().save(path)
    forged(path, change)
    with pytest.raises(ModelFileError, match=words):
        load_model(path)


@pytest.mark.parametrize("cls", [SoftmaxClassifier, RBFClassifier])
def test_what_partial_fit_learned_is_saved(cls, tmp_path):
    model = cls().partial_fit(X, LABELS, classes=np.unique(LABELS))
    model.save(tmp_path / "model.safetensors")
    again = cls.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.n_iter_ == model.n_iter_
    again.partial_fit(X, LABELS)


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_a_model_comes_back(make, tmp_path):
    model, path = make(), tmp_path / "model.safetensors"
    table = {"columns": ["a", "b"], "target": "Zielgröße", "missing": None, "share": 0.1}
    save_model(path, model, table=table)
    again, stored = load_model(path)
    assert stored == table
    assert type(again) is type(model)
    np.testing.assert_array_equal(again.predict_log_proba(X), model.predict_log_proba(X))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    for name, value in model.get_params().items():
        np.testing.assert_equal(again.get_params()[name], value)
    assert again.n_iter_ == model.n_iter_
    assert again.stopping_reason_ == model.stopping_reason_
    np.testing.assert_equal(again.result_._asdict(), model.result_._asdict())


@pytest.mark.parametrize(
    "names",
    [
        np.array(["no", "ja", "ö\n\"'\\\x00x"]),
        np.array(["no", "ja", "maybe"], dtype=object),
        np.array([-(2**62) - 1, 0, 2**62 + 1]),
        np.array([0, 1, 255], dtype=np.uint8),
        np.array([-2.0, 0.0, 2.0**53]),
        np.array([-2.0, 0.0, 2.0**40], dtype=np.float32),
        np.array([False, True]),
    ],
    ids=lambda names: f"{names.dtype}",
)
def test_class_names_come_back_exactly(names, tmp_path):
    y = names[LABELS % len(names)]
    model = trained(y=y)
    model.save(tmp_path / "model")
    again = SoftmaxClassifier.load(tmp_path / "model")
    assert again.classes_.dtype == model.classes_.dtype
    assert again.classes_.tolist() == model.classes_.tolist()
    assert [type(a) for a in again.classes_.tolist()] == [type(a) for a in model.classes_.tolist()]


def test_feature_names_come_back(tmp_path):
    model = trained()
    model.feature_names_in_ = np.array(["a", "b"], dtype=object)
    model.save(tmp_path / "model")
    assert SoftmaxClassifier.load(tmp_path / "model").feature_names_in_.tolist() == ["a", "b"]


def test_names_json_has_no_word_for_are_refused(tmp_path):
    dates = np.array(["2020-01-01", "2021-01-01", "2022-01-01"], dtype="datetime64[D]")
    with pytest.raises(TypeError, match="use text"):
        trained(y=dates[LABELS]).save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def content(loaded):
    model, table = loaded
    return model.get_params(), table, [getattr(model, n).tobytes() for n in model._tensor_names]


@pytest.mark.parametrize(("kind", "turned"), [("softmax", (0x20,)), ("radial", ())])
def test_every_flipped_byte_is_found(kind, turned, tmp_path):
    """Every byte, one bit of it and more: the file is refused, or nothing has changed."""
    path = tmp_path / "model"
    save_model(path, MODELS[kind](), table={"target": "t"})
    whole = path.read_bytes()
    wanted = content(load_model(path))
    refused = 0
    for position in range(len(whole)):
        for flip in (1 << position % 8, *turned):
            changed = bytearray(whole)
            changed[position] ^= flip
            path.write_bytes(changed)
            try:
                found = content(load_model(path))
            except ModelFileError:
                refused += 1
            else:
                np.testing.assert_equal(found, wanted)
    assert refused > 0.95 * (1 + len(turned)) * len(whole)


def test_every_length_cut_off_is_found(tmp_path):
    path = tmp_path / "model"
    save_model(path, MODELS["softmax"]())
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelFileError):
            load_model(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(ModelFileError):
        load_model(path)


def resealed(path, change):
    """Change the metadata's JSON object and write the file anew, a valid safetensors file."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    sealed = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["crossent"])
    change(sealed)
    path.write_bytes(save_tensors(load_tensors(data), {"crossent": json.dumps(sealed)}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.update(format=2), "install a newer one"),
        (lambda s: s.update(format=0), "damaged header"),
        (lambda s: s.update(format=True), "damaged header"),
        (lambda s: s.update(digest="0" * 64), "was changed after it was written"),
        (lambda s: s.update(description=s["description"] + " "), "was changed"),
        (lambda s: s.pop("digest"), "damaged header"),
        (lambda s: s.update(more=1), "damaged header"),
    ],
)
def test_foreign_and_newer_seals(change, words, tmp_path):
    path = tmp_path / "model"
    save_model(path, MODELS["softmax"]())
    resealed(path, change)
    with pytest.raises(ModelFileError, match=words):
        load_model(path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"col,umn\n1,2\n",
        b"\x80\x04pickle",
        (2).to_bytes(8, "little") + b"{}",
        (2**60).to_bytes(8, "little") + b"{}",
        (9).to_bytes(8, "little") + b"[[[[[[[[[",
        save_tensors({"a": np.zeros(2)}, {"format": "pt"}),
        save_tensors({"a": np.zeros(2)}),
    ],
)
def test_foreign_files_get_one_clear_line(data, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match=r"\A[^\n]*model[^\n]*\Z"):
        load_model(path)


def test_another_kind_is_named(tmp_path):
    MODELS["radial"]().save(tmp_path / "model")
    with pytest.raises(ModelFileError, match="holds a RBFClassifier, not a SoftmaxClassifier"):
        SoftmaxClassifier.load(tmp_path / "model")
    assert isinstance(RBFClassifier.load(tmp_path / "model"), RBFClassifier)


def test_an_unfitted_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not fitted"):
        save_model(tmp_path / "model", SoftmaxClassifier())
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "model"
    save_model(path, MODELS["softmax"]())
    before = path.read_bytes()

    def fails(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="disk full"):
        save_model(path, MODELS["radial"]())
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_a_link_stays_a_link(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    save_model(real, MODELS["softmax"]())
    link.symlink_to(real)
    save_model(link, MODELS["radial"]())
    assert link.is_symlink()
    assert isinstance(load_model(real)[0], RBFClassifier)


def test_loading_runs_nothing_of_the_file(tmp_path, monkeypatch):
    """No pickle is opened on the way."""
    import pickle

    save_model(tmp_path / "model", MODELS["radial"]())
    monkeypatch.setattr(pickle, "loads", None)
    monkeypatch.setattr(pickle, "load", None)
    monkeypatch.setattr(pickle, "Unpickler", None)
    load_model(tmp_path / "model")


# ---------------------------------------------------------------- forged files, with a fitting seal


def forged(path, change):
    """Change description and tensors, and seal the file anew: only what it says can tell."""
    text, tensors = _sealed_file.read_sealed(path)
    description = json.loads(text)
    change(description, tensors)
    _sealed_file.write_sealed(path, description, tensors)


def assert_refused(path, words):
    with pytest.raises(ModelFileError, match=words) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def of_model(**parts):
    return lambda d, t: d["model"].update(parts)


def parameter(**values):
    return lambda d, t: d["model"]["parameters"].update(values)


def of_result(**values):
    return lambda d, t: d["model"]["result"].update(values)


def tensor(name, change):
    def apply(description, tensors):
        tensors[name] = np.ascontiguousarray(change(tensors[name]))

    return apply


def entry(name, value):
    def change(array):
        array = array.copy()
        array.flat[0] = value
        return array

    return tensor(name, change)


def names(dtype, *classes):
    return of_model(classes={"dtype": dtype, "names": list(classes)})


FORGED = {
    "a huge width": (names("<U500000000", "a", "b", "c"), "class names of dtype '<U500000000'"),
    "names of another type": (names("int64", 0, 1, "b"), "must be ints"),
    "true is no number": (names("int64", 0, True, 2), "must be ints"),
    "beyond the type": (names("int8", 0, 1, 300), "model"),
    "repeated": (names("int64", 0, 1, 1), "in rising order"),
    "falling": (names("text", "b", "a", "c"), "in rising order"),
    "unsortable": (names("object", "a", 1, "c"), "model"),
    "cut": (names("int64", 0), "two at least"),
    "cut to two": (names("int64", 0, 1), "coef_ has shape"),
    "NaN as a name": (names("float64", 0.0, 1.0, {"float": "nan"}), "in rising order"),
    "no table": (lambda d, t: d.pop("table"), "a part is missing"),
    "no classes": (lambda d, t: d["model"].pop("classes"), "a part is missing"),
    "more parts": (of_model(code="x"), "one too many"),
    "a table that is none": (lambda d, t: d.update(table=[1]), "table is no JSON object"),
    "another kind": (lambda d, t: d.update(kind="Pickle"), "its kind 'Pickle' is none of"),
    "another kind of model": (lambda d, t: d.update(kind="RBFClassifier"), "parameters are miss"),
    "lots": (parameter(workspace_bytes="lots"), "workspace_bytes must be a positive integer"),
    "C": (parameter(C=-3.0), "C must be positive"),
    "C beyond floats": (parameter(C=10**400), "model"),
    "random_state": (parameter(random_state="x"), "x"),
    "verbose": (parameter(verbose="x"), "verbose must be"),
    "class_weight": (parameter(class_weight=[[7, 1.0]]), "class_weight names the class 7"),
    "class_weight of text": (parameter(class_weight=[[0, "x"]]), "model"),
    "callback": (parameter(callback=None), "missing or unknown: callback"),
    "a parameter too few": (lambda d, t: d["model"]["parameters"].pop("C"), "unknown: C"),
    "a list": (parameter(tol=[1.0]), "a list stands"),
    "a long text": (parameter(solver="x" * 10_000), "solver must be"),
    "int64": (tensor("coef", lambda a: a.astype(np.int64)), "float32 or float64"),
    "bool": (tensor("coef", lambda a: a > 0), "float32 or float64"),
    "float16": (tensor("coef", lambda a: a.astype(np.float16)), "float32 or float64"),
    "mixed": (tensor("intercept", lambda a: a.astype(np.float32)), "intercept_ has shape"),
    "NaN": (entry("coef", np.nan), "coef_ holds numbers"),
    "inf": (entry("coef", np.inf), "coef_ holds numbers"),
    "intercept": (entry("intercept", np.inf), "intercept_ holds numbers"),
    "NaN intercept": (entry("intercept", np.nan), "intercept_ holds numbers"),
    "more tensors": (lambda d, t: t.update(more=np.zeros(2)), "its tensors are"),
    "centers for none": (lambda d, t: t.update({"parameter.centers": np.zeros(2)}), "belongs to"),
    "fewer tensors": (lambda d, t: t.pop("intercept"), "its tensors are"),
    "names of columns": (of_model(feature_names_in=["a"]), "names 1 columns, but has 2"),
    "no names of columns": (of_model(feature_names_in=[1, 2]), "list of texts"),
    "n_features_in": (of_model(n_features_in=2.0), "n_features_in must be an integer"),
    "n_iterations": (of_result(n_iterations="many"), "n_iterations of its result must be"),
    "negative iterations": (of_result(n_iterations=-1), "n_iterations must be an integer of 0"),
    "converged": (of_result(converged=1), "converged of its result must be"),
}


@pytest.mark.parametrize(("change", "words"), FORGED.values(), ids=FORGED)
def test_a_forged_description_is_refused(change, words, tmp_path):
    path = tmp_path / "model"
    save_model(path, MODELS["softmax"]())
    forged(path, lambda description, tensors: None)
    load_model(path)
    forged(path, change)
    assert_refused(path, words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (entry("beta", 0.0), "beta_ holds"),
        (entry("scale", -1.0), "scale_ holds"),
        (entry("mean", np.inf), "mean_ holds"),
        (parameter(kind="cubic"), "kind must be one of"),
        (parameter(n_centers=0), "n_centers must be"),
        (lambda d, t: t.update({"parameter.centers": np.zeros((1, 2))}), "centers twice"),
    ],
)
def test_a_forged_network_is_refused(change, words, tmp_path):
    path = tmp_path / "model"
    save_model(path, MODELS["radial"]())
    forged(path, change)
    assert_refused(path, words)


def test_given_centers_are_checked(tmp_path):
    path = tmp_path / "model"
    save_model(path, MODELS["given centers"]())
    forged(path, entry("parameter.centers", np.nan))
    assert_refused(path, "centers must be finite")


def test_a_deeply_nested_description_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "model"
    save_model(path, MODELS["softmax"]())
    _, tensors = _sealed_file.read_sealed(path)
    deep = "[" * 200_000
    with monkeypatch.context() as patch:
        dumps = json.dumps
        patch.setattr(json, "dumps", lambda o, **k: deep if o == "deep" else dumps(o, **k))
        _sealed_file.write_sealed(path, "deep", tensors)
    assert _sealed_file.read_sealed(path)[0] == deep
    assert_refused(path, "nested too deeply")


def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    assert_refused(tmp_path, "a folder, a device or a pipe")
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "none")
    if os.name == "posix":
        assert_refused("/dev/zero", "a folder, a device or a pipe")


def test_nothing_is_read_that_the_lengths_do_not_bear_out(tmp_path):
    """A hole of a terabyte behind a header of two bytes: reading it would need that memory."""
    path = tmp_path / "model"
    with path.open("wb") as file:
        file.write((2).to_bytes(8, "little") + b"{}")
        file.truncate(1 << 40)
    assert_refused(path, "no whole model file: it holds 1099511627776 bytes")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda model: model.set_params(C=-1.0), "C must be positive"),
        (lambda model: model.set_params(kind="additive"), "kind was changed after the fit"),
        (lambda model: model.coef_.fill(np.nan), "coef_ holds numbers"),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(change, words, tmp_path):
    model = MODELS["radial"]()
    change(model)
    with pytest.raises(ValueError, match=words):
        save_model(tmp_path / "model", model)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="file modes are those of POSIX")
def test_a_new_model_has_the_mode_of_new_files_and_an_old_one_keeps_its_own(tmp_path):
    path, plain = tmp_path / "model", tmp_path / "plain"
    plain.touch()
    save_model(path, MODELS["softmax"]())
    assert path.stat().st_mode == plain.stat().st_mode
    path.chmod(0o600)
    save_model(path, MODELS["softmax"]())
    assert path.stat().st_mode & 0o777 == 0o600
