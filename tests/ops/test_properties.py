"""What must hold for any logits: properties with hypothesis, the same examples in every run."""

import functools

import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

import crossent as ce

EPS = 2.0**-52
FEW = settings(max_examples=40, derandomize=True, database=None, deadline=None)


def numbers(bound=30.0):
    return st.floats(-bound, bound, width=32)


@st.composite
def rows(draw, least_rows=1, least_classes=1, bound=30.0):
    shape = (draw(st.integers(least_rows, 5)), draw(st.integers(least_classes, 20)))
    return draw(npst.arrays(np.float64, shape, elements=numbers(bound)))


@st.composite
def problems(draw, curved=True, targets=None, masked=False):
    """Logits, a target and options of the cross-entropy."""
    z = draw(rows(bound=10.0))
    m, k = z.shape
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    target = rng.integers(0, k, m)
    if draw(st.booleans()) if targets is None else targets:
        target = rng.gamma(1.0, size=(m, k)) * (rng.random((m, k)) < 0.7)
    options = {"reduction": draw(st.sampled_from(["mean", "sum"]))}
    if draw(st.booleans()):
        options["class_weight"] = rng.random(k) + 0.1
    if draw(st.booleans()):
        options["sample_weight"] = rng.random(m) + 0.1
    if draw(st.booleans()):
        options["label_smoothing"] = 0.2
    options["temperature"] = draw(st.sampled_from([1.0, 0.5, 3.0]))
    if curved:
        options["softcap"] = draw(st.sampled_from([None, 5.0]))
        options["z_loss"] = draw(st.sampled_from([0.0, 0.1]))
    if masked:
        options["where"] = rng.random((m, k)) < 0.7
        options["where"][np.arange(m), 0] = True
        target = np.zeros(m, int) if target.ndim == 1 else target * options["where"]
    return z, target, options, rng


def close(left, right, scale=1.0, ulps=64):
    np.testing.assert_allclose(left, right, rtol=ulps * EPS, atol=ulps * EPS * scale)


def bits(array):
    return np.ascontiguousarray(array).tobytes()


# ---------------------------------------------------------------- the softmax family


@FEW
@given(rows(), st.integers(-60, 60))
def test_softmax_is_invariant_to_a_shift(z, shift):
    exact = np.round(z * 64) / 64  # so that adding the shift is exact
    close(ce.softmax(exact + shift), ce.softmax(exact))
    close(ce.log_softmax(exact + shift), ce.log_softmax(exact), scale=60)
    close(ce.logsumexp(exact + shift), ce.logsumexp(exact) + shift, scale=60)


@FEW
@given(rows(bound=1000.0))
def test_probabilities_are_probabilities(z):
    p = ce.softmax(z)
    assert ((p >= 0) & (p <= 1)).all()
    close(p.sum(axis=1), 1.0)
    assert (ce.log_softmax(z) <= 0).all()
    assert (ce.logsumexp(z) >= z.max(axis=1)).all()
    close(np.exp(ce.log_softmax(z)), p, ulps=2048)


@FEW
@given(rows(), st.integers(0, 2**32 - 1))
def test_vjp_is_the_transpose_of_jvp(z, seed):
    v, w = np.random.default_rng(seed).standard_normal((2, *z.shape))
    p, q = ce.softmax(z), ce.log_softmax(z)
    size = np.abs(v).sum() * np.abs(w).sum()
    close(np.sum(w * ce.softmax_jvp(p, v)), np.sum(ce.softmax_vjp(p, w) * v), size)
    close(np.sum(w * ce.log_softmax_jvp(q, v)), np.sum(ce.log_softmax_vjp(q, w) * v), size)
    one = w[:, 0]
    close(np.sum(one * ce.logsumexp_jvp(z, v)), np.sum(ce.logsumexp_vjp(z, one) * v), size)
    jacobian = ce.softmax_jacobian(p)
    close(np.einsum("ikj,ij->ik", jacobian, v), ce.softmax_jvp(p, v), np.abs(v).max())
    jacobian = ce.log_softmax_jacobian(q)
    close(np.einsum("ikj,ij->ik", jacobian, v), ce.log_softmax_jvp(q, v), np.abs(v).sum())


@FEW
@given(rows(), st.randoms(use_true_random=False))
def test_permuted_classes_give_permuted_results(z, random):
    order = list(range(z.shape[1]))
    random.shuffle(order)
    close(ce.softmax(z[:, order]), ce.softmax(z)[:, order])
    close(ce.log_softmax(z[:, order]), ce.log_softmax(z)[:, order])
    close(ce.logsumexp(z[:, order]), ce.logsumexp(z), np.abs(z).max())


@FEW
@given(rows(least_classes=2), st.integers(0, 2**32 - 1))
def test_masked_is_removed(z, seed):
    keep = np.random.default_rng(seed).random(z.shape[1]) < 0.6
    keep[0] = True
    where = np.broadcast_to(keep, z.shape)
    close(ce.softmax(z, where=where)[:, keep], ce.softmax(z[:, keep]))
    assert (ce.softmax(z, where=where)[:, ~keep] == 0).all()
    close(ce.log_softmax(z, where=where)[:, keep], ce.log_softmax(z[:, keep]))
    close(ce.logsumexp(z, where=where), ce.logsumexp(z[:, keep]), np.abs(z).max())


