"""The truth of the note's network: Gaussian features, linear layer, softmax, mean cross-entropy."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._cross_entropy import cross_entropy
from ._numbers import Truth, dot, exact, mp, truth, zeros
from ._numbers import digits as digits_for


def gaussian_features(
    inputs: np.ndarray, centers: np.ndarray, beta: np.ndarray, kind: str = "additive"
) -> Truth:
    """sum_s exp(-beta_j d_ijs^2) (additive) or exp(-beta_j sum_s d_ijs^2) (radial)."""
    with mp.workdps(60):
        return truth(_exponentials(exact(inputs), exact(centers), exact(beta), kind).sum(axis=2))


def _exponentials(x: np.ndarray, c: np.ndarray, beta: np.ndarray, kind: str) -> np.ndarray:
    """e_ijs (N, n, D) for the additive kind; (N, n, 1) for the radial one."""
    squares = (x[:, None, :] - c[None, :, :]) ** 2
    if kind == "radial":
        squares = squares.sum(axis=2, keepdims=True)
    exponents = -beta[None, :, None] * squares
    return np.frompyfunc(mp.exp, 1, 1)(exponents)


def gaussian_features_vjp(
    inputs: np.ndarray,
    centers: np.ndarray,
    beta: np.ndarray,
    cotangent: Any,
    kind: str = "additive",
) -> tuple[Truth, Truth, Truth]:
    """Gradients with respect to inputs (N, D), centers (n, D) and beta (n,), for h = dE/dphi."""
    with mp.workdps(60):
        x, c, b, h = (exact(a) for a in (inputs, centers, beta, cotangent))
        d = x[:, None, :] - c[None, :, :]
        e = _exponentials(x, c, b, kind)
        slopes = -h[:, :, None] * e * d**2
        pulls = 2 * b[None, :, None] * h[:, :, None] * d * e
        return (
            truth(-pulls.sum(axis=1), abs(pulls).sum(axis=1)),
            truth(pulls.sum(axis=0), abs(pulls).sum(axis=0)),
            truth(slopes.sum(axis=(0, 2)), abs(slopes).sum(axis=(0, 2))),
        )


def linear_cross_entropy(
    inputs: np.ndarray, weight: np.ndarray, target: np.ndarray, bias: Any = None, **options: Any
) -> dict[str, Truth]:
    """loss, and its gradients by inputs (N, n), weight (K, n) and bias (K,), of z = phi W^T + b.

    The scales count what the rounding of the matrix product does to loss and gradients.
    """
    with mp.workdps(60 + digits_for(inputs, weight)):
        phi, w = exact(inputs), exact(weight)
        b = zeros(w.shape[0]) if bias is None else exact(bias)
        z, z_scale = phi @ w.T + b, abs(phi) @ abs(w).T + abs(b)
        row = cross_entropy(z, target, **options)
        g, g_scale = row.gradient.value, row.gradient.scale
        moved = np.array([dot(a, s) for a, s in zip(g_scale, z_scale, strict=True)], object)
        shifted = g_scale * (1 + z_scale) + g_scale * moved[:, None]
        loss_scale = row.loss.scale + (moved if len(row.loss.value) == len(z) else moved.sum())
        return {
            "loss": truth(row.loss.value, loss_scale),
            "inputs": truth(g @ w, shifted @ abs(w)),
            "weight": truth(g.T @ phi, shifted.T @ abs(phi)),
            "bias": truth(g.sum(axis=0), shifted.sum(axis=0)),
        }


def network(
    inputs: np.ndarray,
    centers: np.ndarray,
    beta: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    target: np.ndarray,
    kind: str = "additive",
    **options: Any,
) -> dict[str, Truth]:
    """The whole network: loss and its gradients by weight, bias, beta, centers and inputs.

    E = mean_i CE(W phi(x_i) + b, y_i), phi the Gaussian features of `kind`.
    """
    with mp.workdps(60):
        phi = _exponentials(exact(inputs), exact(centers), exact(beta), kind).sum(axis=2)
        head = linear_cross_entropy(phi, weight, target, bias, **options)
        features = head.pop("inputs")
        by_inputs, by_centers, by_beta = gaussian_features_vjp(
            inputs, centers, beta, features.value, kind
        )
        return head | {"inputs": by_inputs, "centers": by_centers, "beta": by_beta}
