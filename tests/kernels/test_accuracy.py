"""The softmax family and the labelled cross-entropy within a few ulp, on the floor in use.

The bounds are measured ones, rounded up; each is for the worst of all shapes and distributions.
"""

from __future__ import annotations

import numpy as np
import pytest

from crossent import _kernels as kernels
from crossent._arguments import LossOptions
from tests.kernels import tables, truth
from tests.kernels.tables import name_of
from tests.kernels.truth import Array, ulps, wide

needs_extended = pytest.mark.skipif(
    not truth.HAS_EXTENDED, reason="np.longdouble is no wider than float64 on this machine"
)

# Worst errors in ulp: (16-bit, float32, float64) on the compiled floor, then on NumPy's.
BOUNDS = {
    "softmax": ((0.51, 3.0, 3.0), (0.51, 0.51, 5.0)),
    "log_softmax": ((0.51, 2.0, 2.0), (0.51, 0.51, 4.0)),
    "logsumexp": ((0.51, 1.5, 1.5), (0.51, 0.51, 2.0)),
    "softmax_vjp": ((0.51, 3.0, 3.0), (0.51, 0.51, 12.0)),
    "log_softmax_vjp": ((0.51, 3.0, 3.0), (0.51, 0.51, 40.0)),
    "log_softmax_jvp": ((0.51, 2.0, 2.0), (0.51, 0.51, 6.0)),
    "logsumexp_vjp": ((0.51, 3.0, 3.0), (0.51, 0.51, 5.0)),
    "logsumexp_jvp": ((0.51, 2.5, 3.0), (0.51, 0.51, 6.0)),
    "loss": ((2.0, 2.0, 2.0), (0.51, 0.51, 4.0)),
    "gradient": ((0.51, 3.0, 3.0), (0.51, 0.51, 6.0)),
}


def bound(kernel: str, dtype: type) -> float:
    of_floor = BOUNDS[kernel][kernels.KERNELS == "numpy"]
    return of_floor[{2: 0, 4: 1, 8: 2}[np.dtype(dtype).itemsize]]


def check(
    kernel: str, dtype: type, result: Array, expected: Array, size: Array | None = None
) -> None:
    assert ulps(result, expected, size) <= bound(kernel, dtype), kernel


def logits_and_more(distribution: str, dtype: type):
    """Logits, a row of cotangents or tangents, and room for results, of every shape."""
    for shape in tables.shapes():
        z = tables.logits(distribution, shape, dtype)
        g = tables.logits("normal(0, 1)", shape, dtype, seed=1)
        yield z, g, np.empty_like(z)


@needs_extended
@pytest.mark.parametrize("distribution", tables.DISTRIBUTIONS)
@pytest.mark.parametrize("dtype", tables.DTYPES, ids=name_of)
def test_values(dtype: type, distribution: str) -> None:
    for z, _, out in logits_and_more(distribution, dtype):
        kernels.softmax_rows(z, out)
        check("softmax", dtype, out, truth.softmax(z))
        kernels.log_softmax_rows(z, out)
        check("log_softmax", dtype, out, truth.log_softmax(z))
        lse = np.empty(len(z), dtype)
        kernels.logsumexp_rows(z, lse)
        check("logsumexp", dtype, lse, truth.logsumexp(z), np.abs(wide(z).max(axis=1)))


@needs_extended
@pytest.mark.parametrize("distribution", ["normal(0, 3)", "normal(0, 20)", "one dominant"])
@pytest.mark.parametrize("dtype", tables.DTYPES, ids=name_of)
def test_derivatives(dtype: type, distribution: str) -> None:
    for z, g, out in logits_and_more(distribution, dtype):
        p, q = np.empty_like(z), np.empty_like(z)
        kernels.softmax_rows(z, p)
        kernels.log_softmax_rows(z, q)
        size = np.abs(wide(g))
        mean = np.abs(wide(p) * wide(g)).sum(axis=1, keepdims=True)
        kernels.softmax_vjp_rows(p, g, out)
        check("softmax_vjp", dtype, out, truth.softmax_vjp(p, g), wide(p) * np.maximum(size, mean))
        kernels.log_softmax_vjp_rows(q, g, out)
        total = np.exp(wide(q)) * np.abs(wide(g).sum(axis=1, keepdims=True))
        check("log_softmax_vjp", dtype, out, truth.log_softmax_vjp(q, g), np.maximum(size, total))
        kernels.log_softmax_jvp_rows(q, g, out)
        check("log_softmax_jvp", dtype, out, truth.log_softmax_jvp(q, g), np.maximum(size, mean))
        row = np.ascontiguousarray(g[:, 0])
        kernels.logsumexp_vjp_rows(z, row, out)
        check("logsumexp_vjp", dtype, out, truth.logsumexp_vjp(z, row))
        change = np.empty(len(z), dtype)
        kernels.logsumexp_jvp_rows(z, g, change)
        size = (truth.softmax(z) * np.abs(wide(g))).sum(axis=1)
        check("logsumexp_jvp", dtype, change, truth.logsumexp_jvp(z, g), size)