@FEW
@given(rows(least_rows=2), st.sampled_from(["float16", "float32", "float64"]))
def test_other_rows_never_change_a_rows_bits(z, dtype):
    z = z.astype(dtype)
    v = z[::-1].copy()
    labels = np.arange(len(z)) % z.shape[1]
    loss = functools.partial(ce.cross_entropy_value_and_grad, reduction="none", z_loss=0.1)
    p, q = ce.softmax(z), ce.log_softmax(z)
    whole = (
        p, q, ce.logsumexp(z), ce.softmax_vjp(p, v), ce.log_softmax_vjp(q, v),
        ce.log_softmax_jvp(q, v), ce.logsumexp_vjp(z, v[:, 0]), ce.logsumexp_jvp(z, v),
        *loss(z, labels), ce.cross_entropy_hvp(z, labels, v, reduction="none"),
    )  # fmt: skip
    for i in range(len(z)):
        one = slice(i, i + 1)
        alone = (
            ce.softmax(z[one]), ce.log_softmax(z[one]), ce.logsumexp(z[one]),
            ce.softmax_vjp(p[one], v[one]), ce.log_softmax_vjp(q[one], v[one]),
            ce.log_softmax_jvp(q[one], v[one]), ce.logsumexp_vjp(z[one], v[one, 0]),
            ce.logsumexp_jvp(z[one], v[one]), *loss(z[one], labels[one]),
            ce.cross_entropy_hvp(z[one], labels[one], v[one], reduction="none"),
        )  # fmt: skip
        for together, single in zip(whole, alone, strict=True):
            assert bits(together[one]) == bits(single)


