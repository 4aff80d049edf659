"""The output layer of a classifier: softmax, cross-entropy, linear layer, every gradient of it.

Array functions take and return NumPy arrays; the classifiers have scikit-learn's interface and
are loaded when they are first named.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._build_info import BuildInfo, build_info, get_num_threads, set_num_threads
from ._version import __version__
from .ops import (
    GaussianGradients,
    LinearGradients,
    LinearStatistics,
    SampledGradients,
    TopKTargets,
    binary_cross_entropy,
    binary_cross_entropy_value_and_grad,
    cross_entropy,
    cross_entropy_hvp,
    cross_entropy_jvp,
    cross_entropy_value_and_grad,
    gaussian_features,
    gaussian_features_vjp,
    linear_cross_entropy,
    linear_cross_entropy_hvp,
    linear_cross_entropy_jvp,
    linear_cross_entropy_value_and_grad,
    linear_sample,
    linear_sampled_cross_entropy_value_and_grad,
    linear_statistics,
    log_softmax,
    log_softmax_jacobian,
    log_softmax_jvp,
    log_softmax_vjp,
    logsumexp,
    logsumexp_jvp,
    logsumexp_vjp,
    sample,
    sigmoid,
    softmax,
    softmax_jacobian,
    softmax_jvp,
    softmax_vjp,
)

if TYPE_CHECKING:
    from .estimators import RBFClassifier, SoftmaxClassifier, TemperatureScaling

__all__ = [
    "BuildInfo",
    "GaussianGradients",
    "LinearGradients",
    "LinearStatistics",
    "RBFClassifier",
    "SampledGradients",
    "SoftmaxClassifier",
    "TemperatureScaling",
    "TopKTargets",
    "__version__",
    "binary_cross_entropy",
    "binary_cross_entropy_value_and_grad",
    "build_info",
    "cross_entropy",
    "cross_entropy_hvp",
    "cross_entropy_jvp",
    "cross_entropy_value_and_grad",
    "gaussian_features",
    "gaussian_features_vjp",
    "get_num_threads",
    "linear_cross_entropy",
    "linear_cross_entropy_hvp",
    "linear_cross_entropy_jvp",
    "linear_cross_entropy_value_and_grad",
    "linear_sample",
    "linear_sampled_cross_entropy_value_and_grad",
    "linear_statistics",
    "log_softmax",
    "log_softmax_jacobian",
    "log_softmax_jvp",
    "log_softmax_vjp",
    "logsumexp",
    "logsumexp_jvp",
    "logsumexp_vjp",
    "sample",
    "set_num_threads",
    "sigmoid",
    "softmax",
    "softmax_jacobian",
    "softmax_jvp",
    "softmax_vjp",
]

_ESTIMATORS = ("RBFClassifier", "SoftmaxClassifier", "TemperatureScaling")


def __getattr__(name: str) -> Any:
    """Load the classifiers, and scikit-learn with them, when one is first named."""
    if name not in _ESTIMATORS:
        raise AttributeError(f"module 'crossent' has no attribute {name!r}")
    try:
        return getattr(importlib.import_module("crossent.estimators"), name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "crossent":
            raise
        raise ImportError(
            f"crossent.{name} needs {error.name}, which is not installed: "
            'pip install "crossent[sklearn]"'
        ) from error


def __dir__() -> list[str]:
    return sorted(__all__)
