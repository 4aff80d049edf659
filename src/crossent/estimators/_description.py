"""A fitted classifier as JSON and tensors, and back, with nothing taken on trust."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._typing import Array
from ..data import class_weights
from ..solvers import Result
from ._base import NetworkClassifier
from ._checks import checked_options
from ._class_names import decoded, decoded_names, encoded, encoded_names, is_plain

__all__ = ["described", "restored"]

_CENTERS = "parameter.centers"
_PARTS = {"parameters", "classes", "n_features_in", "feature_names_in", "result"}
_STEPS = "n_steps"
_RESULT = {
    "value": float,
    "gradient_norm": float,
    "n_iterations": int,
    "n_evaluations": int,
    "converged": bool,
    "reason": str,
    "gap": float,
    "stopped_by_callback": bool,
}


def described(estimator: NetworkClassifier, tensors: dict[str, Array]) -> dict[str, Any]:
    """JSON of a fitted classifier; its arrays go to ``tensors``.

    Raises
    ------
    TypeError
        For class names or parameters that JSON has no word for.
    ValueError
        For what `restored` would refuse.
    """
    _check_parameters(estimator)
    _check_tensors(estimator)
    for name in estimator._tensor_names:
        tensors[name.removesuffix("_")] = np.ascontiguousarray(getattr(estimator, name))
    parameters = {}
    for name, value in estimator.get_params(deep=False).items():
        if name == "callback" or (name == "random_state" and not is_plain(value)):
            continue
        if name == "centers" and not isinstance(value, str):
            tensors[_CENTERS] = np.ascontiguousarray(value, dtype=np.float64)
            continue
        parameters[name] = _encoded_parameter(name, value)
    names = getattr(estimator, "feature_names_in_", None)
    return {
        "parameters": parameters,
        "classes": encoded_names(estimator.classes_),
        "n_features_in": int(estimator.n_features_in_),
        "feature_names_in": None if names is None else [str(name) for name in names],
        "result": _described_result(estimator),
    }


def _described_result(estimator: NetworkClassifier) -> dict[str, Any]:
    """Of a fit; of `partial_fit`, which knows no more, the number of steps."""
    if not hasattr(estimator, "result_"):
        return {_STEPS: int(estimator.n_iter_)}
    result = estimator.result_._asdict()
    return {field: encoded(_RESULT[field](result[field])) for field in _RESULT}


def restored(
    kind: type[NetworkClassifier], description: dict[str, Any], tensors: dict[str, Array]
) -> NetworkClassifier:
    """The classifier of `described`.

    Raises
    ------
    KeyError, TypeError, ValueError, OverflowError
        If a part is missing, out of its range, or does not fit the others.
    """
    if set(description) != _PARTS:
        raise ValueError("a part is missing, or there is one too many")
    estimator = kind(**_restored_parameters(kind, description["parameters"], tensors))
    wanted = {name.removesuffix("_") for name in estimator._tensor_names}
    if set(tensors) - {_CENTERS} != wanted:
        raise ValueError(f"its tensors are {sorted(tensors)}, expected {sorted(wanted)}")
    for name in estimator._tensor_names:
        setattr(estimator, name, tensors[name.removesuffix("_")])
    estimator.classes_ = decoded_names(description["classes"])
    estimator.n_features_in_ = _counted(description["n_features_in"], "n_features_in", least=1)
    names = description["feature_names_in"]
    if names is not None:
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("feature_names_in must be a list of texts, or nothing")
        if len(names) != estimator.n_features_in_:
            raise ValueError(
                f"it names {len(names)} columns, but has {estimator.n_features_in_} of them"
            )
        estimator.feature_names_in_ = np.array(names, dtype=object)
    for name in estimator._kept_names:
        setattr(estimator, f"{name}_", getattr(estimator, name))
    if set(description["result"]) == {_STEPS}:
        estimator.n_iter_ = _counted(description["result"][_STEPS], _STEPS, least=0)
    else:
        estimator._note_result(_restored_result(description["result"]))
    _check_parameters(estimator)
    _check_tensors(estimator)
    return estimator


def _restored_parameters(
    kind: type[NetworkClassifier], stored: dict[str, Any], tensors: dict[str, Array]
) -> dict[str, Any]:
    """All parameters but the callback, each once."""
    parameters = {name: _decoded_parameter(name, value) for name, value in stored.items()}
    known = set(kind._get_param_names()) - {"callback"}
    if "centers" in known and _CENTERS in tensors:
        if "centers" in parameters:
            raise ValueError("it gives the parameter centers twice")
        parameters["centers"] = tensors[_CENTERS]
    elif _CENTERS in tensors:
        raise ValueError(f"its tensor {_CENTERS} belongs to no parameter")
    wrong = set(parameters) ^ known - {"random_state"}
    if wrong - {"random_state"}:
        raise ValueError(f"parameters are missing or unknown: {', '.join(sorted(wrong))}")
    return parameters


def _restored_result(stored: dict[str, Any]) -> Result:
    if set(stored) != set(_RESULT):
        raise ValueError("its result lacks a field, or has one too many")
    result = {name: decoded(value) for name, value in stored.items()}
    for name, wanted in _RESULT.items():
        if type(result[name]) is not wanted:
            raise ValueError(f"{name} of its result must be of type {wanted.__name__}")
    for name in ("n_iterations", "n_evaluations"):
        _counted(result[name], name, least=0)
    return Result(parameters=np.empty(0), **result)


def _counted(value: Any, name: str, *, least: int) -> int:
    if type(value) is not int or not least <= value < 2**63:
        raise ValueError(f"{name} must be an integer of {least} at least, got {value!r}")
    return value


def _check_parameters(estimator: NetworkClassifier) -> None:
    """The checks of ``fit``, on a fitted classifier."""
    checked_options(estimator)
    estimator._check_own_parameters()
    for name in estimator._kept_names:
        if getattr(estimator, name) != getattr(estimator, f"{name}_"):
            raise ValueError(f"{name} was changed after the fit: fit again")
    estimator._check_centers(int(estimator.n_features_in_))
    class_weights(estimator.class_weight, estimator.classes_, np.ones(len(estimator.classes_)))


def _check_tensors(estimator: NetworkClassifier) -> None:
    """Tensors, class names and columns must belong together, and the numbers must be usable."""
    n_classes, n_inputs = len(estimator.classes_), estimator.n_features_in_
    n_rows = 1 if n_classes == 2 else n_classes
    centers = getattr(estimator, "centers_", None)
    n_features = n_inputs if centers is None else len(centers)
    wanted = {"coef_": (n_rows, n_features), "intercept_": (n_rows,), "beta_": (n_features,)}
    wanted |= {"centers_": (n_features, n_inputs), "mean_": (n_inputs,), "scale_": (n_inputs,)}
    if estimator.coef_.dtype not in (np.float32, np.float64):
        raise ValueError(f"coef_ has dtype {estimator.coef_.dtype}, expected float32 or float64")
    for name in estimator._tensor_names:
        tensor = getattr(estimator, name)
        if tensor.shape != wanted[name] or tensor.dtype != estimator.coef_.dtype:
            raise ValueError(
                f"{name} has shape {tensor.shape} and dtype {tensor.dtype}, "
                f"expected {wanted[name]} and {estimator.coef_.dtype}"
            )
        usable = np.isfinite(tensor)
        if name == "intercept_":  # a class without a single row
            usable |= np.isneginf(tensor)
        if name in ("beta_", "scale_"):
            usable &= tensor > 0.0
        if not usable.all():
            raise ValueError(f"{name} holds numbers that no fit leaves, such as NaN")


def _encoded_parameter(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):  # class_weight: JSON's own keys are text only
        return [[encoded(key), encoded(weight)] for key, weight in value.items()]
    if not is_plain(value):
        raise TypeError(f"{name}={value!r} cannot be written to a model file")
    return encoded(value)


def _decoded_parameter(name: str, value: Any) -> Any:
    if name == "class_weight" and isinstance(value, list):
        return {decoded(key): decoded(weight) for key, weight in value}
    return decoded(value)
