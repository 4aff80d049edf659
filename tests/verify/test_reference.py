"""The truth against values derived by hand, and against its own central differences."""

import numpy as np
import pytest

from crossent.verify import _reference as reference
from crossent.verify._reference import mp

OPTIONS = [
    {},
    {"reduction": "sum"},
    {"label_smoothing": 0.1, "class_weight": np.array([0.5, 1.0, 2.0, 0.25])},
    {"temperature": 0.7, "softcap": 3.0},
    {"z_loss": 0.3, "sample_weight": np.array([1.0, 0.0, 2.5])},
    {
        "label_smoothing": 0.2, "class_weight": np.array([0.5, 1.0, 2.0, 0.25]),
        "sample_weight": np.array([1.0, 3.0, 2.5]), "temperature": 1.5, "softcap": 4.0,
        "z_loss": 0.1, "where": np.array([[1, 1, 0, 1], [1, 1, 1, 1], [1, 1, 1, 0]], bool),
        "normalizer": "count",
    },
]  # fmt: skip
LOGITS = np.array([[0.5, -1.0, 2.0, 0.25], [3.0, 0.0, -2.0, 1.0], [0.1, 0.2, 0.3, 0.4]])
LABELS = np.array([0, 1, 1])
TARGETS = np.array([[0.5, 0.25, 0.0, 1.25], [0.0, 1.0, 0.0, 0.0], [0.3, 0.3, 0.0, 0.0]])
STEP = 1e-12  # with 50 digits a central difference is good to some 1e-24


def close(left, right, tolerance=1e-20):
    return all(abs(a - b) < tolerance for a, b in zip(np.ravel(left), np.ravel(right), strict=True))


def moved(array, index, step):
    out = reference.exact(array).copy()
    out[index] += step
    return out


def difference(f, array, index):
    """Return the central difference of f by one entry."""
    with mp.workdps(60):
        h = mp.mpf(STEP)
        return (f(moved(array, index, h)) - f(moved(array, index, -h))) / (2 * h)


def all_differences(f, array):
    out = np.empty(array.shape, object)
    for index in np.ndindex(array.shape):
        out[index] = difference(f, array, index)
    return out


def test_two_equal_logits_are_one_half_each():
    logits = np.zeros((1, 2))
    with mp.workdps(40):
        assert close(reference.softmax(logits).value, [mp.mpf(1) / 2] * 2)
        assert close(reference.logsumexp(logits).value, [mp.log(2)])
        assert close(reference.log_softmax(logits).value, [-mp.log(2)] * 2)


def test_published_values_of_a_confident_row():
    logits = np.array([[20, 0]], np.float32)
    found = reference.cross_entropy(logits, np.array([0]))
    assert float(found.loss.value[0]) == pytest.approx(2.06115362e-09, rel=1e-8)
    assert float(found.gradient.value[0, 0]) == pytest.approx(-2.06115362e-09, rel=1e-8)
    assert float(reference.log_softmax(np.array([[40.0, 0]])).value[0, 0]) == pytest.approx(
        -4.248354255291589e-18, rel=1e-15
    )


def test_exact_beyond_the_range_of_floats():
    found = reference.log_softmax(np.array([[1e4, -1e4]]))
    assert close(found.value[0, 1], -20000)
    assert 0 < -found.value[0, 0] < mp.mpf(10) ** -8000 or found.value[0, 0] == 0


@pytest.mark.parametrize(
    ("row", "lse", "softmax"),
    [
        ([-np.inf, -np.inf], -np.inf, [np.nan, np.nan]),
        ([np.inf, 0.0], np.inf, [np.nan, np.nan]),
        ([np.nan, 0.0], np.nan, [np.nan, np.nan]),
        ([np.nan, np.inf], np.nan, [np.nan, np.nan]),
        ([-np.inf, 3.0], 3.0, [0.0, 1.0]),
    ],
)
def test_edges_as_decided(row, lse, softmax):
    rows = np.array([row])
    np.testing.assert_equal(reference.logsumexp(rows).value.astype(float), [lse])
    np.testing.assert_equal(reference.softmax(rows).value.astype(float), [softmax])
    loss = reference.cross_entropy(rows, np.array([1])).loss.value.astype(float)
    np.testing.assert_equal(loss, [0.0 if np.isfinite(softmax[1]) else np.nan])


