"""The edges as decided, and what other libraries get wrong: values written down by hand."""

import numpy as np
import pytest

import crossent as ce

INF, NAN = np.inf, np.nan
FLOATS = ["float16", "bfloat16", "float32", "float64"]


def as_dtype(values, name):
    if name == "bfloat16":
        return np.asarray(values, float).astype(pytest.importorskip("ml_dtypes").bfloat16)
    return np.asarray(values, name)


def equal(got, due):
    np.testing.assert_array_equal(np.asarray(got, float), due)


def near(got, due):
    """Compare within two units in the last place; NaN, infinities and zeros in their places."""
    eps = 2.0**-7 if got.dtype.name == "bfloat16" else float(np.finfo(got.dtype).eps)
    np.testing.assert_allclose(got.astype(float), due, rtol=2 * eps, atol=0)


# ---------------------------------------------------------------- where others fail


def test_confident_row_loses_nothing():
    """Frameworks: loss 0, gradient [0, 2.06e-9]."""
    loss, gradient = ce.cross_entropy_value_and_grad(np.array([[20, 0]], np.float32), [0])
    np.testing.assert_allclose(loss, 2.06115362e-09, rtol=2e-7)
    np.testing.assert_allclose(gradient, [[-2.06115362e-09, 2.06115362e-09]], rtol=2e-7)


def test_labelled_class_keeps_its_digits():
    """Frameworks: -3.576e-7, 17 % off."""
    _, gradient = ce.cross_entropy_value_and_grad(np.array([[15, 0]], np.float32), [0])
    np.testing.assert_allclose(gradient, [[-3.0590222e-07, 3.0590222e-07]], rtol=2e-7)


@pytest.mark.parametrize(("dtype", "value"), [("bfloat16", 1000.0), ("float32", 1e8)])
def test_gradient_of_logsumexp_is_the_softmax(dtype, value):
    """exp(z - l) with the rounded l gives 1 each."""
    got = ce.logsumexp_vjp(as_dtype([value] * 4, dtype), as_dtype(1.0, dtype))
    equal(got, [0.25] * 4)


def test_log_softmax_of_a_dominant_class():
    """SciPy: 0."""
    np.testing.assert_allclose(ce.log_softmax([40.0, 0.0])[0], -4.248354255291589e-18, rtol=1e-15)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint64"])
def test_integers_do_not_wrap(dtype):
    """SciPy: a wrong answer, or NaN, silently."""
    got = ce.softmax(np.array([100, 0, 101], dtype))
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, [0.26894142136999512, 0, 0.73105857863000488], atol=1e-15)


def test_small_signed_integers_far_apart():
    np.testing.assert_allclose(ce.softmax(np.array([-128, 127], np.int8)), [0, 1], atol=1e-100)


def test_bool_is_zero_and_one():
    np.testing.assert_allclose(ce.softmax([True, False]), [0.7310585786300049, 0.2689414213699951])


def test_70000_equal_logits_in_float16():
    """Others: inf or 0."""
    row = np.full(70_000, 3.0, np.float16)
    equal(ce.softmax(row), np.full(70_000, np.float16(1 / 70_000)))
    equal(ce.log_softmax(row), np.full(70_000, np.float16(-11.15625)))
    assert ce.logsumexp(row) == np.float16(3 + 11.15625)


def test_many_classes_stay_within_three_ulp():
    """550 ulp in torch, 19 in SciPy."""
    row = np.round(np.random.default_rng(0).normal(0, 3, 256_000) * 64).astype(np.float32) / 64
    values, counts = np.unique(row.astype(np.float64), return_counts=True)
    total = np.sum(np.exp(values) * counts)
    truth = np.exp(row.astype(np.float64)) / total
    errors = np.abs(ce.softmax(row) - truth) / np.spacing(truth.astype(np.float32))
    assert errors.max() <= 3


