"""The gradient checker: right derivatives pass, wrong ones are named."""

import numpy as np
import pytest

from crossent.verify import GradientMismatch, check_gradients

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 4))
LABELS = np.array([0, 3, 1])


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_product(z, v):
    p = softmax(z)
    return p * (v - (p * v).sum(axis=-1, keepdims=True))


def log_softmax(z):
    return np.log(softmax(z))


def loss(z, zeta=0.0):
    lse = np.log(np.exp(z).sum(axis=1))
    return np.sum(lse - z[np.arange(3), LABELS] + zeta * lse**2)


def loss_gradient(z):
    return softmax(z) - np.eye(4)[LABELS]


def failure(*args, **kwargs):
    with pytest.raises(GradientMismatch) as caught:
        check_gradients(*args, **kwargs)
    return caught.value


def test_right_derivatives_of_an_array_function():
    check = check_gradients(softmax, X, vjp=softmax_product, jvp=softmax_product)
    assert check.passed
    assert check.worst.error < 1e-8
    assert str(check).endswith(str(check.worst))


def test_right_derivatives_of_a_number():
    check = check_gradients(loss, X, vjp=lambda z, w: w * loss_gradient(z), hvp=softmax_product)
    assert check.passed


def test_without_a_point_three_rows_of_five_numbers_are_taken():
    shapes = set()

    def f(z):
        shapes.add(z.shape)
        return softmax(z)

    assert check_gradients(f, vjp=softmax_product, jvp=softmax_product).passed
    assert shapes == {(3, 5)}
    failure(softmax, vjp=lambda z, w: -softmax_product(z, w))


def test_hvp_without_a_gradient():
    assert check_gradients(loss, X, hvp=softmax_product, rtol=1e-6).passed


def test_right_in_odd_styles():
    """A constant f, a linear one, one entry, a large x, a steep one, zero dimensions out."""
    assert check_gradients(lambda x: np.ones(2), [1.0], vjp=lambda x, w: np.zeros(1)).passed
    assert check_gradients(lambda x: 3 * x, [[2.0]], jvp=lambda x, v: 3 * v).passed
    far = np.array([1e6, -2e6])
    assert check_gradients(lambda x: x**2, far, vjp=lambda x, w: 2 * x * w).passed
    steep = np.array([0.1, 0.2])
    assert check_gradients(
        lambda x: np.exp(20 * x), steep, vjp=lambda x, w: 20 * np.exp(20 * x) * w
    ).passed
    assert check_gradients(np.sum, X, vjp=lambda x, w: np.full(x.shape, w)).passed
    assert check_gradients(lambda x: list(x), [1.0, 2.0], jvp=lambda x, v: list(v)).passed


@pytest.mark.parametrize(
    "wrong",
    [
        lambda z, w: softmax(z) * w,
        lambda z, w: softmax(z) * (1 - softmax(z)) * w,
        lambda z, w: -softmax_product(z, w),
        lambda z, w: softmax_product(z, w) * 1.0001,
        lambda z, w: softmax_product(z, w) * np.nan,
        lambda z, w: softmax_product(z, w).sum(axis=0),
        lambda z, w: softmax_product(z, w)[::-1],
    ],
)
def test_wrong_vjp_and_jvp(wrong):
    failure(softmax, X, vjp=wrong)
    failure(softmax, X, jvp=wrong)


def test_transposed_jacobian_is_caught_by_each_check():
    def right(z, w):
        return w - softmax(z) * w.sum(axis=-1, keepdims=True)

    def transposed(z, w):
        return w - (softmax(z) * w).sum(axis=-1, keepdims=True)

    assert check_gradients(log_softmax, X, vjp=right, jvp=transposed).passed
    failure(log_softmax, X, vjp=transposed)
    failure(log_softmax, X, jvp=right)


def test_identity_catches_what_differences_are_too_rough_for():
    def vjp(z, w):
        return softmax_product(z, w) * (1 + 3e-7)

    check = check_gradients(softmax, X, vjp=vjp, jvp=softmax_product, rtol=1e-7, raises=False)
    assert not check.passed
    assert any("<w, J v>" in d.check and d.excess > 1 for d in check.discrepancies)


def test_the_entry_is_named():
    def wrong(z, v):
        out = softmax_product(z, v)
        out[1, 2] += 0.01
        return out

    error = failure(softmax, X, jvp=wrong)
    worst = error.check.worst
    assert worst.index == (1, 2)
    assert worst.got - worst.expected == pytest.approx(0.01, rel=1e-5)
    assert "at entry (1, 2): expected" in str(error)

    def wrong_back(z, w):
        out = softmax_product(z, w)
        out[1, 2] += 0.01
        return out

    assert "x[1, 2]" in str(failure(softmax, X, vjp=wrong_back))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda z, v: 2 * softmax_product(z, v),
        lambda z, v: softmax(z) * v,
        lambda z, v: softmax_product(z, v) + 0.1 * np.roll(v, 1, axis=1),
        lambda z, v: softmax_product(z, v)[0],
    ],
)
def test_wrong_hvp(wrong):
    failure(loss, X, vjp=lambda z, w: w * loss_gradient(z), hvp=wrong)


def test_unsymmetric_hvp_is_caught_without_a_gradient():
    skew = np.triu(np.ones((4, 4)), 1) - np.tril(np.ones((4, 4)), -1)
    found = failure(loss, X, hvp=lambda z, v: softmax_product(z, v) + v @ skew)
    assert "<u, H v> = <v, H u>" in str(found)


def test_rough_functions_are_not_passed():
    assert "do not settle" in str(failure(np.abs, [1e-3], vjp=lambda x, w: np.sign(x) * w))
    assert "do not settle" in str(failure(np.sqrt, [0.0], vjp=lambda x, w: w))


def test_many_entries_are_sampled():
    calls = []

    def f(x):
        calls.append(1)
        return x.sum()

    assert check_gradients(f, np.ones(5000), vjp=lambda x, w: np.full(5000, w)).passed
    assert len(calls) < 1000


def test_the_functions_cannot_change_the_point():
    x = X.copy()

    def vicious(z, w):
        out = softmax_product(z, w)
        z[...] = 0
        return out

    assert check_gradients(softmax, x, vjp=vicious).passed
    np.testing.assert_array_equal(x, X)


@pytest.mark.parametrize(
    ("x", "products", "error", "message"),
    [
        (X.astype(np.float32), {"vjp": softmax_product}, TypeError, "float64.*float32"),
        ([1, 2], {"vjp": softmax_product}, TypeError, "float64.*int64"),
        (X, {}, ValueError, "nothing to check"),
        (np.empty((0, 3)), {"vjp": softmax_product}, ValueError, "one entry at least"),
        ([np.nan], {"vjp": softmax_product}, ValueError, "finite"),
        (X, {"hvp": softmax_product}, ValueError, "one number"),
    ],
)
def test_what_cannot_be_checked_is_an_error(x, products, error, message):
    with pytest.raises(error, match=message):
        check_gradients(softmax, x, **products)
