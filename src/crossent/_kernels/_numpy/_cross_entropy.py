"""Cross-entropy of logits with every option, its gradient, JVP and HVP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..._arguments import LossOptions
from ..._typing import Array, Floating
from ._blocks import complement, quiet, row_blocks, row_sum, shift, wide


class _Loss(NamedTuple):
    """One block of rows on its way to loss, gradient and curvature. All (rows, K) or (rows, 1)."""

    slope: Floating  # dm/dz T = 1 - (m/c)^2 of the softcap, 1 without one
    bend: Floating  # d2m/dz2 T^2 = -2 m (1 - (m/c)^2) / c^2, 0 without one
    targets: Floating  # y'': smoothed, then weighted by class
    p: Floating
    lse: Floating
    surprise: Floating  # l - m = -log p, never formed from the rounded l


def bend(z: Floating, options: LossOptions) -> tuple[Floating, Floating, Floating]:
    """m = softcap(z / T), and its derivatives dm/dz T and d2m/dz2 T^2."""
    m = z / options.temperature
    slope, curve = np.ones_like(m), np.zeros_like(m)
    if options.softcap is not None:
        scaled = m / options.softcap
        m = options.softcap * np.tanh(scaled)
        decay = np.exp(-2.0 * np.abs(scaled))
        slope = 4.0 * decay / (1.0 + decay) ** 2  # 1 - tanh^2 without its cancellation
        curve = -2.0 * m * slope / options.softcap**2
    return m, slope, curve


def _prepare(z: Floating, target: Array, mask: Array | None, options: LossOptions) -> _Loss:
    """Temperature, softcap, mask, targets: what loss and derivatives of a block share."""
    m, slope, curve = bend(z, options)
    if mask is not None:
        m = np.where(mask, m, -np.inf)
    shifted = shift(m)
    surprise = shifted.log_sum - shifted.residuals - shifted.differences
    targets = _targets(target, m.shape, mask, options)
    return _Loss(slope, curve, targets, shifted.probabilities, shifted.lse, surprise)


def _targets(
    target: Array, shape: tuple[int, int], mask: Array | None, options: LossOptions
) -> Floating:
    """y'' = w ((1 - e) y + e s / K_i) over the unmasked classes."""
    if target.ndim == 1:
        y = np.zeros(shape)
        np.put_along_axis(y, target[:, None], 1.0, axis=1)
    else:
        y = wide(target)
    if options.label_smoothing:
        present = np.ones(shape, bool) if mask is None else np.broadcast_to(mask, shape)
        share = options.label_smoothing * row_sum(y) / present.sum(axis=1, keepdims=True)
        y = np.where(present, (1.0 - options.label_smoothing) * y + share, 0.0)
    return y if options.class_weight is None else y * options.class_weight


def _loss_of(loss: _Loss, options: LossOptions) -> Floating:
    """E = sum_k y''_k (l - m_k) + zeta l^2, with 0 x inf = 0 where y''_k = 0."""
    y = loss.targets
    surprise = np.where((y == 0.0) & np.isposinf(loss.surprise), 0.0, loss.surprise)
    plain = (y * surprise).sum(axis=1)
    return plain + options.z_loss * loss.lse[:, 0] ** 2 if options.z_loss else plain


def _gradient_in_m(loss: _Loss, options: LossOptions) -> Floating:
    """G_m = s'' p - y'' + 2 zeta l p.

    s p_k - y_k = p_k (s - y_k) - y_k (1 - p_k): with both complements summed from the other
    classes, the labelled class gets -sum_{k != t} p_k and nothing cancels.
    """
    gradient = loss.p * complement(loss.targets) - loss.targets * complement(loss.p)
    if options.z_loss:
        gradient += 2.0 * options.z_loss * loss.lse * loss.p
    return gradient


def _blocks_of_loss(
    logits: Array, target: Array, row_weight: Array | None, options: LossOptions
) -> Iterator[tuple[slice, Floating, Array | None, _Loss]]:
    """Each block's rows, weights (rows, 1), mask and prepared loss; absent rows hold zeros."""
    for rows in row_blocks(*logits.shape):
        z, t = wide(logits[rows]), target[rows]
        weight = np.ones((len(z), 1)) if row_weight is None else row_weight[rows][:, None]
        mask = options.mask
        if mask is not None and mask.ndim == 2:
            mask = mask[rows]
        absent = weight[:, 0] == 0.0
        if absent.any():  # 0 x NaN is 0 there: a row that does not count is not looked at
            z[absent] = 0.0
            t = t.copy()
            t[absent] = 0
            if mask is not None:
                mask = mask | absent[:, None]
        if mask is not None:
            z = np.where(mask, z, 0.0)
        yield rows, weight, mask, _prepare(z, t, mask, options)


