"""Radial features large enough for matrix products: as exact as differences, and none is lost."""

import numpy as np
import pytest

import crossent as ce
from crossent import _kernels as kernels

# (dtype, N, D, n, where all of it lies)
PROBLEMS = [
    ("float32", 300, 60, 40, 0.0),
    ("float32", 300, 60, 40, 1e3),
    ("float64", 500, 33, 20, -5.0),
    ("float32", 700, 300, 270, 0.0),
    ("float64", 2000, 16, 300, 2.0),
]
# Worst errors in eps of the sum of the terms' sizes, measured: 2.8, 2.7, 2.3 and 1.1.
BOUNDS = 6.0, 5.0, 4.0, 3.0


def problem(dtype, n_samples, n_inputs, n_features, middle):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(n_samples, n_inputs)) + middle).astype(dtype)
    c = (rng.normal(size=(n_features, n_inputs)) + middle).astype(dtype)
    beta = (rng.uniform(0.5, 2, n_features) / n_inputs).astype(dtype)
    return x, c, beta, rng.normal(size=(n_samples, n_features)).astype(dtype)


def truths(x, c, beta, h):
    """Features, gradients, and the sums of the absolute values of each one's terms.

    An exponent's rounding grows with the exponent.
    """
    x, c, beta, h = (a.astype(np.longdouble) for a in (x, c, beta, h))
    d = x[:, None, :] - c
    squares = (d**2).sum(axis=2)
    e = np.exp(-beta * squares)
    pulls = (h * e)[:, :, None] * d
    return [
        (e, e * (1 + beta * squares)),
        tuple(-2 * (beta[:, None] * k).sum(axis=1) for k in (pulls, -np.abs(pulls))),
        tuple(2 * beta[:, None] * k.sum(axis=0) for k in (pulls, np.abs(pulls))),
        (-(h * e * squares).sum(axis=0), (np.abs(h) * e * squares).sum(axis=0)),
    ]


@pytest.mark.parametrize("given", PROBLEMS, ids=str)
def test_values_and_gradients(given):
    x, c, beta, h = problem(*given)
    found = (
        ce.gaussian_features(x, c, beta, kind="radial"),
        *ce.gaussian_features_vjp(x, c, beta, h, kind="radial"),
    )
    for result, (expected, size), bound in zip(found, truths(x, c, beta, h), BOUNDS, strict=True):
        assert (np.abs(result - expected) <= bound * np.finfo(x.dtype).eps * size).all()


def test_rows_that_a_product_would_spoil_go_by_differences():
    """Far from the centers a product cancels; NaN and infinity stay in their rows."""
    x, c, beta, h = problem("float64", 600, 40, 30, 0.0)
    x[:5] += 1e6
    c[0], beta[0] = x[0] + 0.01, 1.0
    x[7], x[8] = np.nan, np.inf
    phi = ce.gaussian_features(x, c, beta, kind="radial")
    expected = np.exp(-beta * ((x[:, None] - c) ** 2).sum(axis=2))
    np.testing.assert_allclose(phi, expected, rtol=1e-12)
    assert phi[0, 0] > 0.9
    assert np.isnan(phi[7]).all()
    assert not phi[8].any()
    x[7:9] = 0
    found = ce.gaussian_features_vjp(x, c, beta, h, kind="radial")
    for part, (right, size) in zip(found, truths(x, c, beta, h)[1:], strict=True):
        assert (np.abs(part - right) <= 1e-13 * size + 1e-300).all()


@pytest.mark.skipif(kernels.KERNELS == "numpy", reason="a promise of the compiled kernels")
@pytest.mark.parametrize("given", PROBLEMS, ids=str)
def test_the_bits_depend_on_no_thread_and_no_other_row(given):
    """Rows go by a product or by differences, whatever goes the other way beside them."""
    x, c, beta, h = problem(*given)
    x[3::7] += 40
    before, found = ce.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            ce.set_num_threads(threads)
            gradients = ce.gaussian_features_vjp(x, c, beta, h, kind="radial")
            found.append([ce.gaussian_features(x, c, beta, kind="radial"), *gradients])
    finally:
        ce.set_num_threads(before)
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            assert one.tobytes() == other.tobytes()
    some = np.random.default_rng(1).permutation(len(x))[: len(x) // 2]
    for rows in (some, some[:1]):
        alone = ce.gaussian_features(x[rows], c, beta, kind="radial")
        assert alone.tobytes() == found[0][0][rows].tobytes()
        of_inputs = ce.gaussian_features_vjp(x[rows], c, beta, h[rows], kind="radial")[0]
        assert of_inputs.tobytes() == found[0][1][rows].tobytes()


@pytest.mark.parametrize("kind", ["radial", "additive"])
@pytest.mark.parametrize("size", [3, 400])
def test_only_what_is_needed(kind, size):
    x, c, beta, h = problem("float32", size, 40, 30, 0.0)
    together = ce.gaussian_features_vjp(x, c, beta, h, kind=kind)
    for name in ("inputs", "centers", "beta"):
        alone = ce.gaussian_features_vjp(x, c, beta, h, kind=kind, needs=(name,))
        for field, part in alone._asdict().items():
            if field != name:
                assert part is None
            else:
                np.testing.assert_allclose(part, getattr(together, field), rtol=1e-5)


def test_out():
    x, c, beta, _ = problem("float64", 400, 40, 40, 0.0)
    expected = ce.gaussian_features(x, c, beta, kind="radial")
    out = np.empty_like(expected)
    assert ce.gaussian_features(x, c, beta, kind="radial", out=out) is out
    np.testing.assert_array_equal(out, expected)
    ce.gaussian_features(x, c, beta, kind="radial", out=x)
    np.testing.assert_array_equal(x, expected)