@pytest.mark.parametrize("empty", ["nan", "zero", "raise"])
def test_all_ignored_is_one_policy_for_loss_and_gradient(empty):
    arguments = {"ignore_index": -1, "empty": empty}
    z, labels = np.ones((2, 3)), np.array([-1, -1])
    weight = np.ones((3, 3))
    if empty == "raise":
        for call in (
            lambda: ce.cross_entropy(z, labels, **arguments),
            lambda: ce.cross_entropy_value_and_grad(z, labels, **arguments),
            lambda: ce.linear_cross_entropy(z, weight, labels, **arguments),
            lambda: ce.linear_cross_entropy_value_and_grad(z, weight, labels, **arguments),
        ):
            with pytest.raises(ValueError, match="mean"):
                call()
        return
    due = NAN if empty == "nan" else 0.0
    equal(ce.cross_entropy(z, labels, **arguments), due)
    for found in ce.cross_entropy_value_and_grad(z, labels, **arguments):
        equal(found, np.full(np.shape(found), due))
    loss, gradients = ce.linear_cross_entropy_value_and_grad(z, weight, labels, **arguments)
    equal(loss, due)
    equal(gradients.inputs, np.full((2, 3), due))
    equal(gradients.weight, np.full((3, 3), due))


@pytest.mark.parametrize("label", [-1, 10, 1000])
def test_label_out_of_range_names_row_and_value(label):
    """Others: another class, NaN or log(sum), silently."""
    labels = np.zeros(20, int)
    labels[17] = label
    z = np.full((20, 10), NAN)  # an error before any computing
    for call in (ce.cross_entropy, ce.cross_entropy_value_and_grad):
        with pytest.raises(ValueError, match=rf"labels\[17\] is {label}, .*10 classes \(0 ... 9\)"):
            call(z, labels)
    with pytest.raises(ValueError, match=rf"labels\[17\] is {label}"):
        ce.linear_cross_entropy(np.ones((20, 2)), np.ones((10, 2)), labels)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32", "int64", "uint64", ">i4"])
def test_any_integer_dtype_is_a_label(dtype):
    z = np.array([[1.0, 2.0, 0.5], [0.0, 1.0, 3.0]])
    assert ce.cross_entropy(z, np.array([2, 1], dtype)) == ce.cross_entropy(z, [2, 1])


def test_class_axis_anywhere():
    z = np.random.default_rng(0).standard_normal((2, 3, 4))
    labels = np.array([[0, 1, 2, 1], [2, 2, 0, 1]])
    flat = np.moveaxis(z, 1, -1)
    loss, gradient = ce.cross_entropy_value_and_grad(z, labels, axis=1)
    flat_loss, flat_gradient = ce.cross_entropy_value_and_grad(flat, labels)
    equal(np.moveaxis(gradient, 1, -1), flat_gradient)
    equal(ce.cross_entropy(z, labels, axis=-2), loss)
    equal(
        ce.cross_entropy(z, labels, axis=1, reduction="none"),
        ce.cross_entropy(flat, labels, reduction="none"),
    )
    np.testing.assert_allclose(loss, flat_loss, rtol=4e-16)  # summed as the rows lie


def test_zero_target_on_a_minus_infinite_logit_is_nothing():
    """0 x -inf: NaN elsewhere."""
    z, onehot = np.array([[0.0, -INF, 0.0]]), np.array([[1.0, 0.0, 0.0]])
    loss, gradient = ce.cross_entropy_value_and_grad(z, onehot)
    np.testing.assert_allclose(loss, np.log(2), rtol=1e-15)
    equal(gradient, [[-0.5, 0, 0.5]])


