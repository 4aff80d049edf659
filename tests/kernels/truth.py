"""What every kernel should give, from its formula in extended precision (np.longdouble)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from crossent._arguments import LossOptions

Array = np.ndarray[Any, Any]
EXTENDED = np.longdouble
HAS_EXTENDED = np.finfo(EXTENDED).nmant >= 63


def wide(array: Array) -> Array:
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    return array.astype(EXTENDED)


def _rest(z: Array, divisor: Any = 1) -> tuple[Array, Array, Array]:
    """Row maximum, exponentials, and their sum without one maximal class."""
    top = z.max(axis=1, keepdims=True)
    e = np.exp((z - top) / divisor)
    others = e.copy()
    np.put_along_axis(others, z.argmax(axis=1)[:, None], 0, axis=1)
    return top, e, others.sum(axis=1, keepdims=True)


def softmax(z: Array) -> Array:
    _, e, rest = _rest(wide(z))
    return e / (1 + rest)


def log_softmax(z: Array) -> Array:
    top, _, rest = _rest(wide(z))
    return (wide(z) - top) - np.log1p(rest)


def logsumexp(z: Array) -> Array:
    top, _, rest = _rest(wide(z))
    return (top + np.log1p(rest))[:, 0]


def softmax_vjp(p: Array, g: Array) -> Array:
    p, g = wide(p), wide(g)
    return p * (g - (p * g).sum(axis=1, keepdims=True))


def log_softmax_vjp(q: Array, g: Array) -> Array:
    q, g = wide(q), wide(g)
    return g - np.exp(q) * g.sum(axis=1, keepdims=True)


def log_softmax_jvp(q: Array, v: Array) -> Array:
    q, v = wide(q), wide(v)
    return v - (np.exp(q) * v).sum(axis=1, keepdims=True)


def logsumexp_vjp(z: Array, g: Array) -> Array:
    return softmax(z) * wide(g)[:, None]


def logsumexp_jvp(z: Array, v: Array) -> Array:
    return (softmax(z) * wide(v)).sum(axis=1)


class Loss(NamedTuple):
    """Loss and derivatives of every row, and how large the terms of a difference were."""

    loss: Array
    gradient: Array
    gradient_terms: Array
    loss_tangent: Array
    hvp: Array
    hvp_terms: Array


def cross_entropy(
    logits: Array,
    target: Array,
    tangent: Array,
    row_weight: Array | None,
    options: LossOptions,
    gauss_newton: bool = False,
) -> Loss:
    """Rows of weight 0 or without a class are zeros."""
    n_rows = len(logits)
    weight = np.ones(n_rows) if row_weight is None else row_weight
    mask = np.ones(logits.shape, bool) if options.mask is None else options.mask
    mask = np.broadcast_to(mask, logits.shape)
    present = (weight != 0) & mask.any(axis=1)
    mask = mask & present[:, None]
    z = np.where(mask, wide(logits), 0)
    dz = np.where(mask, wide(tangent), 0)
    t, c, zeta, e = options.temperature, options.softcap, options.z_loss, options.label_smoothing
    u = z / EXTENDED(t)
    m, m1, m2 = z, np.ones_like(u), np.zeros_like(u)  # divided by T after the shift, which is exact
    if c is not None:
        m = c * np.tanh(u / c)
        m1 = 1 / np.cosh(u / c) ** 2
        m2 = -2 * m * m1 / EXTENDED(c) ** 2
    m = np.where(mask, m, -np.inf)
    m[~present] = 0
    divisor = EXTENDED(t) if c is None else EXTENDED(1)
    top, exponentials, rest = _rest(m, divisor)
    p, log_sum = exponentials / (1 + rest), np.log1p(rest)
    lse = top / divisor + log_sum
    if target.ndim == 1:
        y = np.zeros(logits.shape, EXTENDED)
        y[np.arange(n_rows)[present], target[present]] = 1
    else:
        y = np.where(mask, wide(target), 0)
    count = np.maximum(mask.sum(axis=1, keepdims=True), 1)
    y = np.where(
        mask, (1 - EXTENDED(e)) * y + EXTENDED(e) * y.sum(axis=1, keepdims=True) / count, 0
    )
    if options.class_weight is not None:
        y = y * options.class_weight
    s = y.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        terms = np.where(y == 0, 0, y * ((top - m) / divisor + log_sum))
    loss = terms.sum(axis=1) + zeta * lse[:, 0] ** 2
    by_class = p * _others(y) - y * _others(p) + 2 * zeta * lse * p
    slope = m1 / t
    dm = slope * dz
    mean = (p * dm).sum(axis=1, keepdims=True)
    change = s * p * (dm - mean) + 2 * zeta * p * mean
    mean_size = np.abs(p * dm).sum(axis=1, keepdims=True)
    size = s * p * (np.abs(dm) + mean_size) + 2 * zeta * p * mean_size
    if not gauss_newton:
        change = change + 2 * zeta * lse * p * (dm - mean)
        size = size + np.abs(2 * zeta * lse * p) * (np.abs(dm) + mean_size)
    hvp, hvp_size = slope * change, slope * size
    gradient_size = p * _others(y) + y * _others(p) + np.abs(2 * zeta * lse * p)
    if not gauss_newton:
        hvp = hvp + m2 * dz / t**2 * by_class
        hvp_size = hvp_size + np.abs(m2 * dz / t**2) * gradient_size
    weight = np.where(present, weight, 0).astype(EXTENDED)
    rows = weight[:, None]
    return Loss(
        np.where(present, weight * np.where(present, loss, 0), 0),
        np.where(mask, rows * by_class * slope, 0),
        np.where(mask, rows * gradient_size * slope, 0),
        weight * np.where(mask, by_class * dm, 0).sum(axis=1),
        np.where(mask, rows * hvp, 0),
        np.where(mask, rows * hvp_size, 0),
    )


def _others(values: Array) -> Array:
    """Row sum without each entry, free of cancellation at the largest."""
    others = values.sum(axis=1, keepdims=True) - values
    largest = values.argmax(axis=1)[:, None]
    rest = values.copy()
    np.put_along_axis(rest, largest, 0, axis=1)
    np.put_along_axis(others, largest, rest.sum(axis=1, keepdims=True), axis=1)
    return others


def ulps(result: Array, truth: Array, size: Array | None = None) -> float:
    """The worst error in units of the last place of the truth (or of the larger term, ``size``)."""
    if result.size == 0:
        return 0.0
    result_wide = wide(result)
    finite = np.isfinite(truth) & np.isfinite(result_wide)
    same = (result_wide == truth) | (np.isnan(truth) & np.isnan(result_wide))
    information = np.finfo(result.dtype) if result.dtype.name != "bfloat16" else None
    mantissa, lowest = (7, -133) if information is None else _places(information)
    scale = np.abs(truth if size is None else np.maximum(np.abs(truth), size))
    with np.errstate(all="ignore"):
        exponent = np.frexp(np.where(finite, scale, 1))[1] - 1
        unit = np.ldexp(EXTENDED(1), np.maximum(exponent - mantissa, lowest))
        error = np.where(finite, np.abs(result_wide - truth) / unit, np.inf)
    return float(np.where(same, 0, error).max())


def _places(information: Any) -> tuple[int, int]:
    return information.nmant, int(np.log2(float(information.smallest_subnormal)))
