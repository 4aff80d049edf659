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
    inputs: np.ndarray,
    weight: np.ndarray,
    target: np.ndarray,
    bias: Any = None,
    tangents: Any = (None, None, None),
    **options: Any,
) -> dict[str, Truth]:
    """Loss, and its gradients by inputs (N, n), weight (K, n) and bias (K,), of z = phi W^T + b.

    Along ``tangents`` of the three: the loss's tangent, and the products of its Hessian as
    ``hvp_inputs``, ``hvp_weight``, ``hvp_bias``. The scales count what the rounding of the matrix
    products does to each.
    """
    with mp.workdps(60 + digits_for(inputs, weight)):
        phi, w = exact(inputs), exact(weight)
        b = zeros(w.shape[0]) if bias is None else exact(bias)
        dphi, dw, db = (
            zeros(*like.shape) if given is None else exact(given)
            for given, like in zip(tangents, (phi, w, b), strict=True)
        )
        z, z_scale = phi @ w.T + b, abs(phi) @ abs(w).T + abs(b)
        dz = dphi @ w.T + phi @ dw.T + db
        dz_scale = abs(dphi) @ abs(w).T + abs(phi) @ abs(dw).T + abs(db)
        row = cross_entropy(z, target, dz, **options)
        g, g_scale = row.gradient.value, row.gradient.scale
        moved = np.array([dot(a, s) for a, s in zip(g_scale, z_scale, strict=True)], object)
        shifted = g_scale * (1 + z_scale) + g_scale * moved[:, None]
        loss_scale = row.loss.scale + (moved if len(row.loss.value) == len(z) else moved.sum())
        largest = np.array([max(scales) for scales in z_scale], object).reshape(-1, 1)
        wide = cross_entropy(z, target, dz_scale, **options)
        assert row.hvp is not None
        assert row.loss_tangent is not None
        assert wide.hvp is not None
        h, h_scale = row.hvp.value, wide.hvp.scale * (1 + z_scale + largest)
        full = 0 if options.get("gauss_newton") else 1
        slopes = np.array([dot(a, s) for a, s in zip(shifted, dz_scale, strict=True)], object)
        if len(row.loss.value) != len(z):
            slopes = np.array([slopes.sum()], object)
        return {
            "loss": truth(row.loss.value, loss_scale),
            "inputs": truth(g @ w, shifted @ abs(w)),
            "weight": truth(g.T @ phi, shifted.T @ abs(phi)),
            "bias": truth(g.sum(axis=0), shifted.sum(axis=0)),
            "loss_tangent": truth(row.loss_tangent.value, slopes),
            "hvp_inputs": truth(
                h @ w + full * (g @ dw), h_scale @ abs(w) + full * (shifted @ abs(dw))
            ),
            "hvp_weight": truth(
                h.T @ phi + full * (g.T @ dphi),
                h_scale.T @ abs(phi) + full * (shifted.T @ abs(dphi)),
            ),
            "hvp_bias": truth(h.sum(axis=0), h_scale.sum(axis=0)),
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
        linear = linear_cross_entropy(phi, weight, target, bias, **options)
        head = {name: linear[name] for name in ("loss", "weight", "bias")}
        features = linear["inputs"]
        by_inputs, by_centers, by_beta = gaussian_features_vjp(
            inputs, centers, beta, features.value, kind
        )
        return head | {"inputs": by_inputs, "centers": by_centers, "beta": by_beta}