def test_a_row_has_the_same_bits_wherever_it_stands():
    """Long batches, where rows are split over vectors, blocks and threads."""
    rng = np.random.default_rng(0)
    for k in (1, 2, 3, 7, 10, 16, 17, 33, 100, 1000):
        for dtype in (np.float16, np.float32, np.float64):
            row = rng.standard_normal((1, k)).astype(dtype)
            many = np.repeat(row, 40_000 // k + 3, axis=0)
            for function in (ce.softmax, ce.log_softmax, ce.logsumexp):
                alone = bits(function(row))
                assert bits(function(many)) == alone * len(many)
            labels = np.full(len(many), k // 2)
            loss, gradient = ce.cross_entropy_value_and_grad(many, labels, reduction="none")
            one, slope = ce.cross_entropy_value_and_grad(row, labels[:1], reduction="none")
            assert bits(loss) == bits(one) * len(many)
            assert bits(gradient) == bits(slope) * len(many)


# ---------------------------------------------------------------- the loss


@FEW
@given(problems(targets=False))
def test_labels_are_one_hot_targets(problem):
    z, labels, options, rng = problem
    onehot = np.eye(z.shape[1])[labels]
    v = rng.standard_normal(z.shape)
    for function, more in (
        (ce.cross_entropy_value_and_grad, ()),
        (ce.cross_entropy_jvp, (v,)),
    ):
        for left, right in zip(
            function(z, labels, *more, **options),
            function(z, onehot, *more, **options),
            strict=True,
        ):
            close(left, right, scale=10, ulps=256)
    close(
        ce.cross_entropy_hvp(z, labels, v, **options),
        ce.cross_entropy_hvp(z, onehot, v, **options),
        scale=10,
        ulps=256,
    )


@FEW
@given(problems())
def test_hvp_is_symmetric_and_jvp_is_the_gradients_product(problem):
    z, target, options, rng = problem
    u, v = rng.standard_normal((2, *z.shape))
    loss, gradient = ce.cross_entropy_value_and_grad(z, target, **options)
    again, slope = ce.cross_entropy_jvp(z, target, v, **options)
    size = 1 + np.abs(gradient * v).sum()
    close(again, loss, abs(loss), ulps=8)  # kernels of their own, with roundings of their own
    close(slope, np.sum(gradient * v), size, ulps=512)
    hu, hv = (ce.cross_entropy_hvp(z, target, x, **options) for x in (u, v))
    size = 1 + np.abs(u * hv).sum() + np.abs(v * hu).sum()
    close(np.sum(u * hv), np.sum(v * hu), size, ulps=512)


def rounding(terms, squares):
    """What a sum of terms may be off by; where one class is there, each is what rounding leaves."""
    return 1e-12 * np.abs(terms).sum() + 1e-28 * squares.sum()


@FEW
@given(problems(curved=False))
def test_hvp_is_positive_semidefinite_without_softcap_and_z_loss(problem):
    z, target, options, rng = problem
    v = rng.standard_normal(z.shape)
    product = ce.cross_entropy_hvp(z, target, v, **options)
    assert np.sum(v * product) >= -rounding(v * product, v * v)
    newton = ce.cross_entropy_hvp(z, target, v, gauss_newton=True, **options)
    close(product, newton, scale=1.0)
    constant = ce.cross_entropy_hvp(z, target, np.ones(z.shape), **options)
    close(constant, 0.0, scale=100)


@FEW
@given(problems())
def test_gauss_newton_is_positive_semidefinite_always(problem):
    z, target, options, rng = problem
    v = rng.standard_normal(z.shape)
    product = ce.cross_entropy_hvp(z, target, v, gauss_newton=True, **options)
    assert np.sum(v * product) >= -rounding(v * product, v * v)


@FEW
@given(problems(masked=True))
def test_masked_classes_neither_matter_nor_move(problem):
    z, target, options, rng = problem
    where = options["where"]
    spoilt = np.where(where, z, np.nan)
    v = rng.standard_normal(z.shape)
    loss, gradient = ce.cross_entropy_value_and_grad(z, target, **options)
    again, same = ce.cross_entropy_value_and_grad(spoilt, target, **options)
    assert loss == again
    assert bits(gradient) == bits(same)
    assert (gradient[~where] == 0).all()
    hvp = ce.cross_entropy_hvp(z, target, v, **options)
    spoilt_v = np.where(where, v, np.nan)
    assert bits(hvp) == bits(ce.cross_entropy_hvp(spoilt, target, spoilt_v, **options))


@FEW
@given(problems(curved=False))
def test_without_z_loss_the_gradient_rows_sum_to_zero(problem):
    z, target, options, _ = problem
    _, gradient = ce.cross_entropy_value_and_grad(z, target, **options)
    close(gradient.sum(axis=1), 0.0, scale=10)


@FEW
@given(problems())
def test_rows_add_up_to_the_sum_and_the_mean(problem):
    z, target, options, _ = problem
    options = {name: value for name, value in options.items() if name != "reduction"}
    each = ce.cross_entropy(z, target, reduction="none", **options)
    close(ce.cross_entropy(z, target, reduction="sum", **options), each.sum(), ulps=256)
    mean = ce.cross_entropy(z, target, normalizer="count", **options)
    close(mean, each.sum() / len(z), ulps=256)


@FEW
@given(npst.arrays(np.float64, st.integers(1, 9), elements=numbers(500.0)), st.data())
def test_two_classes_are_one_logit(u, data):
    labels = data.draw(npst.arrays(np.int64, u.shape, elements=st.integers(0, 1)))
    options = {
        "label_smoothing": data.draw(st.sampled_from([0.0, 0.3])),
        "temperature": data.draw(st.sampled_from([1.0, 2.0])),
        "class_weight": data.draw(st.sampled_from([None, [0.5, 2.0]])),
    }
    pairs = np.stack([np.zeros_like(u), u], axis=1)
    two, slopes = ce.cross_entropy_value_and_grad(pairs, labels, **options)
    one, slope = ce.binary_cross_entropy_value_and_grad(u, labels, **options)
    close(one, two, scale=0)
    close(slope, slopes[:, 1], scale=1e-300)
    close(ce.sigmoid(u), ce.softmax(pairs)[:, 1], scale=0, ulps=1024)


@FEW
@given(problems(), st.integers(1, 4))
def test_the_linear_layer_is_the_loss_of_its_logits(problem, n_features):
    z, target, options, rng = problem
    inputs = rng.standard_normal((len(z), n_features))
    weight = rng.standard_normal((z.shape[1], n_features))
    bias = rng.standard_normal(z.shape[1])
    logits = inputs @ weight.T + bias
    loss, gradient = ce.cross_entropy_value_and_grad(logits, target, **options)
    fused, gradients = ce.linear_cross_entropy_value_and_grad(
        inputs, weight, target, bias=bias, **options
    )
    close(fused, loss, scale=10, ulps=1024)
    close(gradients.inputs, gradient @ weight, scale=10, ulps=1024)
    close(gradients.weight, gradient.T @ inputs, scale=10, ulps=1024)
    close(gradients.bias, gradient.sum(axis=0), scale=10, ulps=1024)
    close(ce.linear_cross_entropy(inputs, weight, target, bias=bias, **options), fused, ulps=1)


@FEW
@given(rows(bound=3.0), st.sampled_from(["additive", "radial"]), st.integers(0, 2**32 - 1))
def test_features_see_only_differences(x, kind, seed):
    rng = np.random.default_rng(seed)
    x = np.round(x * 256) / 256
    centers = np.round(rng.standard_normal((4, x.shape[1])) * 256) / 256
    beta = rng.random(4) + 0.1
    h = rng.standard_normal((len(x), 4))
    phi = ce.gaussian_features(x, centers, beta, kind=kind)
    close(ce.gaussian_features(x + 8, centers + 8, beta, kind=kind), phi)
    assert ((phi >= 0) & (phi <= (1 if kind == "radial" else x.shape[1]))).all()
    gradients = ce.gaussian_features_vjp(x, centers, beta, h, kind=kind)
    size = np.abs(h).sum() * 10
    close(gradients.inputs.sum(axis=0), -gradients.centers.sum(axis=0), scale=size)
