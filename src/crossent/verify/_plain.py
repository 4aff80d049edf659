"""The textbook formulas in NumPy: the yardstick of every tolerance.

Each shifts by the row's maximum, forms the sum over the other classes directly and does nothing
more for accuracy. 16-bit inputs are computed in float32. Rows (M, K) in, rows out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import Array


def compute(rows: Array) -> Array:
    """The rows in the dtype that is computed in: float32 for 16 bits, else their own."""
    return rows.astype(np.float32) if rows.dtype.itemsize == 2 else rows


def _shifted(rows: Array, mask: Array | None) -> tuple[Array, Array, Array]:
    """(z - a, exp(z - a), the sum of the exponentials but the first maximal one)."""
    z = compute(rows)
    if mask is not None:
        z = np.where(mask, z, -np.inf).astype(z.dtype)
    shifted = z - np.max(z, axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    others = exponentials.copy()
    others[np.arange(len(z)), np.argmax(z, axis=1)] = 0
    return shifted, exponentials, others.sum(axis=1, keepdims=True)


def softmax(rows: Array, mask: Array | None = None) -> Array:
    """exp(z - a) / sum."""
    _, exponentials, others = _shifted(rows, mask)
    return (exponentials / (1 + others)).astype(rows.dtype)


def log_softmax(rows: Array, mask: Array | None = None) -> Array:
    """(z - a) - log1p(sum of the others)."""
    shifted, _, others = _shifted(rows, mask)
    return (shifted - np.log1p(others)).astype(rows.dtype)


def logsumexp(rows: Array, mask: Array | None = None) -> Array:
    """a + log1p(sum of the others)."""
    z = compute(rows) if mask is None else np.where(mask, compute(rows), -np.inf)
    return (np.max(z, axis=1) + np.log1p(_shifted(rows, mask)[2][:, 0])).astype(rows.dtype)


def softmax_vjp(probabilities: Array, cotangent: Array) -> Array:
    """p (g - <p, g>)."""
    p, g = compute(probabilities), compute(cotangent)
    return (p * (g - (p * g).sum(axis=1, keepdims=True))).astype(probabilities.dtype)


def log_softmax_vjp(log_probabilities: Array, cotangent: Array) -> Array:
    """g - exp(q) sum(g)."""
    p, g = np.exp(compute(log_probabilities)), compute(cotangent)
    return (g - p * g.sum(axis=1, keepdims=True)).astype(log_probabilities.dtype)


def log_softmax_jvp(log_probabilities: Array, tangent: Array) -> Array:
    """v - <exp(q), v>."""
    p, v = np.exp(compute(log_probabilities)), compute(tangent)
    return (v - (p * v).sum(axis=1, keepdims=True)).astype(log_probabilities.dtype)


def logsumexp_vjp(rows: Array, cotangent: Array) -> Array:
    """g softmax(z)."""
    return (compute(cotangent)[:, None] * softmax(compute(rows))).astype(rows.dtype)


def logsumexp_jvp(rows: Array, tangent: Array) -> Array:
    """<softmax(z), v>."""
    return (softmax(compute(rows)) * compute(tangent)).sum(axis=1).astype(rows.dtype)


def softmax_jacobian(probabilities: Array) -> Array:
    """diag(p) - p p^T."""
    p = compute(probabilities)
    diagonal = np.eye(p.shape[1], dtype=p.dtype) * p[:, :, None]
    return (diagonal - p[:, :, None] * p[:, None, :]).astype(probabilities.dtype)


def log_softmax_jacobian(log_probabilities: Array) -> Array:
    """I - 1 p^T."""
    p = np.exp(compute(log_probabilities))[:, None, :]
    return (np.eye(p.shape[2], dtype=p.dtype) - p).astype(log_probabilities.dtype)


def _all_but(values: Array, index: Array) -> Array:
    """Each row's sum of the values other than the one at `index`."""
    others = values.copy()
    others[np.arange(len(values)), index] = 0
    return others.sum(axis=1)


def _targets(rows: Array, target: Array, o: dict[str, Any]) -> tuple[Array, Array, Array]:
    """(targets (M, K) after smoothing and class weights, rows present, share of the normalizer)."""
    m, k = rows.shape
    mask = np.broadcast_to(True if o["where"] is None else o["where"], rows.shape)
    present = mask.any(axis=1)
    if target.shape == rows.shape:
        y = target.astype(np.float64)
    else:
        if o["ignore_index"] is not None:
            present = present & (target != o["ignore_index"])
        y = np.zeros((m, k))
        y[np.flatnonzero(present), target[present]] = 1
    s, w = y.sum(axis=1), np.ones(k) if o["class_weight"] is None else o["class_weight"]
    share = np.where(s > 0, (y * w).sum(axis=1) / np.where(s > 0, s, 1), 1.0)
    e = o["label_smoothing"]
    spread = e * s[:, None] / np.maximum(mask.sum(axis=1, keepdims=True), 1)
    return w * ((1 - e) * y + spread) * mask, np.asarray(present), share