# ---------------------------------------------------------------- infinities and NaN


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("row", "lse"),
    [
        ([-INF, -INF, -INF], -INF),
        ([0.0, INF, 1.0], INF),
        ([INF, INF, -INF], INF),
        ([0.0, NAN, 1.0], NAN),
        ([NAN, INF, -INF], NAN),
    ],
)
def test_a_row_no_formula_covers_spoils_itself_alone(dtype, row, lse):
    z = as_dtype([[1.0, 1.0, 1.0], row, [0.0, 0.0, -INF]], dtype)
    nan, log2, log3 = [NAN] * 3, np.log(2), np.log(3)
    near(ce.softmax(z), [[1 / 3] * 3, nan, [0.5, 0.5, 0]])
    near(ce.log_softmax(z), [[-log3] * 3, nan, [-log2, -log2, -INF]])
    near(ce.logsumexp(z), [1 + log3, lse, log2])
    loss, gradient = ce.cross_entropy_value_and_grad(z, [0, 0, 0], reduction="none")
    near(loss, [log3, NAN, log2])
    near(gradient, [[-2 / 3, 1 / 3, 1 / 3], nan, [-0.5, 0.5, 0]])


@pytest.mark.parametrize("dtype", FLOATS)
def test_masked_is_absent_whatever_it_holds(dtype):
    z = as_dtype([[0.0, NAN, 0.0], [INF, 0.0, -INF], [NAN, INF, -INF]], dtype)
    where = np.array([[True, False, True], [False, True, False], [False, False, False]])
    equal(ce.softmax(z, where=where), [[0.5, 0, 0.5], [0, 1, 0], [0, 0, 0]])
    log2 = float(as_dtype(np.log(2), dtype))
    equal(ce.logsumexp(z, where=where), [log2, 0, -INF])
    equal(ce.log_softmax(z, where=where), [[-log2, -INF, -log2], [-INF, 0, -INF], [-INF] * 3])
    loss, gradient = ce.cross_entropy_value_and_grad(z, [0, 1, 0], where=where, reduction="none")
    equal(loss, [log2, 0, 0])
    equal(gradient, [[-0.5, 0, 0.5], [0, 0, 0], [0, 0, 0]])


def test_wholly_masked_row_is_not_counted():
    z, where = np.zeros((3, 2)), np.array([[True, True], [False, False], [True, True]])
    for normalizer in ("weight", "count"):
        loss = ce.cross_entropy(z, [0, 0, 1], where=where, normalizer=normalizer, z_loss=0.0)
        np.testing.assert_allclose(loss, np.log(2), rtol=1e-15)


def test_ignored_and_weightless_rows_are_absent_even_if_nan():
    z = np.array([[0.0, 0.0], [NAN, 0.0], [INF, NAN]])
    loss, gradient = ce.cross_entropy_value_and_grad(
        z, [0, -7, 1], ignore_index=-7, sample_weight=[1.0, 1.0, 0.0], z_loss=0.5
    )
    np.testing.assert_allclose(loss, np.log(2) + 0.5 * np.log(2) ** 2, rtol=1e-15)
    equal(gradient[1:], np.zeros((2, 2)))
    hvp = ce.cross_entropy_hvp(
        z, [0, -7, 1], np.ones((3, 2)), ignore_index=-7, sample_weight=[1.0, 1.0, 0.0]
    )
    equal(hvp, np.zeros((3, 2)))


@pytest.mark.parametrize("dtype", FLOATS)
def test_label_at_minus_infinity(dtype):
    z = as_dtype([[-INF, 0.0, 0.0]], dtype)
    loss, gradient = ce.cross_entropy_value_and_grad(z, [0])
    equal(loss, INF)
    equal(gradient, [[-1, 0.5, 0.5]])
    targets = as_dtype([[0.5, 0.5, 0.0]], dtype)
    loss, gradient = ce.cross_entropy_value_and_grad(z, targets)
    equal(loss, INF)
    equal(gradient, [[-0.5, 0, 0.5]])


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "target", [np.array([0, 1]), np.array([[1.0, 0.0, 0.0], [0.5, 0.25, 0.25]])]
)
def test_truth_on_a_masked_class_names_the_row(target):
    where = np.array([[True, True, True], [True, False, True]])
    with pytest.raises(ValueError, match=r"\b1\b"):
        ce.cross_entropy(np.zeros((2, 3)), target, where=where)


