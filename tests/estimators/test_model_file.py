"""Model files come back as they went in, or not at all."""

from __future__ import annotations

import json
import os
import warnings

import numpy as np
import pytest
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from crossent.estimators import (
    ModelFileError,
    RBFClassifier,
    SoftmaxClassifier,
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