@needs_extended
@pytest.mark.parametrize("distribution", tables.DISTRIBUTIONS)
@pytest.mark.parametrize("dtype", tables.DTYPES, ids=name_of)
def test_cross_entropy_with_labels(dtype: type, distribution: str) -> None:
    """Loss and gradient, of the labelled class too: nothing cancels there."""
    rng = np.random.default_rng(0)
    for z, g, out in logits_and_more(distribution, dtype):
        labels = rng.integers(0, z.shape[1], len(z))
        labels[::2] = wide(z)[::2].argmax(axis=1)
        loss = np.empty(len(z))
        kernels.cross_entropy_rows(z, labels, None, 1.0, LossOptions(), loss, out)
        expected = truth.cross_entropy(z, labels, g, None, LossOptions())
        check("loss", dtype, loss.astype(tables.computed(dtype)), expected.loss)
        check("gradient", dtype, out, expected.gradient)


@needs_extended
def test_the_labelled_gradient_is_a_quotient_rounded_once() -> None:
    """Row 70: every rounding counts nearly one ulp, since its true result is just below 2^-17."""
    rng = np.random.default_rng(10_002)
    z = 20 * rng.standard_normal((100, 100))
    labels, out = rng.integers(100, size=100), np.empty_like(z)
    labels[::2] = z[::2].argmax(axis=1)
    kernels.cross_entropy_rows(z, labels, None, 1.0, LossOptions(), None, out)
    expected = truth.cross_entropy(z, labels, z, None, LossOptions())
    check("gradient", np.float64, out, expected.gradient)


@needs_extended
@pytest.mark.parametrize("dtype", tables.WIDE_DTYPES, ids=name_of)
def test_a_million_classes(dtype: type) -> None:
    z = tables.logits("normal(0, 3)", (1, 1_000_000), dtype)
    out, lse = np.empty_like(z), np.empty(1, dtype)
    kernels.softmax_rows(z, out)
    check("softmax", dtype, out, truth.softmax(z))
    kernels.log_softmax_rows(z, out)
    check("log_softmax", dtype, out, truth.log_softmax(z))
    kernels.logsumexp_rows(z, lse)
    check("logsumexp", dtype, lse, truth.logsumexp(z))


@pytest.mark.parametrize("dtype", tables.WIDE_DTYPES, ids=name_of)
def test_underflow_is_gradual(dtype: type) -> None:
    """Probabilities keep their digits down to the smallest subnormal number."""
    smallest = float(np.finfo(dtype).smallest_subnormal)
    depth = np.arange(-np.log(smallest) * 1.01, 0, -0.37)
    z = np.concatenate([-depth, [0.0]])[None].astype(dtype)
    out = np.empty_like(z)
    kernels.softmax_rows(z, out)
    assert 0 < out[out > 0].min() < np.finfo(dtype).tiny / 1000
    if truth.HAS_EXTENDED:
        check("softmax", dtype, out, truth.softmax(z))


@needs_extended
@pytest.mark.parametrize("factor", [1.0, 1e-15, 1e-25, 1e-33])
@pytest.mark.parametrize("n_classes", [3, 20, 64, 1000, 5000])
@pytest.mark.parametrize("dtype", tables.WIDE_DTYPES, ids=name_of)
def test_rows_wider_than_the_normal_numbers_of_float32(
    dtype: type, n_classes: int, factor: float
) -> None:
    """Results are right to the last subnormal one, and sums too, whatever a gradient is times."""
    rng = np.random.default_rng(n_classes)
    z = rng.uniform(-115, 0, (40, n_classes)) + np.repeat([0, 90, -250, 1000], 10)[:, None]
    z[::2] = np.where(z[::2] == z[::2].max(axis=1, keepdims=True), z[::2], z[::2] - 60)
    z = z.astype(dtype)
    out, lse, loss = np.empty_like(z), np.empty(len(z), dtype), np.empty(len(z))
    kernels.softmax_rows(z, out)
    check("softmax", dtype, out, truth.softmax(z))
    kernels.log_softmax_rows(z, out)
    check("log_softmax", dtype, out, truth.log_softmax(z))
    kernels.logsumexp_rows(z, lse)
    check("logsumexp", dtype, lse, truth.logsumexp(z), np.abs(wide(z).max(axis=1)))
    labels = rng.integers(0, n_classes, len(z))
    labels[::2] = z[::2].argmax(axis=1)
    kernels.cross_entropy_rows(z, labels, None, factor, LossOptions(), loss, out)
    expected = truth.cross_entropy(z, labels, z, None, LossOptions())
    check("loss", dtype, loss.astype(dtype), expected.loss)
    check("gradient", dtype, out, factor * expected.gradient)
    by = np.full(len(z), factor, dtype) * np.where(np.arange(len(z)) % 3, 1, -1).astype(dtype)
    kernels.logsumexp_vjp_rows(z, by, out)
    check("logsumexp_vjp", dtype, out, truth.logsumexp_vjp(z, by))
