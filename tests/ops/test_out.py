"""Memory given for results: the input itself, a part of it, any layout."""

import tracemalloc

import numpy as np
import pytest

import crossent as ce

RNG = np.random.default_rng(5)
ONE_ARRAY = {
    "softmax": ce.softmax,
    "log_softmax": ce.log_softmax,
    "softmax_vjp": lambda x, **kw: ce.softmax_vjp(x, np.sin(x), **kw),
    "log_softmax_jvp": lambda x, **kw: ce.log_softmax_jvp(x, np.cos(x), **kw),
    "logsumexp_vjp": lambda x, axis=-1, **kw: ce.logsumexp_vjp(
        x, x.sum(axis=axis), axis=axis, **kw),
    "gradient": lambda x, axis=-1, **kw: ce.cross_entropy_value_and_grad(
        x, np.zeros(np.delete(x.shape, axis), int), axis=axis, **kw)[1],
    "sigmoid": lambda x, axis=-1, **kw: ce.sigmoid(x, **kw),
    "binary gradient": lambda x, axis=-1, **kw: ce.binary_cross_entropy_value_and_grad(
        x, np.zeros(x.shape, int), **kw)[1],
}  # fmt: skip


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("name", ONE_ARRAY)
def test_out_may_be_the_input(name, axis):
    x = RNG.normal(size=(4, 5, 6))
    expected = ONE_ARRAY[name](x.copy(), axis=axis)
    result = ONE_ARRAY[name](x, axis=axis, out=x)
    assert result is x
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("name", ONE_ARRAY)
@pytest.mark.parametrize("shift", [1, 6, 7])
def test_out_may_overlap_the_input(name, shift):
    memory = RNG.normal(size=100)
    x, out = memory[:60].reshape(10, 6), memory[shift : 60 + shift].reshape(10, 6)
    expected = ONE_ARRAY[name](x.copy())
    assert ONE_ARRAY[name](x, out=out) is out
    np.testing.assert_array_equal(out, expected)


def test_out_may_be_the_second_argument():
    p, g = ce.softmax(RNG.normal(size=(3, 4))), RNG.normal(size=(3, 4))
    expected = ce.softmax_vjp(p, g)
    np.testing.assert_array_equal(ce.softmax_vjp(p, g, out=g), expected)
    y = ce.softmax(RNG.normal(size=(3, 4)))
    expected = ce.cross_entropy_value_and_grad(g, y.copy())[1]
    np.testing.assert_array_equal(ce.cross_entropy_value_and_grad(g, y, out=y)[1], expected)


@pytest.mark.parametrize("layout", ["transposed", "every other", "reversed", "broadcast to rows"])
def test_out_of_any_layout(layout):
    x = RNG.normal(size=(4, 6))
    out = {
        "transposed": np.empty((6, 4)).T,
        "every other": np.empty((8, 12))[::2, ::2],
        "reversed": np.empty((4, 6))[::-1, ::-1],
        "broadcast to rows": np.empty((1, 4, 6))[0],
    }[layout]
    assert ce.softmax(x, out=out) is out
    np.testing.assert_array_equal(out, ce.softmax(x))


def test_logsumexp_is_written_where_it_is_wanted():
    x, out = RNG.normal(size=(40_000, 3)), np.empty(40_000)
    expected = ce.logsumexp(x)
    tracemalloc.start()
    assert ce.logsumexp(x, out=out) is out
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(out, expected)
    formulas = 0 if ce.build_info()["kernels"] == "native" else 1 << 20
    assert peak < out.nbytes / 10 + formulas


@pytest.mark.parametrize("part", [slice(1, 11), slice(0, 60, 6)], ids=["overlapping", "a column"])
def test_logsumexp_over_its_own_input(part):
    x = RNG.normal(size=(10, 6))
    expected = ce.logsumexp(x)
    out = x.reshape(-1)[part]
    assert ce.logsumexp(x, out=out) is out
    np.testing.assert_array_equal(out, expected)


def test_inputs_are_left_alone():
    x, y = RNG.normal(size=(4, 6)), ce.softmax(RNG.normal(size=(4, 6)))
    before = x.copy(), y.copy()
    where = np.ones((4, 6), bool)
    ce.softmax(x, where=where)
    ce.cross_entropy_value_and_grad(x, y, label_smoothing=0.1, where=where)
    ce.cross_entropy_hvp(x, y, y)
    ce.linear_cross_entropy_value_and_grad(x, y, [0, 1, 2, 3])
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])


def test_results_are_contiguous_for_any_axis():
    x = RNG.normal(size=(3, 4, 5))
    for axis in range(3):
        assert ce.softmax(x, axis=axis).flags.c_contiguous


@pytest.mark.parametrize("n_classes", [3, 100, 32768, 32769, 70001])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_classes_down_the_columns_have_the_bits_of_rows(dtype, n_classes):
    z = (3 * RNG.normal(size=(2, n_classes, 3))).astype(dtype)
    rows = np.ascontiguousarray(np.moveaxis(z, 1, -1))
    labels = RNG.integers(0, n_classes, (2, 3))
    for function in (ce.softmax, ce.log_softmax):
        expected = np.moveaxis(function(rows), -1, 1)
        np.testing.assert_array_equal(function(z, axis=1), expected)
    np.testing.assert_array_equal(ce.logsumexp(z, axis=1), ce.logsumexp(rows))
    losses, gradient = ce.cross_entropy_value_and_grad(z, labels, axis=1, reduction="none")
    expected, slopes = ce.cross_entropy_value_and_grad(rows, labels, reduction="none")
    np.testing.assert_array_equal(losses, expected)
    np.testing.assert_array_equal(gradient, np.moveaxis(slopes, -1, 1))
