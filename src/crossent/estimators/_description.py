"""A fitted classifier as JSON and back: parameters, class names of any type, what the fit left."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .._typing import Array
from ..solvers import Result
from ._base import NetworkClassifier

__all__ = ["described", "restored"]

_LEFT_OUT = ("callback",)
_NAME_KINDS = "Ubiuf"


def described(estimator: NetworkClassifier, tensors: dict[str, Array]) -> dict[str, Any]:
    """JSON of a fitted classifier; parameters that are arrays go to ``tensors``.

    Raises
    ------
    TypeError
        For class names or parameters that JSON has no word for.
    """
    parameters = {}
    for name, value in estimator.get_params(deep=False).items():
        if name in _LEFT_OUT or (name == "random_state" and not _is_plain(value)):
            continue
        if name == "centers" and not isinstance(value, str):
            tensors["parameter.centers"] = np.ascontiguousarray(value, dtype=np.float64)
            continue
        parameters[name] = _encoded_parameter(name, value)
    names = getattr(estimator, "feature_names_in_", None)
    return {
        "parameters": parameters,
        "classes": _encoded_names(estimator.classes_),
        "n_features_in": int(estimator.n_features_in_),
        "feature_names_in": None if names is None else [str(name) for name in names],
        "result": {
            field: _encoded(value)
            for field, value in estimator.result_._asdict().items()
            if field != "parameters"
        },
    }


def restored(
    kind: Callable[..., NetworkClassifier], description: dict[str, Any], tensors: dict[str, Array]
) -> NetworkClassifier:
    """The classifier of `described`.

    Raises
    ------
    KeyError, TypeError, ValueError
        If a part is missing, or does not fit the others.
    """
    parameters = {
        name: _decoded_parameter(name, value) for name, value in description["parameters"].items()
    }
    if "parameter.centers" in tensors:
        parameters["centers"] = tensors["parameter.centers"]
    estimator = kind(**parameters)
    for name in estimator._tensor_names:
        setattr(estimator, name, tensors[name.removesuffix("_")])
    estimator.classes_ = _decoded_names(description["classes"])
    estimator.n_features_in_ = description["n_features_in"]
    if description["feature_names_in"] is not None:
        estimator.feature_names_in_ = np.array(description["feature_names_in"], dtype=object)
    found = {name: _decoded(value) for name, value in description["result"].items()}
    estimator.result_ = Result(parameters=np.empty(0), **found)
    estimator.n_iter_ = estimator.result_.n_iterations
    estimator.converged_ = estimator.result_.converged
    estimator.stopping_reason_ = estimator.result_.reason
    _check_shapes(estimator)
    return estimator


def _check_shapes(estimator: NetworkClassifier) -> None:
    """Tensors, class names and columns must belong together."""
    n_classes, n_inputs = len(estimator.classes_), estimator.n_features_in_
    n_rows = 1 if n_classes == 2 else n_classes
    centers = getattr(estimator, "centers_", None)
    n_features = n_inputs if centers is None else len(centers)
    wanted = {"coef_": (n_rows, n_features), "intercept_": (n_rows,), "beta_": (n_features,)}
    wanted |= {"centers_": (n_features, n_inputs), "mean_": (n_inputs,), "scale_": (n_inputs,)}
    for name in estimator._tensor_names:
        tensor = getattr(estimator, name)
        if tensor.shape != wanted[name] or tensor.dtype != estimator.coef_.dtype:
            raise ValueError(
                f"{name} has shape {tensor.shape} and dtype {tensor.dtype}, "
                f"expected {wanted[name]} and {estimator.coef_.dtype}"
            )


def _encoded_parameter(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):  # class_weight: JSON's own keys are text only
        return [[_encoded(key), _encoded(weight)] for key, weight in value.items()]
    if not _is_plain(value):
        raise TypeError(f"{name}={value!r} cannot be written to a model file")
    return _encoded(value)


def _decoded_parameter(name: str, value: Any) -> Any:
    if name == "class_weight" and isinstance(value, list):
        return {_decoded(key): _decoded(weight) for key, weight in value}
    return _decoded(value)


def _encoded_names(classes: Array) -> dict[str, Any]:
    if classes.dtype.kind not in _NAME_KINDS + "O":
        raise TypeError(
            f"class names of dtype {classes.dtype} cannot be written to a model file: "
            "use text, integers, bool or floats"
        )
    for name in classes.tolist():
        if not _is_plain(name):
            raise TypeError(f"the class name {name!r} cannot be written to a model file: use text")
    return {"dtype": classes.dtype.str, "names": [_encoded(name) for name in classes.tolist()]}


def _decoded_names(stored: dict[str, Any]) -> Array:
    dtype = np.dtype(stored["dtype"])
    if dtype.kind not in _NAME_KINDS + "O":
        raise ValueError(f"class names of dtype {dtype} are not known")
    return np.array([_decoded(name) for name in stored["names"]], dtype=dtype)


def _is_plain(value: Any) -> bool:
    plain = (str, bool, np.bool_, numbers.Integral, numbers.Real)
    return value is None or isinstance(value, plain)


def _encoded(value: Any) -> Any:
    """Text, bool, integers and finite floats as they are; other floats as {"float": word}."""
    if value is None or isinstance(value, str):
        return None if value is None else str(value)
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    number = float(value)
    return number if np.isfinite(number) else {"float": repr(number)}


def _decoded(value: Any) -> Any:
    return float(value["float"]) if isinstance(value, dict) else value
