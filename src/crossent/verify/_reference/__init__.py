"""The truth, in mpmath at 50 digits and more: every operation by its defining formula.

Nothing here is shifted, rescaled or rearranged to avoid overflow or cancellation; numbers with
enough digits need none of it, so an error of thought in a fast formula cannot hide here as well.
"""

from ._cross_entropy import (
    LossTruth,
    binary_cross_entropy,
    cross_entropy,
    labelled_loss,
    sigmoid,
)
from ._network import gaussian_features, gaussian_features_vjp, linear_cross_entropy, network
from ._numbers import Truth, exact, mp, truth
from ._softmax import (
    log_softmax,
    log_softmax_jacobian,
    log_softmax_jvp,
    log_softmax_vjp,
    logsumexp,
    logsumexp_jvp,
    logsumexp_vjp,
    softmax,
    softmax_jacobian,
    softmax_vjp,
)

__all__ = [
    "LossTruth",
    "Truth",
    "binary_cross_entropy",
    "cross_entropy",
    "exact",
    "gaussian_features",
    "gaussian_features_vjp",
    "labelled_loss",
    "linear_cross_entropy",
    "log_softmax",
    "log_softmax_jacobian",
    "log_softmax_jvp",
    "log_softmax_vjp",
    "logsumexp",
    "logsumexp_jvp",
    "logsumexp_vjp",
    "mp",
    "network",
    "sigmoid",
    "softmax",
    "softmax_jacobian",
    "softmax_vjp",
    "truth",
]