def test_no_classes_is_an_error():
    for function in (ce.softmax, ce.log_softmax, ce.logsumexp):
        with pytest.raises(ValueError, match="class"):
            function(np.empty((3, 0)))
    with pytest.raises(ValueError, match="class"):
        ce.cross_entropy(np.empty((3, 0)), [0, 0, 0])


@pytest.mark.parametrize("bad", [-0.5, NAN, INF])
def test_bad_targets_and_weights_name_the_row(bad):
    z = np.zeros((3, 2))
    targets = np.full((3, 2), 0.5)
    targets[2, 1] = bad
    with pytest.raises(ValueError, match="row 2"):
        ce.cross_entropy(z, targets)
    with pytest.raises(ValueError, match=r"sample_weight\[2\]"):
        ce.cross_entropy(z, [0, 0, 1], sample_weight=[1, 1, bad])
    with pytest.raises(ValueError, match=r"class_weight\[1\]"):
        ce.cross_entropy(z, [0, 0, 1], class_weight=[1, bad])


@pytest.mark.parametrize("dtype", [complex, object])
def test_numbers_that_are_not_real_are_refused(dtype):
    z = np.zeros((2, 2), dtype)
    for function in (ce.softmax, ce.log_softmax, ce.logsumexp, ce.sigmoid):
        with pytest.raises(TypeError, match="dtype"):
            function(z)
    with pytest.raises(TypeError):
        ce.cross_entropy(z, [0, 1])
    with pytest.raises(TypeError):
        ce.cross_entropy(np.zeros((2, 2)), np.array([0.0, 1.0]))


# ---------------------------------------------------------------- emptiness, reductions, dtypes


def test_no_rows():
    z, labels = np.empty((0, 3)), np.empty(0, int)
    assert ce.softmax(z).shape == (0, 3)
    assert ce.logsumexp(z).shape == (0,)
    assert ce.cross_entropy(z, labels, reduction="none").shape == (0,)
    assert ce.cross_entropy(z, labels, reduction="sum") == 0
    assert np.isnan(ce.cross_entropy(z, labels))
    assert ce.cross_entropy(z, labels, empty="zero") == 0
    with pytest.raises(ValueError, match="mean"):
        ce.cross_entropy(z, labels, empty="raise")
    assert ce.cross_entropy_value_and_grad(z, labels)[1].shape == (0, 3)


def test_targets_of_any_mass():
    """Gradient s p - y, with s the row's sum."""
    targets = np.array([[2.0, 1.0], [0.0, 0.0]])
    loss, gradient = ce.cross_entropy_value_and_grad(np.zeros((2, 2)), targets, reduction="sum")
    np.testing.assert_allclose(loss, 3 * np.log(2), rtol=1e-15)
    equal(gradient, [[-0.5, 0.5], [0, 0]])


def test_the_mean_divides_as_named():
    z, labels = np.zeros((3, 2)), [0, 1, 1]
    weights = {"class_weight": [1.0, 3.0], "sample_weight": [1.0, 1.0, 2.0]}
    total = (1 * 1 + 3 * 1 + 3 * 2) * np.log(2)
    for normalizer, divisor in (("weight", 10), ("count", 3), (4.0, 4)):
        loss = ce.cross_entropy(z, labels, normalizer=normalizer, **weights)
        np.testing.assert_allclose(loss, total / divisor, rtol=1e-15)


def test_smoothing_spreads_the_rows_own_mass():
    where = np.array([[True, True, False]])
    loss, gradient = ce.cross_entropy_value_and_grad(
        np.zeros((1, 3)), [0], where=where, label_smoothing=0.5
    )
    np.testing.assert_allclose(loss, np.log(2), rtol=1e-15)
    equal(gradient, [[-0.25, 0.25, 0]])
    zero = np.zeros((1, 3))
    equal(ce.cross_entropy(zero, zero, label_smoothing=0.5, reduction="none"), [0])


