"""Matrix products, and the layer that is made of them."""

from __future__ import annotations

import numpy as np

from ..._arguments import LossOptions
from ..._typing import Array, Floating
from ._blocks import quiet
from ._cross_entropy import cross_entropy_rows

__all__ = ["linear_cross_entropy_rows", "matrix_product"]


@quiet
def matrix_product(
    a: Floating, b: Floating, out: Floating, start: Floating | None, in_order: bool
) -> None:
    """``out = start + a b``; a (m, c), b (c, p) of any steps, out (m, p), start the same or None.

    Asks for one order of the terms of every number; here that is left to the BLAS.
    """
    product = np.matmul(a, b)
    np.copyto(out, product if start is None else product + start)


@quiet
def linear_cross_entropy_rows(
    inputs: Floating,
    weight: Floating,
    bias: Floating | None,
    labels: Array,
    gradient_factor: float,
    options: LossOptions,
    loss: Array | None,
    inputs_out: Floating | None,
    weight_out: Floating | None,
    bias_out: Floating | None,
    memory: Floating,
) -> float:
    """The losses of ``z = phi W^T + b`` for K <= 64, ``G W``, ``G^T phi`` and ``sum_i G_i``.

    Returns the sum of the losses. ``memory`` is what the compiled kernel works in,
    ``32 K (n + 1024)`` numbers.
    """
    z = np.ascontiguousarray(inputs @ weight.T if bias is None else inputs @ weight.T + bias)
    total = cross_entropy_rows(z, labels, None, gradient_factor, options, loss, z)
    if inputs_out is not None:
        np.matmul(z, weight, out=inputs_out)
    if weight_out is not None:
        np.matmul(z.T, inputs, out=weight_out)
    if bias_out is not None:
        z.sum(axis=0, out=bias_out)
    return total