def test_wholly_masked_row_is_absent():
    mask = np.array([[False, False], [True, True]])
    rows = np.array([[np.nan, np.inf], [0.0, 0.0]])
    assert (reference.softmax(rows, mask).value[0] == 0).all()
    assert reference.logsumexp(rows, mask).value[0] == -mp.inf
    found = reference.cross_entropy(rows, np.array([0, 0]), where=mask, z_loss=1.0)
    assert (found.gradient.value[0] == 0).all()
    with mp.workdps(40):
        assert close(found.loss.value, [mp.log(2) + mp.log(2) ** 2])


def test_label_at_minus_infinity():
    found = reference.cross_entropy(np.array([[-np.inf, 0.0, 0.0]]), np.array([0]))
    assert found.loss.value[0] == mp.inf
    assert close(found.gradient.value, [-1, 0.5, 0.5])


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_jacobians_are_central_differences(name):
    f = getattr(reference, name)
    row = LOGITS[:1]
    differences = np.stack(
        [difference(lambda z: f(z).value[0], row, (0, j)) for j in range(4)], axis=1
    )
    with mp.workdps(60):
        assert close(getattr(reference, f"{name}_jacobian")(f(row).value).value[0], differences)


def test_products_are_those_of_the_jacobians():
    rng = np.random.default_rng(1)
    v = reference.exact(rng.standard_normal((3, 4)))
    w = reference.exact(rng.standard_normal(3))
    with mp.workdps(60):
        p, q = reference.softmax(LOGITS).value, reference.log_softmax(LOGITS).value
        jacobian = reference.softmax_jacobian(p).value
        log_jacobian = reference.log_softmax_jacobian(q).value
        for i in range(3):
            assert close(reference.softmax_vjp(p, v).value[i], jacobian[i].T @ v[i])
            assert close(reference.log_softmax_vjp(q, v).value[i], log_jacobian[i].T @ v[i])
            assert close(reference.log_softmax_jvp(q, v).value[i], log_jacobian[i] @ v[i])
            assert close(reference.logsumexp_vjp(LOGITS, w).value[i], w[i] * p[i])
            assert close(reference.logsumexp_jvp(LOGITS, v).value[i], p[i] @ v[i])
    slope = all_differences(lambda z: reference.logsumexp(z).value.sum(), LOGITS)
    assert close(p, slope)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("target", [LABELS, TARGETS], ids=["labels", "targets"])
def test_gradient_and_hvp_are_central_differences(target, options):
    tangent = np.random.default_rng(2).standard_normal(LOGITS.shape)

    def found(z):
        return reference.cross_entropy(z, target, tangent, **options)

    truth = found(LOGITS)
    assert close(truth.gradient.value, all_differences(lambda z: found(z).loss.value[0], LOGITS))
    slope = all_differences(lambda z: found(z).loss_tangent.value[0], LOGITS)
    assert close(truth.hvp.value, slope)
    with mp.workdps(60):
        product = (truth.gradient.value * reference.exact(tangent)).sum()
    assert close(truth.loss_tangent.value, product)


def test_gauss_newton_is_the_hessian_without_softcap_and_z_loss():
    tangent = np.random.default_rng(3).standard_normal(LOGITS.shape)
    options = {"temperature": 0.7, "label_smoothing": 0.1}
    full = reference.cross_entropy(LOGITS, TARGETS, tangent, **options)
    part = reference.cross_entropy(LOGITS, TARGETS, tangent, gauss_newton=True, **options)
    assert close(full.hvp.value, part.hvp.value, 1e-40)
    bent = reference.cross_entropy(LOGITS, TARGETS, tangent, gauss_newton=True, softcap=2.0)
    assert not close(
        bent.hvp.value, reference.cross_entropy(LOGITS, TARGETS, tangent, softcap=2.0).hvp.value
    )