def cross_entropy(
    rows: Array, target: Array, tangent: Array | None = None, **options: Any
) -> dict[str, Array]:
    """loss, gradient and, along a tangent, loss_tangent and hvp; options as the public function's.

    loss = sum_k y_k ((a - m_k) + log1p(others)); gradient = p (s - y) - y (1 - p), with s - y and
    1 - p formed as sums at the largest entry.
    """
    o = options
    y, present, share = _targets(rows, target, o)
    z = compute(rows)
    y = y.astype(z.dtype)
    t, c, zeta = (z.dtype.type(o[k] or 0) for k in ("temperature", "softcap", "z_loss"))
    u, m1, m2 = z / t, np.ones_like(z), np.zeros_like(z)
    if c:
        bent = np.tanh(u / c)
        u, m1, m2 = c * bent, 1 - bent**2, -2 * bent * (1 - bent**2) / c
    mask = np.broadcast_to(True if o["where"] is None else o["where"], z.shape)
    mask = mask | ~mask.any(axis=1, keepdims=True)
    shifted, exponentials, others = _shifted(u, mask)
    p = exponentials / (1 + others)
    lse = np.max(np.where(mask, u, -np.inf), axis=1, keepdims=True) + np.log1p(others)
    with np.errstate(invalid="ignore"):
        terms = np.where(y > 0, y * (np.log1p(others) - shifted), 0)
    loss = terms.sum(axis=1) + zeta * lse[:, 0] ** 2
    every = np.arange(len(z))
    left, rest = 1 - p, y.sum(axis=1, keepdims=True) - y
    left[every, p.argmax(axis=1)] = _all_but(p, p.argmax(axis=1))
    rest[every, y.argmax(axis=1)] = _all_but(y, y.argmax(axis=1))
    g = p * rest - y * left + 2 * zeta * lse * p
    v = np.zeros_like(z) if tangent is None else compute(tangent)
    dm, s = m1 * v / t, y.sum(axis=1, keepdims=True)
    mean = (p * dm).sum(axis=1, keepdims=True)
    curved = s * p * (dm - mean) + 2 * zeta * p * mean
    bent_part = 0
    if not o.get("gauss_newton"):
        curved = curved + 2 * zeta * lse * p * (dm - mean)
        bent_part = m2 * v / t**2 * g
    hvp = m1 / t * curved + bent_part
    return _reduced(rows, [loss, m1 * g / t, v, hvp], (present, share), o)


def _reduced(
    rows: Array, parts: list[Array], standing: tuple[Array, Array], o: dict[str, Any]
) -> dict[str, Array]:
    loss, gradient, v, hvp = parts
    present, share = standing
    r = np.ones(len(rows)) if o["sample_weight"] is None else o["sample_weight"]
    live = present & (r > 0)
    factor = np.float64(1)
    if o["reduction"] == "mean":
        n = {"weight": (r * share)[live].sum(), "count": present.sum()}.get(
            o["normalizer"], o["normalizer"]
        )
        factor = 1 / n if n else np.float64(0 if o["empty"] == "zero" else np.nan)
    kind = compute(rows).dtype
    weight = (r * factor).astype(kind)[:, None]
    scaled = [np.where(live[:, None], weight * x, kind.type(0 * factor)) for x in (gradient, hvp)]
    mask = np.broadcast_to(True if o["where"] is None else o["where"], gradient.shape)
    gradient, hvp = (np.where(mask, x, 0) for x in scaled)
    loss = np.where(live, r * loss, 0)
    slope = (gradient * np.where(mask, v, 0)).sum(axis=1)
    gradient, hvp = gradient.astype(rows.dtype), hvp.astype(rows.dtype)
    if o["reduction"] == "none":
        loss, slope = loss.astype(rows.dtype), slope.astype(rows.dtype)
    else:
        loss = np.atleast_1d(factor * loss.sum()).astype(kind)
        slope = np.atleast_1d(slope.sum() + 0 * factor).astype(kind)
    return {"loss": loss, "gradient": gradient, "loss_tangent": slope, "hvp": hvp}


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), by exp(x) for a negative x."""
    u = compute(x)
    small = np.exp(-np.abs(u))
    return np.where(u >= 0, 1 / (1 + small), small / (1 + small)).astype(x.dtype)


def gaussian_features(inputs: Array, centers: Array, beta: Array, kind: str) -> Array:
    """sum_s exp(-beta d_s^2), or exp(-beta sum_s d_s^2)."""
    squares = (inputs[:, None, :] - centers[None, :, :]) ** 2
    if kind == "radial":
        squares = squares.sum(axis=2, keepdims=True)
    return np.exp(-beta[None, :, None] * squares).sum(axis=2)


def gaussian_features_vjp(
    inputs: Array, centers: Array, beta: Array, cotangent: Array, kind: str
) -> tuple[Array, Array, Array]:
    """Gradients by inputs, centers and beta."""
    d = inputs[:, None, :] - centers[None, :, :]
    squares = (d**2).sum(axis=2, keepdims=True) if kind == "radial" else d**2
    e = np.exp(-beta[None, :, None] * squares)
    pulls = 2 * beta[None, :, None] * cotangent[:, :, None] * d * e
    slopes = -cotangent[:, :, None] * d**2 * e
    return -pulls.sum(axis=1), pulls.sum(axis=0), slopes.sum(axis=(0, 2))


def linear_cross_entropy(
    inputs: Array,
    weight: Array,
    target: Array,
    bias: Array | None,
    tangents: tuple[Array, Array, Array],
    **options: Any,
) -> dict[str, Array]:
    """loss, gradients and what moves along tangents, with the logits made whole."""
    logits = inputs @ weight.T + (0 if bias is None else bias)
    dphi, dw, db = tangents
    dz = dphi @ weight.T + inputs @ dw.T + db
    head = cross_entropy(logits.astype(inputs.dtype), target, dz.astype(inputs.dtype), **options)
    g, h = head["gradient"], head["hvp"]
    full = 0 if options.get("gauss_newton") else 1
    return {
        "loss": head["loss"],
        "inputs": g @ weight,
        "weight": g.T @ inputs,
        "bias": g.sum(axis=0),
        "loss_tangent": head["loss_tangent"],
        "hvp_inputs": h @ weight + full * (g @ dw),
        "hvp_weight": h.T @ inputs + full * (g.T @ dphi),
        "hvp_bias": h.sum(axis=0),
    }
