"""Gaussian features and their gradients against the formula in extended precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.kernels import calls, tables
from tests.kernels.tables import name_of
from tests.kernels.truth import Array, wide

SHAPES = [(0, 3, 2), (1, 1, 1), (5, 3, 7), (70, 16, 33), (130, 200, 20), (3, 129, 5), (65, 2, 17)]
SHAPES += [(40, 300, 70), (200, 40, 300)]
# Worst errors in units of eps of the sum of the terms' sizes, measured: 3.4 and rounded up.
BOUND = 6.0


def _terms(x: Array, c: Array, beta: Array, h: Array, kind: str):
    """Features, their three gradients, and the sums of the absolute terms of each."""
    d = x[:, None, :] - c
    squares = d**2 if kind == "additive" else (d**2).sum(axis=2, keepdims=True)
    e = np.exp(-beta[:, None] * squares)
    features = e.sum(axis=2)
    k = h[:, :, None] * d * e
    grown = 1 + beta[:, None] * squares  # an exponent's rounding grows with the exponent
    pulls = np.abs(k) * grown
    return [
        (features, (e * grown).sum(axis=2)),
        (-2 * (beta[:, None] * k).sum(axis=1), 2 * (beta[:, None] * pulls).sum(axis=1)),
        (2 * beta[:, None] * k.sum(axis=0), 2 * beta[:, None] * pulls.sum(axis=0)),
        (-(k * d).sum(axis=(0, 2)), (pulls * np.abs(d)).sum(axis=(0, 2))),
    ]


@pytest.mark.parametrize("kind", ["additive", "radial"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", tables.WIDE_DTYPES, ids=name_of)
def test_values_and_gradients(dtype: Any, shape: tuple[int, int, int], kind: str) -> None:
    both = calls.gaussian_calls(shape, dtype)
    x, c, beta, h = both[f"{kind} vjp"].inputs
    found = [np.empty_like(h), np.empty_like(x), np.empty_like(c), np.empty_like(beta)]
    both[kind].run(x, c, beta, found[0])
    both[f"{kind} vjp"].run(x, c, beta, h, *found[1:])
    truths = _terms(wide(x), wide(c), wide(beta), wide(h), kind)
    for result, (expected, size) in zip(found, truths, strict=True):
        limit = BOUND * np.finfo(dtype).eps * size
        assert (np.abs(wide(result) - expected) <= limit).all()


@pytest.mark.parametrize("kind", ["additive", "radial"])
def test_each_gradient_can_be_had_alone(kind: str) -> None:
    call = calls.gaussian_calls((20, 5, 9), np.float64)[f"{kind} vjp"]
    together = calls.results(call)
    for wanted in range(3):
        outputs = [np.empty_like(a) if i == wanted else None for i, a in enumerate(call.outputs)]
        call.run(*call.inputs, *outputs)
        assert outputs[wanted].tobytes() == together[wanted]
