"""The loss of a linear layer over each row's label and a sample of the other classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import _kernels
from .._arguments import (
    Linear,
    as_floating,
    as_linear,
    as_needs,
    as_target,
    check_choice,
    check_same_shape,
    compute_dtype,
)
from .._typing import Array, ArrayLike, Floating
from ._loss import LossRows, plan_loss
from ._truth import check_labels

__all__ = ["SampledGradients", "linear_sampled_cross_entropy_value_and_grad"]

_BLOCK_NUMBERS = 1 << 22  # of a block of logits


class SampledGradients(NamedTuple):
    """Gradients in inputs, and in weight and bias of ``classes`` alone: all others are 0."""

    inputs: Floating | None
    classes: Array  # sorted, each once
    weight: Floating | None
    bias: Floating | None


def linear_sampled_cross_entropy_value_and_grad(
    inputs: ArrayLike,
    weight: ArrayLike,
    labels: ArrayLike,
    sampled: ArrayLike,
    *,
    log_expected: ArrayLike,
    label_log_expected: ArrayLike = 0.0,
    bias: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    reduction: str = "mean",
    needs: Sequence[str] = ("inputs", "weight", "bias"),
) -> tuple[Any, SampledGradients]:
    """Cross-entropy over each row's label and a sample of classes, and its gradients.

    For training with very many classes: what it takes does not depend on K. With z the logits, S
    the sampled classes and Q_c how often class c is expected among them,
    ``E = -log(v_t / (v_t + sum_{c in S, c != t} exp(z_c) / Q_c))`` with ``v_t = exp(z_t) / Q_t``.

    Parameters
    ----------
    inputs : array_like, shape (..., n)
    weight : array_like, shape (K, n)
    labels : array_like of int, shape (...)
    sampled : array_like of int, shape (m,)
        Classes 0 ... K-1, the same for all rows; one that was drawn twice stands there twice.
    log_expected : array_like, shape (m,)
        log Q of each sampled class: of m draws with probabilities q, ``log(m q)``; of draws
        without replacement, the logarithm of the probability that the class is among them.
    label_log_expected : array_like, shape (...) or ()
        log Q_t of each row's label. With 0, Q_t = 1, the sum in E has the full softmax's as its
        mean; with the labels' own log Q, E is the loss by which the label is told from the
        sampled classes, as with negatives taken from the batch.
    bias : array_like, shape (K,), optional
    sample_weight : array_like, shape (...), optional
    reduction : {"mean", "sum"}
        A mean is over the weights.
    needs : sequence of {"inputs", "weight", "bias"}

    Returns
    -------
    loss : scalar
    gradients : SampledGradients
        ``inputs`` (..., n), ``classes`` (C,), ``weight`` (C, n) and ``bias`` (C,): subtract from
        ``weight[classes]``. None where not needed.

    Raises
    ------
    TypeError, ValueError
        As :func:`linear_cross_entropy`; where ``log_expected`` is not finite, or the shapes do not
        fit.

    Notes
    -----
    A sampled class that is a row's label is left out of that row's sum. Without the correction by
    log Q the classes that are drawn often would be pushed down too far. Bengio and Senecal 2008
    (importance sampling of the softmax); Yi et al. 2019 (log Q of labels and batch negatives).

    Examples
    --------
    >>> import numpy as np
    >>> import crossent as ce
    >>> weight = np.array([[0.0], [1.0], [2.0]])
    >>> loss, gradients = ce.linear_sampled_cross_entropy_value_and_grad(
    ...     [[1.0]], weight, [2], [0, 1], log_expected=[0.0, 0.0]
    ... )
    >>> round(float(loss), 6), gradients.classes  # every other class is there: the full loss
    (0.407606, array([0, 1, 2]))
    """
    layer = as_linear(inputs, weight, bias)
    wanted = as_needs(needs, ("inputs", "weight", "bias"))
    check_choice(reduction, ("mean", "sum"), "reduction")
    n_classes = len(layer.weight)
    t = _class_numbers(labels, layer.shape, n_classes)
    s = _class_numbers(sampled, np.shape(sampled)[:1], n_classes, "sampled")
    log_q = _log_expected(log_expected, s.shape, "log_expected")
    log_q_t = np.broadcast_to(
        _log_expected(label_log_expected, layer.shape, "label_log_expected"), layer.shape
    )
    loss = plan_loss(
        (len(t), 1 + len(s)), 1, layer.inputs.dtype, np.zeros(len(t), np.int64),
        sample_weight=None if sample_weight is None else np.reshape(
            _weights(sample_weight, layer.shape), -1
        ),
        reduction=reduction,
    )  # fmt: skip
    sums = _Sums(layer, t, s, wanted)
    total = 0.0
    for rows in _blocks(len(t), 1 + len(s)):
        z = _logits(layer, rows, t, s, log_q, log_q_t.reshape(-1)[rows])
        total += _to_gradient(z, rows, t, s, loss)
        sums.add(rows, z)
    return loss.reduction.of_sum(total), sums.gradients(loss)


def _blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    step = max(1, _BLOCK_NUMBERS // n_columns)
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def _logits(
    layer: Linear, rows: slice, t: Array, s: Array, log_q: Array, log_q_t: Array
) -> Floating:
    """z - log Q of the label, in column 0, and of the sampled classes."""
    dtype = compute_dtype(layer.inputs.dtype)
    x = layer.inputs[rows].astype(dtype, copy=False)
    z = np.empty((len(x), 1 + len(s)), dtype)
    shift, shift_t = -log_q, -log_q_t
    if layer.bias is not None:
        shift, shift_t = shift + layer.bias[s], shift_t + layer.bias[t[rows]]
    start = np.broadcast_to(shift.astype(dtype), (len(x), len(s)))
    _kernels.matrix_product(x, layer.weight[s].astype(dtype, copy=False).T, z[:, 1:], start, False)
    of_label = layer.weight[t[rows]].astype(dtype, copy=False)
    z[:, 0] = np.einsum("in,in->i", x, of_label) + shift_t
    return z


def _to_gradient(z: Floating, rows: slice, t: Array, s: Array, loss: LossRows) -> float:
    """The sum of the losses; G takes the logits' place, 0 where a sampled class is the label."""
    mask = np.ones(z.shape, np.bool_)
    np.not_equal(s, t[rows, None], out=mask[:, 1:])
    weight = None if loss.row_weight is None else loss.row_weight[rows]
    labels, options = loss.target[rows], loss.options._replace(mask=mask)
    factor = loss.reduction.gradient_factor
    return _kernels.cross_entropy_rows(z, labels, weight, factor, options, None, z)


