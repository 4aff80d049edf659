"""What people call, judged by `crossent.verify`: the functions of the peers page, importable.

The textbook formulas are written here as they stand in books; the others are found where they are.
"""

from __future__ import annotations

import numpy as np

__all__ = ["PEERS", "cross_entropy", "log_softmax", "logsumexp", "softmax"]


def softmax(z: np.ndarray) -> np.ndarray:
    """exp(z - max) / sum."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def log_softmax(z: np.ndarray) -> np.ndarray:
    """(z - max) - log sum."""
    shifted = z - z.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def logsumexp(z: np.ndarray) -> np.ndarray:
    """max + log sum."""
    a = z.max(axis=-1, keepdims=True)
    return (a + np.log(np.exp(z - a).sum(axis=-1, keepdims=True)))[..., 0]


def cross_entropy(z: np.ndarray, labels: np.ndarray) -> tuple[np.floating, np.ndarray]:
    """The mean of -log p_t, and (p - onehot) / N."""
    rows = np.arange(len(z))
    gradient = softmax(z)
    gradient[rows, labels] -= 1
    return -log_softmax(z)[rows, labels].mean(), gradient / len(z)


# A heading, and the functions as module:name with what each is.
PEERS: dict[str, tuple[tuple[str, str], ...]] = {
    "NumPy's textbook formula": (
        ("benchmarks.judged:softmax", "softmax"),
        ("benchmarks.judged:log_softmax", "log_softmax"),
        ("benchmarks.judged:logsumexp", "logsumexp"),
        ("benchmarks.judged:cross_entropy", "cross_entropy_value_and_grad"),
    ),
    "SciPy": (
        ("scipy.special:softmax", "softmax"),
        ("scipy.special:log_softmax", "log_softmax"),
        ("scipy.special:logsumexp", "logsumexp"),
    ),
    "torch": (
        ("torch.nn.functional:softmax", "softmax"),
        ("torch.nn.functional:log_softmax", "log_softmax"),
        ("torch:logsumexp", "logsumexp"),
        ("torch.nn.functional:cross_entropy", "cross_entropy"),
        ("torch.nn.functional:linear_cross_entropy", "linear_cross_entropy"),
    ),
    "JAX": (
        ("jax.nn:softmax", "softmax"),
        ("jax.nn:log_softmax", "log_softmax"),
        ("jax.nn:logsumexp", "logsumexp"),
    ),
    "crossent": (
        ("crossent:softmax", "softmax"),
        ("crossent:log_softmax", "log_softmax"),
        ("crossent:logsumexp", "logsumexp"),
        ("crossent:cross_entropy_value_and_grad", "cross_entropy_value_and_grad"),
        ("crossent:linear_cross_entropy_value_and_grad", "linear_cross_entropy_value_and_grad"),
    ),
}