def first_bad_label(labels: Array, n_classes: int) -> int:
    """The index of the first label outside 0 ... n_classes - 1, or -1."""
    if labels.size == 0 or (labels.min() >= 0 and labels.max() < n_classes):
        return -1
    return int(((labels < 0) | (labels >= n_classes)).argmax())


@quiet
def first_outside(values: Array, most: float) -> int:
    """The index, counted through all axes, of the first that is not in [0, most], or -1."""
    if values.size == 0 or (values.min() >= 0 and float(values.max()) <= most):
        return -1
    flat = wide(values.reshape(-1))
    return int((~((flat >= 0) & (flat <= most))).argmax())


@quiet
def cross_entropy_rows(
    logits: Array,
    target: Array,
    row_weight: Array | None,
    gradient_factor: float,
    options: LossOptions,
    loss: Array | None,
    gradient: Array | None,
) -> float:
    """E_i of each row, and dE_i/dz = G_m m1 / T, where asked for; returns the sum of all E_i."""
    total = 0.0
    for rows, weight, _, prepared in _blocks_of_loss(logits, target, row_weight, options):
        losses = np.where(weight[:, 0] == 0, 0.0, weight[:, 0] * _loss_of(prepared, options))
        total += float(losses.sum())
        if loss is not None:
            loss[rows] = losses
        if gradient is not None:
            slope = gradient_factor * weight * prepared.slope / options.temperature
            gradient[rows] = _gradient_in_m(prepared, options) * slope
    return total


@quiet
def cross_entropy_jvp_rows(
    logits: Array,
    target: Array,
    tangent: Array,
    row_weight: Array | None,
    options: LossOptions,
    loss: Array,
    loss_tangent: Array,
) -> tuple[float, float]:
    """E_i of each row and its derivative <dE_i/dz, dz> along a tangent; returns both sums."""
    for rows, weight, mask, prepared in _blocks_of_loss(logits, target, row_weight, options):
        dz = _tangent_of(tangent[rows], weight, mask)
        dm = prepared.slope * dz / options.temperature
        change = (_gradient_in_m(prepared, options) * dm).sum(axis=1)
        loss[rows] = np.where(weight[:, 0] == 0, 0.0, weight[:, 0] * _loss_of(prepared, options))
        loss_tangent[rows] = weight[:, 0] * change
    return float(loss.sum()), float(loss_tangent.sum())


@quiet
def cross_entropy_hvp_rows(
    logits: Array,
    target: Array,
    tangent: Array,
    row_weight: Array | None,
    gradient_factor: float,
    options: LossOptions,
    gauss_newton: bool,
    out: Array,
    gradient: Array | None = None,
) -> None:
    """H dz of each row's loss; Gauss-Newton keeps only what is positive semidefinite.

    dG_z = (m1/T) [s'' p (dm - <p,dm>) + 2 zeta (p <p,dm> + l p (dm - <p,dm>))] + m2 (dz/T^2) G_m

    ``out`` may be the logits or the tangent; where the gradient is wanted too, that may be the
    logits instead.
    """
    for rows, weight, mask, prepared in _blocks_of_loss(logits, target, row_weight, options):
        dz = _tangent_of(tangent[rows], weight, mask)
        product = _hessian_product(prepared, dz, options, gauss_newton)
        out[rows] = gradient_factor * weight * product
        del prepared, dz, product  # before the gradient's take their place
    if gradient is not None:
        cross_entropy_rows(logits, target, row_weight, gradient_factor, options, None, gradient)


def _hessian_product(
    prepared: _Loss, dz: Floating, options: LossOptions, gauss_newton: bool
) -> Floating:
    zeta, p = options.z_loss, prepared.p
    dm = prepared.slope * dz / options.temperature
    mean = row_sum(p * dm)
    centred = p * (dm - mean)
    change = row_sum(prepared.targets) * centred
    if zeta:
        change += 2.0 * zeta * p * mean
        if not gauss_newton:
            change += 2.0 * zeta * prepared.lse * centred
    product = prepared.slope / options.temperature * change
    if options.softcap is not None and not gauss_newton:
        product += prepared.bend * dz / options.temperature**2 * _gradient_in_m(prepared, options)
    return product


def _tangent_of(tangent: Array, weight: Floating, mask: Array | None) -> Floating:
    """The tangent with zeros where a row or a class is absent."""
    dz = wide(tangent)
    dz[weight[:, 0] == 0.0] = 0.0
    return dz if mask is None else np.where(mask, dz, 0.0)