class _Sums:
    """What the blocks add to the gradients."""

    def __init__(self, layer: Linear, t: Array, s: Array, wanted: tuple[str, ...]) -> None:
        self._layer, self._t, self._s = layer, t, s
        self._dtype = compute_dtype(layer.inputs.dtype)
        self.classes, places = np.unique(np.concatenate([t, s]), return_inverse=True)
        self._places = places[: len(t)], places[len(t) :]
        n, shape = layer.inputs.shape[1], layer.inputs.shape
        self._inputs = np.empty(shape, self._dtype) if "inputs" in wanted else None
        self._weight = np.zeros((len(self.classes), n)) if "weight" in wanted else None
        with_bias = "bias" in wanted and layer.bias is not None
        self._bias = np.zeros(len(self.classes)) if with_bias else None

    def add(self, rows: slice, g: Floating) -> None:
        """The shares of some rows with their G (R, 1 + m)."""
        of_labels, of_sampled = self._places[0][rows], self._places[1]
        x = self._layer.inputs[rows].astype(self._dtype, copy=False)
        if self._bias is not None:
            np.add.at(self._bias, of_labels, g[:, 0])
            np.add.at(self._bias, of_sampled, g[:, 1:].sum(axis=0, dtype=np.float64))
        if self._weight is not None:
            share = np.empty((len(self._s), x.shape[1]), self._dtype)
            _kernels.matrix_product(g[:, 1:].T, x, share, None, False)
            np.add.at(self._weight, of_sampled, share)
            np.add.at(self._weight, of_labels, g[:, :1] * x)
        if self._inputs is not None:
            weight, out = self._layer.weight, self._inputs[rows]
            sampled = weight[self._s].astype(self._dtype, copy=False)
            np.multiply(g[:, :1], weight[self._t[rows]], out=out)
            _kernels.matrix_product(g[:, 1:], sampled, out, out, False)

    def gradients(self, loss: LossRows) -> SampledGradients:
        """The sums in the inputs' dtype."""
        dtype, found = self._layer.inputs.dtype, []
        for gradient in (self._inputs, self._weight, self._bias):
            if gradient is not None:
                loss.reduction.of_gradient(gradient)
                gradient = gradient.astype(dtype, copy=False)
            found.append(gradient)
        if found[0] is not None:
            found[0] = found[0].reshape(*self._layer.shape, -1)
        return SampledGradients(found[0], self.classes, found[1], found[2])


def _class_numbers(
    given: ArrayLike, shape: tuple[int, ...], n_classes: int, name: str = "labels"
) -> Array:
    """Class numbers of this shape, flat."""
    array = np.asarray(given)
    check_same_shape(
        array.shape, shape, name, "inputs" if name == "labels" else "a list of classes"
    )
    values = as_target(array, (*shape, n_classes), len(shape), np.dtype(np.float64)).values
    check_labels(values, given, n_classes)
    return values


def _log_expected(given: ArrayLike, shape: tuple[int, ...], name: str) -> Floating:
    """Finite logarithms of this shape, float64; one number where labels share it."""
    array = as_floating(given, name).astype(np.float64, copy=False)
    if not (array.ndim == 0 and name == "label_log_expected"):
        check_same_shape(array.shape, shape, name, "one number a class")
    if not np.isfinite(array).all():
        raise ValueError(
            f"{name} must be finite: the logarithm of how often a class is expected in the sample, "
            "which is 0 of a class that is always there; leave out classes that cannot be drawn"
        )
    return array


def _weights(sample_weight: ArrayLike, shape: tuple[int, ...]) -> Floating:
    array = as_floating(sample_weight, "sample_weight")
    check_same_shape(array.shape, shape, "sample_weight", "the labels")
    return array
