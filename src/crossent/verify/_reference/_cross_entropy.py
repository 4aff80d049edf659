"""The truth of the cross-entropy of logits with every option, and of its derivatives along logits.

The formulas are the defining ones, s l - <y, m> and s p - y: at these digits nothing cancels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._numbers import Truth, dot, exact, exp, fate, mp, nans, settled, total, truth, zeros
from ._numbers import digits as digits_for
from ._softmax import logsumexp, softmax


@dataclass(frozen=True)
class LossTruth:
    """Loss, gradient and, along a tangent, the loss tangent and the Hessian-vector product."""

    loss: Truth
    gradient: Truth
    loss_tangent: Truth | None
    hvp: Truth | None
    row_scale: np.ndarray  # (M, K): how much each logit's rounding moves the row's loss


@dataclass(frozen=True)
class _Row:
    """One row on its present classes. Scales are magnitudes of the terms added."""

    loss: Any
    gradient: np.ndarray
    gradient_scale: np.ndarray
    hvp: np.ndarray
    hvp_scale: np.ndarray


def _bend(z: np.ndarray, temperature: Any, softcap: Any) -> tuple[np.ndarray, ...]:
    """m = c tanh(z / (T c)) with dm/du and d2m/du2 (u = z / T); m = u without a softcap."""
    u = z / temperature
    if softcap is None:
        return u, np.full(len(u), mp.one, object), zeros(len(u))
    t = np.array([mp.tanh(number / softcap) for number in u], object)
    first = 1 - t * t
    return softcap * t, first, -2 * t * first / softcap


def _truth_row(z: np.ndarray, y: np.ndarray, v: np.ndarray, o: dict[str, Any]) -> _Row:
    """Loss, gradient and Hessian-vector product of one row of present classes."""
    temperature, zeta = mp.mpf(o["temperature"]), mp.mpf(o["z_loss"])
    softcap = None if o["softcap"] is None else mp.mpf(o["softcap"])
    m, m1, m2 = _bend(z, temperature, softcap)
    if fate(m) is not None:
        return _Row(mp.nan, nans(len(z)), nans(len(z)), nans(len(z)), nans(len(z)))
    s = total(y)
    exponentials = exp(m)
    l = mp.log(total(exponentials))  # noqa: E741  (the notes' letter)
    p = exponentials / total(exponentials)
    lost = any(yk > 0 and mk == -mp.inf for yk, mk in zip(y, m, strict=True))
    surprise = mp.inf if lost else settled(s * l - dot(y, m), s * abs(l))[()]
    loss = surprise + zeta * l**2
    top = max(m)
    l_scale = abs(top) + abs(l - top)
    g = s * p - y + 2 * zeta * l * p
    g_scale = p * (s - y) + y * (1 - p) + 2 * zeta * l_scale * p
    dm, dm_scale = m1 * v / temperature, abs(v) / temperature
    mean, mean_scale = dot(p, dm), dot(p, dm_scale)
    curved = (s + 2 * zeta * l) * p * (dm - mean) + 2 * zeta * p * mean
    if o["gauss_newton"]:
        curved = s * p * (dm - mean) + 2 * zeta * p * mean
    curved_scale = (s + 2 * zeta * l_scale) * p * (
        dm_scale + mean_scale
    ) + 2 * zeta * p * mean_scale
    bent = 0 if o["gauss_newton"] else m2 * v / temperature**2 * g
    return _Row(
        loss=loss,
        gradient=g * m1 / temperature,
        gradient_scale=g_scale / temperature,
        hvp=m1 / temperature * curved + bent,
        hvp_scale=curved_scale / temperature + abs(m2 * v) / temperature**2 * g_scale,
    )


def _target_rows(logits: np.ndarray, target: np.ndarray, o: dict[str, Any]) -> np.ndarray:
    """Labels as one-hot rows (an ignored row as zeros), targets as they are."""
    if target.shape == logits.shape:
        return exact(target)
    y = zeros(*logits.shape)
    for i, label in enumerate(target.tolist()):
        if label != o["ignore_index"]:
            y[i, label] = mp.one
    return y


def _weighed(y: np.ndarray, present: np.ndarray, o: dict[str, Any]) -> tuple[np.ndarray, Any]:
    """Smoothed and class-weighted targets of one row, and the row's share of the normalizer."""
    s, smoothing = total(y), mp.mpf(o["label_smoothing"])
    smooth = (1 - smoothing) * y + smoothing * s / int(present.sum())
    if o["class_weight"] is None:
        return smooth[present], mp.one
    w = exact(o["class_weight"])
    return (w * smooth)[present], (dot(w, y) / s if s else mp.one)


