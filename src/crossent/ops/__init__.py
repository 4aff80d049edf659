"""The array functions: NumPy in, NumPy out. One operation a file, its derivatives beside it."""

from __future__ import annotations

from .._arguments import TopKTargets
from ._binary import binary_cross_entropy, binary_cross_entropy_value_and_grad, sigmoid
from ._cross_entropy import (
    cross_entropy,
    cross_entropy_hvp,
    cross_entropy_jvp,
    cross_entropy_value_and_grad,
)
from ._gaussian_features import GaussianGradients, gaussian_features, gaussian_features_vjp
from ._linear import (
    LinearGradients,
    LinearStatistics,
    linear_cross_entropy,
    linear_cross_entropy_hvp,
    linear_cross_entropy_jvp,
    linear_cross_entropy_value_and_grad,
    linear_statistics,
)
from ._log_softmax import log_softmax, log_softmax_jacobian, log_softmax_jvp, log_softmax_vjp
from ._logsumexp import logsumexp, logsumexp_jvp, logsumexp_vjp
from ._loss import loss_normalizer
from ._sample import linear_sample, sample
from ._sampled import SampledGradients, linear_sampled_cross_entropy_value_and_grad
from ._softmax import softmax, softmax_jacobian, softmax_jvp, softmax_vjp

__all__ = [
    "GaussianGradients",
    "LinearGradients",
    "LinearStatistics",
    "SampledGradients",
    "TopKTargets",
    "binary_cross_entropy",
    "binary_cross_entropy_value_and_grad",
    "cross_entropy",
    "cross_entropy_hvp",
    "cross_entropy_jvp",
    "cross_entropy_value_and_grad",
    "gaussian_features",
    "gaussian_features_vjp",
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
    "loss_normalizer",
    "sample",
    "sigmoid",
    "softmax",
    "softmax_jacobian",
    "softmax_jvp",
    "softmax_vjp",
]
