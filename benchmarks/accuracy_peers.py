"""Each implementation's softmax, log-softmax, logsumexp, and losses with labels and gradients.

An implementation without a loss of its own gets one made of its log-softmax and softmax.
"""

# torch and JAX are there with the extra `bench` only
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable

import numpy as np

OPERATIONS = ("softmax", "log_softmax", "logsumexp", "loss", "gradient")

Results = dict[str, np.ndarray]  # by operation: (M, K), or (M,) of logsumexp and the losses
Implementation = Callable[[np.ndarray, np.ndarray], Results]


def _losses_of(q: np.ndarray, p: np.ndarray, labels: np.ndarray) -> Results:
    """Return -q at the labels, and p with 1 taken away there."""
    at = np.arange(len(labels)), labels
    gradient = p.copy()
    gradient[at] -= 1
    return {"loss": -q[at], "gradient": gradient}


def of_crossent(z: np.ndarray, labels: np.ndarray) -> Results:
    import crossent as ce

    loss, gradient = ce.cross_entropy_value_and_grad(z, labels, reduction="none")
    return {
        "softmax": ce.softmax(z),
        "log_softmax": ce.log_softmax(z),
        "logsumexp": np.asarray(ce.logsumexp(z)),
        "loss": np.asarray(loss),
        "gradient": gradient,
    }


def of_numpy(z: np.ndarray, labels: np.ndarray) -> Results:
    a = z.max(axis=1, keepdims=True)
    e = np.exp(z - a)
    s = e.sum(axis=1, keepdims=True)
    p, q = e / s, z - (a + np.log(s))
    lse = (a + np.log(s))[:, 0]
    return {"softmax": p, "log_softmax": q, "logsumexp": lse, **_losses_of(q, p, labels)}


def of_scipy(z: np.ndarray, labels: np.ndarray) -> Results:
    from scipy import special

    p, q = special.softmax(z, axis=1), special.log_softmax(z, axis=1)
    lse = np.asarray(special.logsumexp(z, axis=1))
    return {"softmax": p, "log_softmax": q, "logsumexp": lse, **_losses_of(q, p, labels)}


def of_torch(z: np.ndarray, labels: np.ndarray) -> Results:
    import torch

    x = torch.from_numpy(z).requires_grad_()
    loss = torch.nn.functional.cross_entropy(x, torch.from_numpy(labels), reduction="none")
    (gradient,) = torch.autograd.grad(loss.sum(), x)
    results = {
        "softmax": torch.softmax(x, 1),
        "log_softmax": torch.log_softmax(x, 1),
        "logsumexp": torch.logsumexp(x, 1),
        "loss": loss,
        "gradient": gradient,
    }
    return {name: result.detach().numpy() for name, result in results.items()}


def of_jax(z: np.ndarray, labels: np.ndarray) -> Results:
    import jax

    from .jax_adapter import losses  # with float64 switched on

    x, at = jax.numpy.asarray(z), jax.numpy.asarray(labels)
    results = {
        "softmax": jax.nn.softmax(x, 1),
        "log_softmax": jax.nn.log_softmax(x, 1),
        "logsumexp": jax.nn.logsumexp(x, 1),
        "loss": losses(x, at),
        "gradient": jax.grad(lambda x: losses(x, at).sum())(x),
    }
    return {name: np.asarray(result) for name, result in results.items()}


PEERS: dict[str, tuple[str, Implementation]] = {
    "NumPy formula": ("numpy", of_numpy),
    "SciPy": ("scipy", of_scipy),
    "torch": ("torch", of_torch),
    "JAX": ("jax", of_jax),
}
