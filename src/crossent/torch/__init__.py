"""Crossent's operations on torch's tensors, with every derivative."""

from __future__ import annotations

from ._cross_entropy import binary_cross_entropy, cross_entropy
from ._gaussian_features import gaussian_features
from ._linear_cross_entropy import linear_cross_entropy
from ._linear_statistics import LinearStatistics, linear_statistics
from ._softmax import log_softmax, logsumexp, softmax

__all__ = [
    "LinearStatistics",
    "binary_cross_entropy",
    "cross_entropy",
    "gaussian_features",
    "linear_cross_entropy",
    "linear_statistics",
    "log_softmax",
    "logsumexp",
    "softmax",
]
