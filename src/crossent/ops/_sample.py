"""Classes drawn from logits: argmax_k (z_k - log e_k) with e_k exponential (Gumbel's trick)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from .._arguments import (
    as_class_mask,
    as_linear,
    as_logits,
    as_rng,
    as_rows,
    as_size,
    as_workspace,
    compute_dtype,
    refuse_undrawable,
    row_shape,
)
from .._typing import Array, ArrayLike, Floating

__all__ = ["linear_sample", "sample"]

Seed: TypeAlias = "np.random.Generator | int | None"

_LEAST = np.finfo(np.float64).tiny  # of an exponential number, so that its logarithm is finite
_BLOCK_BYTES = 4 << 20
_DEFAULT_WORKSPACE = 64 << 20


def sample(
    logits: ArrayLike,
    size: int | Sequence[int] | None = None,
    *,
    axis: int = -1,
    where: ArrayLike | None = None,
    rng: Seed,
) -> Any:
    """Classes drawn with the probabilities softmax(logits), which are not formed.

    ``argmax_k (z_k + g_k)`` with independent Gumbel noise ``g_k = -log e_k``, e_k exponential.

    Parameters
    ----------
    logits : array_like, shape (..., K, ...)
        Real numbers; classes at -inf are never drawn.
    size : int or tuple of int, optional
        How often each row is drawn from; once, without an axis for it, by default.
    axis : int
        The class axis.
    where : array_like of bool, optional
        Broadcasts to ``logits``; classes where it is False are never drawn.
    rng : numpy.random.Generator, int or None
        What the noise is drawn from: a generator, the seed of a new one, or None for a new one
        that differs from call to call. Rows, draws and classes take their noise in this order,
        so a seed gives the same classes whatever the memory.

    Returns
    -------
    int, or ndarray of int64, shape (*size, ...)
        Class numbers 0 ... K-1; the axes of ``size``, then those of ``logits`` without the
        class axis.

    Raises
    ------
    TypeError, ValueError
        As :func:`softmax`; also where a row holds NaN or +inf, or no class that can be drawn.

    Notes
    -----
    The noise is float64 whatever the logits are, and always finite. That the largest sum is
    distributed as the softmax is a property of the Gumbel distribution (Maddison et al. 2014).

    Examples
    --------
    >>> import crossent as ce
    >>> ce.sample([[0.0, 40.0, 0.0], [0.0, 0.0, 40.0]], rng=0)
    array([1, 2])
    >>> ce.sample([5.0, 5.0, -40.0], (2, 4), rng=0).shape
    (2, 4)
    """
    z, axis = as_logits(logits, axis)
    shape = as_size(size)
    mask = as_class_mask(where, z.shape, axis)
    generator = as_rng(rng)
    rows = as_rows(z, axis)
    n_draws, n_classes = math.prod(shape), rows.shape[1]
    drawn = np.empty((n_draws, len(rows)), np.int64)
    step = max(1, _BLOCK_BYTES // (8 * n_classes))
    noise = np.empty((min(step, max(1, len(rows) * n_draws)), n_classes))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        block = rows[part].astype(np.float64)
        if mask is not None:
            np.copyto(block, -np.inf, where=~(mask if mask.ndim == 1 else mask[part]))
        _draw(block, start, noise, generator, drawn[:, part])
    return _delivered(drawn, (*shape, *row_shape(z.shape, axis)))


def linear_sample(
    inputs: ArrayLike,
    weight: ArrayLike,
    size: int | Sequence[int] | None = None,
    *,
    bias: ArrayLike | None = None,
    workspace_bytes: int | None = None,
    rng: Seed,
) -> Any:
    """Classes drawn from a linear layer's logits, held for a block of rows at a time.

    ``z = inputs weight^T + bias``, then :func:`sample` of z.

    Parameters
    ----------
    inputs : array_like, shape (..., n)
    weight : array_like, shape (K, n)
    size : int or tuple of int, optional
        How often each row is drawn from; once, without an axis for it, by default.
    bias : array_like, shape (K,), optional
        A class of bias -inf is never drawn.
    workspace_bytes : int, optional
        Memory for blocks of logits and noise, never more; by default 64 MiB, or one row if that
        is more.
    rng : numpy.random.Generator, int or None
        As in :func:`sample`.

    Returns
    -------
    int, or ndarray of int64, shape (*size, ...)
        Class numbers 0 ... K-1.

    Raises
    ------
    TypeError, ValueError
        As :func:`linear_cross_entropy` and :func:`sample`.

    Examples
    --------
    >>> import crossent as ce
    >>> ce.linear_sample([[40.0, 0.0], [0.0, 40.0]], [[1.0, 0.0], [0.0, 1.0]], rng=0)
    array([0, 1])
    """
    layer = as_linear(inputs, weight, bias)
    shape = as_size(size)
    generator = as_rng(rng)
    wide = compute_dtype(layer.inputs.dtype)
    n_rows, n_classes = len(layer.inputs), len(layer.weight)
    n_features = layer.inputs.shape[1]
    of_row = n_classes * (wide.itemsize + 3 * 8) + n_features * wide.itemsize + 4 * 8
    of_class = n_features * wide.itemsize  # 16-bit weights are widened some classes at a time
    workspace = as_workspace(workspace_bytes, _DEFAULT_WORKSPACE, of_row + of_class + 1024)
    classes = max(1, min(n_classes, workspace // 4 // max(1, of_class)))
    step = max(1, min(n_rows, (workspace - classes * of_class) // of_row))
    drawn = np.empty((math.prod(shape), n_rows), np.int64)
    noise = np.empty((step, n_classes))
    logits = np.empty((step, n_classes), wide)
    for start in range(0, n_rows, step):
        part = slice(start, start + step)
        x = layer.inputs[part].astype(wide, copy=False)
        z = logits[: len(x)]
        _product(x, layer.weight, classes, z)
        if layer.bias is not None:
            z += layer.bias
        _draw(z.astype(np.float64, copy=False), start, noise, generator, drawn[:, part])
    return _delivered(drawn, (*shape, *layer.shape))


def _product(x: Floating, weight: Floating, classes: int, out: Floating) -> None:
    """``x weight^T`` in the dtype of x, some classes at a time where the weight is narrower."""
    if weight.dtype == x.dtype:
        np.matmul(x, weight.T, out=out)
        return
    for start in range(0, len(weight), classes):
        part = slice(start, start + classes)
        np.matmul(x, weight[part].astype(x.dtype).T, out=out[:, part])


def _draw(
    z: Floating, first_row: int, noise: Floating, rng: np.random.Generator, drawn: Array
) -> None:
    """Draw from each row of float64 logits into its column of ``drawn`` (n_draws, rows)."""
    refuse_undrawable(z.max(axis=1), first_row)
    n_draws, n_rows = drawn.shape
    for start in range(0, n_rows * n_draws, len(noise)):
        row, draw = np.divmod(np.arange(start, min(start + len(noise), n_rows * n_draws)), n_draws)
        e = rng.standard_exponential(out=noise[: len(row)])
        np.log(np.maximum(e, _LEAST, out=e), out=e)
        which = slice(start, start + len(row)) if n_draws == 1 else row
        drawn[draw, row] = np.subtract(z[which], e, out=e).argmax(axis=1)


def _delivered(drawn: Array, shape: tuple[int, ...]) -> Any:
    result = drawn.reshape(shape)
    return result if shape else int(result)