def labelled_loss(logits: np.ndarray, labels: np.ndarray, entries: Any) -> tuple[Truth, Truth]:
    """Rows' losses l - z_t and gradients p - onehot(t) at some entries: for very many classes."""
    with mp.workdps(digits_for(logits)):
        chosen = exact(logits[np.arange(len(labels)), labels])
        lse = logsumexp(logits).value
        loss = settled(lse - chosen, abs(lse))
        gradient = softmax(logits, entries=entries).value
        onehot = np.arange(logits.shape[1])[entries][None, :] == labels[:, None]
        return truth(loss), truth(gradient - onehot.astype(int))


DEFAULTS: dict[str, Any] = {
    "class_weight": None,
    "sample_weight": None,
    "ignore_index": None,
    "label_smoothing": 0.0,
    "temperature": 1.0,
    "softcap": None,
    "z_loss": 0.0,
    "where": None,
    "reduction": "mean",
    "normalizer": "weight",
    "empty": "nan",
    "gauss_newton": False,
}


def cross_entropy(
    logits: np.ndarray, target: np.ndarray, tangent: np.ndarray | None = None, **options: Any
) -> LossTruth:
    """Loss and derivatives for logits (M, K), labels (M,) or targets (M, K), reduced as asked."""
    o = DEFAULTS | options
    with mp.workdps(digits_for(logits, factor=1 / o["temperature"])):
        shape = logits.shape
        mask = np.broadcast_to(True if o["where"] is None else o["where"], shape)
        weight = np.ones(shape[0]) if o["sample_weight"] is None else o["sample_weight"]
        ignored = np.zeros(shape[0], bool)
        if target.shape != shape and o["ignore_index"] is not None:
            ignored = target == o["ignore_index"]
        y, z, r = _target_rows(logits, target, o), exact(logits), exact(weight)
        v = zeros(*shape) if tangent is None else exact(tangent)
        loss = zeros(shape[0])
        arrays = {name: zeros(*shape) for name in ("g", "g_scale", "h", "h_scale")}
        count, weights = 0, mp.zero
        for i in range(shape[0]):
            if ignored[i] or not mask[i].any():
                continue
            count += 1
            if r[i] == 0:
                continue
            weighed, share = _weighed(y[i], mask[i], o)
            row = _truth_row(z[i][mask[i]], weighed, v[i][mask[i]], o)
            weights += r[i] * share
            loss[i] = r[i] * row.loss
            arrays["g"][i, mask[i]] = r[i] * row.gradient
            arrays["g_scale"][i, mask[i]] = r[i] * row.gradient_scale
            arrays["h"][i, mask[i]] = r[i] * row.hvp
            arrays["h_scale"][i, mask[i]] = r[i] * row.hvp_scale
        return _reduced(loss, arrays, v, o, {"weight": weights, "count": count}, tangent is None)


def _reduced(
    loss: np.ndarray,
    arrays: dict[str, np.ndarray],
    v: np.ndarray,
    o: dict[str, Any],
    normalizers: dict[str, Any],
    valueless: bool,
) -> LossTruth:
    """Apply reduction and normalizer to the rows' loss, gradient and product."""
    factor = mp.one
    if o["reduction"] == "mean":
        wanted = o["normalizer"]
        n = normalizers[wanted] if isinstance(wanted, str) else mp.mpf(wanted)
        factor = 1 / n if n else (mp.zero if o["empty"] == "zero" else mp.nan)
    g, g_scale, h, h_scale = (factor * arrays[k] for k in ("g", "g_scale", "h", "h_scale"))
    slope = np.array([dot(a, b) for a, b in zip(g, v, strict=True)], object)
    slope_scale = np.array([dot(a, abs(b)) for a, b in zip(g_scale, v, strict=True)], object)
    if o["reduction"] != "none":
        loss = np.array([factor * total(loss)], object)
        slope, slope_scale = (np.array([total(a)], object) for a in (slope, slope_scale))
        if mp.isnan(factor):
            slope = nans(1)
    return LossTruth(
        loss=truth(loss),
        gradient=truth(g, g_scale),
        loss_tangent=None if valueless else truth(slope, slope_scale),
        hvp=None if valueless else truth(h, h_scale),
        row_scale=g_scale,
    )


def sigmoid(x: np.ndarray) -> Truth:
    """1 / (1 + exp(-x))."""
    with mp.workdps(digits_for(x)):
        return truth(np.array([1 / (1 + mp.exp(-u)) for u in exact(x)], object))


def binary_cross_entropy(logits: np.ndarray, target: np.ndarray, **options: Any) -> LossTruth:
    """The two-class loss of one logit: the K = 2 case with logits (0, u), for labels or targets.

    `logits` and `target` are (M,); `class_weight` is (2,).
    """
    pairs = np.stack([np.zeros_like(logits), logits], axis=1)
    y = np.asarray(target, np.float64)
    two = cross_entropy(pairs, np.stack([1 - y, y], axis=1), **options)
    with mp.workdps(digits_for(logits)):
        gradient = Truth(two.gradient.value[:, 1], two.gradient.scale[:, 1])
    return LossTruth(two.loss, gradient, None, None, gradient.scale)