@pytest.mark.parametrize("dtype", FLOATS)
def test_dtypes_of_results(dtype):
    z = as_dtype([[1.0, 2.0]], dtype)
    scalar = np.float32 if z.dtype.itemsize == 2 else z.dtype
    for function in (ce.softmax, ce.log_softmax, ce.logsumexp, ce.sigmoid):
        assert function(z).dtype == z.dtype
    loss, gradient = ce.cross_entropy_value_and_grad(z, [0])
    assert loss.dtype == scalar
    assert gradient.dtype == z.dtype
    assert ce.cross_entropy(z, [0], reduction="none").dtype == z.dtype


def test_foreign_byte_order_and_read_only():
    z = np.array([[1.0, 2.0, 4.0]], ">f4")
    z.flags.writeable = False
    got = ce.softmax(z)
    assert got.dtype == np.dtype(np.float32)
    assert got.dtype.isnative
    equal(got, ce.softmax(z.astype(np.float32)))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [0, -1])
def test_out_may_be_the_input_and_other_overlap_is_no_danger(name, axis):
    function = getattr(ce, name)
    z = np.random.default_rng(0).standard_normal((6, 5))
    due = function(z, axis=axis)
    same = z.copy()
    assert function(same, axis=axis, out=same) is same
    equal(same, due)
    memory = np.zeros((7, 5))
    memory[:-1] = z
    function(memory[:-1], axis=axis, out=memory[1:])
    equal(memory[1:], due)


def test_gradient_in_place_of_the_logits():
    z = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)
    loss, due = ce.cross_entropy_value_and_grad(z, [0, 1, 2, 3, 4, 0])
    again, gradient = ce.cross_entropy_value_and_grad(z, [0, 1, 2, 3, 4, 0], out=z)
    assert gradient is z
    assert loss == again
    equal(gradient, due)


def test_gradual_underflow_is_kept():
    got = ce.softmax(np.array([0.0, -103.0], np.float32))
    equal(got, [1, np.float32(2**-149)])
    got = ce.softmax(np.array([0.0, -90.0], np.float32))[1]
    np.testing.assert_allclose(float(got), 8.194012e-40, rtol=1e-5)
    assert ce.softmax([0.0, -745.0])[1] == 5e-324


def test_nothing_overflows():
    equal(ce.softmax(np.array([3e38, -3e38], np.float32)), [1, 0])
    equal(ce.logsumexp([1e308, -1e308]), 1e308)
    equal(ce.softmax([1000.0, 1000.0]), [0.5, 0.5])
    equal(ce.sigmoid([1000.0, -1000.0]), [1, 0])
    loss, gradient = ce.cross_entropy_value_and_grad([[8e307, -8e307]], [0])
    equal(loss, 0)
    equal(gradient, [[0, 0]])


def test_two_classes_by_one_logit():
    np.testing.assert_allclose(ce.binary_cross_entropy([-800.0], [1]), 800, rtol=1e-15)
    loss, gradient = ce.binary_cross_entropy_value_and_grad(np.array([40.0, -40.0]), [1, 0])
    np.testing.assert_allclose(loss, 4.248354255291589e-18, rtol=1e-14)
    np.testing.assert_allclose(gradient, [-2.1241771276457945e-18, 2.1241771276457945e-18])
    with pytest.raises(ValueError, match="2"):
        ce.binary_cross_entropy([0.0], [2])


@pytest.mark.parametrize("wide", [np.float32, np.float64])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_targets_of_any_dtype_must_be_finite_in_that_of_the_logits(dtype: type, wide: type) -> None:
    logits = np.zeros((2, 40), wide)
    for wrong in (np.inf, np.nan, -1.0):
        targets = np.full((2, 40), 0.5, dtype)
        targets[1, 37] = wrong
        with pytest.raises(ValueError, match=r"targets of row 1 hold .* for class 37"):
            ce.cross_entropy(logits, targets)
