"""A calibrated classifier as JSON and tensors, and back, with nothing taken on trust."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator

from .._arguments import as_positive, check_choice
from .._typing import Array
from ._base import NetworkClassifier
from ._class_names import is_plain
from ._description import described, restored
from ._temperature import TemperatureScaling

__all__ = ["described_calibration", "restored_calibration"]

_PARTS = {"method", "cv", "C", "n_jobs", "reason", "kind", "estimator"}
_INNER = "estimator."
_SHAPES = {"temperature": 0, "vector": 1, "matrix": 2}


def described_calibration(
    model: TemperatureScaling, kinds: dict[str, type[NetworkClassifier]], tensors: dict[str, Array]
) -> dict[str, Any]:
    """JSON of a fitted calibration and of its estimator; arrays go to ``tensors``.

    Raises
    ------
    TypeError
        If the estimator is none of these kinds.
    ValueError
        For what `restored_calibration` would refuse.
    """
    inner = model.estimator_
    frozen = isinstance(inner, FrozenEstimator)
    inner = inner.estimator if frozen else inner
    kind = type(inner).__name__
    if type(inner) is not kinds.get(kind):
        raise TypeError(
            f"a calibrated {kind} cannot be written to a model file, only a calibrated one of "
            f"{', '.join(kinds)}: use pickle"
        )
    own: dict[str, Array] = {}
    description = described(inner, own)
    for name, tensor in own.items():
        tensors[_INNER + name] = tensor
    tensors["temperature"] = np.array([model.temperature_], dtype=np.float64)
    if model.coef_ is not None:
        tensors["coef"] = np.ascontiguousarray(model.coef_)
        tensors["intercept"] = np.ascontiguousarray(model.intercept_)
    _check(model, inner)
    return {
        "method": model.method,
        "cv": "prefit" if frozen else model.cv if is_plain(model.cv) else None,
        "C": float(model.C),
        "n_jobs": None if model.n_jobs is None else int(model.n_jobs),
        "reason": model.stopping_reason_,
        "kind": kind,
        "estimator": description,
    }


def restored_calibration(
    kinds: dict[str, type[NetworkClassifier]],
    description: dict[str, Any],
    tensors: dict[str, Array],
) -> TemperatureScaling:
    """The calibration of `described_calibration`.

    Raises
    ------
    KeyError, TypeError, ValueError, OverflowError
        If a part is missing, out of its range, or does not fit the others.
    """
    if set(description) != _PARTS:
        raise ValueError("a part is missing, or there is one too many")
    kind = description["kind"]
    if kind not in kinds:
        raise ValueError(f"the kind {kind!r} of its estimator is none of {', '.join(kinds)}")
    own = {
        name.removeprefix(_INNER): tensor
        for name, tensor in tensors.items()
        if name.startswith(_INNER)
    }
    inner = restored(kinds[kind], description["estimator"], own)
    parameters = {name: description[name] for name in ("method", "cv", "C", "n_jobs")}
    model = TemperatureScaling(inner, **parameters)
    model.estimator_, model.classes_ = inner, inner.classes_
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(inner, name):
            setattr(model, name, getattr(inner, name))
    outer = {name: tensor for name, tensor in tensors.items() if not name.startswith(_INNER)}
    model.temperature_ = float(outer.pop("temperature").item())
    model.coef_, model.intercept_ = outer.pop("coef", None), outer.pop("intercept", None)
    if outer:
        raise ValueError(f"its tensors {sorted(outer)} belong to nothing")
    model.stopping_reason_ = description["reason"]
    _check(model, inner)
    return model


def _check(model: TemperatureScaling, inner: NetworkClassifier) -> None:
    """Parameters, and numbers that a fit with them leaves."""
    check_choice(model.method, tuple(_SHAPES), "method")
    as_positive(model.C, "C")
    if not (model.n_jobs is None or type(model.n_jobs) is int):
        raise ValueError(f"n_jobs must be an integer or None, got {model.n_jobs!r}")
    if type(model.stopping_reason_) is not str:
        raise ValueError("its reason to stop must be a text")
    if not 0.0 < model.temperature_ < np.inf:
        raise ValueError(f"its temperature must be positive, got {model.temperature_!r}")
    n_dims, n_classes = _SHAPES[model.method], len(inner.classes_)
    wanted = {"coef_": (n_classes,) * n_dims, "intercept_": (n_classes,)}
    for name, shape in wanted.items():
        tensor = getattr(model, name)
        if (tensor is None) != (n_dims == 0):
            raise ValueError(f"{name} does not belong to method={model.method!r}: fit again")
        if tensor is None:
            continue
        if tensor.shape != shape or tensor.dtype != np.float64 or not np.isfinite(tensor).all():
            raise ValueError(f"{name} must be finite float64 {shape}, got {tensor.shape}")