def test_options_by_hand():
    """Two logits 0 and log 3: p = (1/4, 3/4), so every option is a short sum of logarithms."""
    with mp.workdps(40):
        third = mp.log(3)
        row, label = np.array([[mp.zero, third]], object), np.array([0])

        def loss(**options):
            return reference.cross_entropy(row, label, **options).loss.value[0]

        quarter, three_quarters = mp.log(4), mp.log(4) - third  # -log p of each class
        weight = np.array([2.0, 5.0])
        assert close(loss(), quarter)
        assert close(loss(label_smoothing=0.5), (3 * quarter + three_quarters) / 4)
        assert close(loss(class_weight=weight), quarter)
        assert close(loss(class_weight=weight, reduction="sum"), 2 * quarter)
        assert close(loss(class_weight=weight, normalizer="count"), 2 * quarter)
        assert close(loss(sample_weight=np.array([3.0]), reduction="none"), 3 * quarter)
        assert close(loss(temperature=2.0), mp.log(1 + mp.sqrt(3)))
        assert close(loss(z_loss=0.5), quarter + mp.log(4) ** 2 / 2)
        assert close(loss(z_loss=0.5, class_weight=weight), (2 * quarter + mp.log(4) ** 2 / 2) / 2)
        assert close(loss(normalizer=8.0), quarter / 8)
        assert close(loss(where=np.array([[True, False]])), 0)
        assert close(loss(softcap=1.0), mp.log(1 + mp.exp(mp.tanh(third))))
        # the smoothed targets are (3/4, 1/4), then weighed 2 and 5; the mean divides by 2
        both = loss(label_smoothing=0.5, class_weight=weight)
        assert close(both, (2 * 3 * quarter + 5 * three_quarters) / 4 / 2)


def test_ignored_rows_and_empty_means():
    labels = np.array([-1, -1, -1])
    assert mp.isnan(reference.cross_entropy(LOGITS, labels, ignore_index=-1).loss.value[0])
    zero = reference.cross_entropy(LOGITS, labels, ignore_index=-1, empty="zero")
    assert zero.loss.value[0] == 0
    assert (zero.gradient.value == 0).all()
    one = reference.cross_entropy(LOGITS, np.array([-1, 2, -1]), ignore_index=-1)
    alone = reference.cross_entropy(LOGITS[1:2], np.array([2]))
    assert close(one.loss.value, alone.loss.value)


def test_labels_are_one_hot_targets_and_two_classes_one_logit():
    onehot = np.eye(4)[LABELS]
    for options in OPTIONS:
        by_label = reference.cross_entropy(LOGITS, LABELS, **options).loss.value
        assert close(by_label, reference.cross_entropy(LOGITS, onehot, **options).loss.value)
    one = reference.binary_cross_entropy(np.array([2.5]), np.array([1]))
    with mp.workdps(40):
        assert close(one.loss.value, mp.log1p(mp.exp(mp.mpf(-2.5))))
        assert close(one.gradient.value, -reference.sigmoid(np.array([-2.5])).value)


def test_many_classes_agree_with_the_whole_truth():
    rows = np.random.default_rng(5).standard_normal((2, 30))
    labels, entries = np.array([3, 4]), np.array([0, 3, 29])
    loss, gradient = reference.labelled_loss(rows, labels, entries)
    whole = reference.cross_entropy(rows, labels, reduction="none")
    assert close(loss.value, whole.loss.value)
    assert close(gradient.value, whole.gradient.value[:, entries])


@pytest.mark.parametrize("kind", ["additive", "radial"])
def test_network_gradients_are_central_differences(kind):
    rng = np.random.default_rng(4)
    arguments = {
        "inputs": rng.standard_normal((3, 2)),
        "centers": rng.standard_normal((2, 2)),
        "beta": 0.3 + rng.random(2),
        "weight": rng.standard_normal((3, 2)),
        "bias": rng.standard_normal(3),
    }
    target = np.array([[0.5, 0.5, 0], [0, 0, 1], [0.2, 0.3, 0.9]])
    truth = reference.network(**arguments, target=target, kind=kind)
    for name, array in arguments.items():

        def loss(moved, name=name):
            changed = arguments | {name: moved}
            return reference.network(**changed, target=target, kind=kind)["loss"].value[0]

        assert close(truth[name].value, all_differences(loss, array)), name


def test_features_by_hand():
    x, c, beta = np.array([[1.0, 3.0]]), np.array([[0.0, 1.0]]), np.array([0.5])
    with mp.workdps(40):
        additive, radial = mp.exp(mp.mpf(-0.5)) + mp.exp(mp.mpf(-2)), mp.exp(mp.mpf(-2.5))
        assert close(reference.gaussian_features(x, c, beta).value, additive)
        assert close(reference.gaussian_features(x, c, beta, "radial").value, radial)


def test_the_callers_precision_is_left_alone():
    import mpmath

    before = mpmath.mp.dps
    reference.softmax(np.array([[1e4, 0.0]]))
    assert mpmath.mp.dps == before
