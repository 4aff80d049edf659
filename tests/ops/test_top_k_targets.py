"""Targets of a few classes a row: the same as the dense targets they stand for, without these."""

import tracemalloc

import numpy as np
import pytest

import crossent as ce

RNG = np.random.default_rng(23)
N, D, K, M = 37, 5, 13, 4
X, W, B = RNG.normal(size=(N, D)), RNG.normal(size=(K, D)), RNG.normal(size=K)
Z = X @ W.T + B
INDICES = np.argsort(RNG.random((N, K)), axis=1)[:, :M]
OWN = RNG.dirichlet(np.ones(M + 1), N)[:, :M]
COLUMNS = np.ones(K, bool)
COLUMNS[[2, 7]] = False
ROWS = RNG.random((N, K)) > 0.3
ROWS[3] = False
ROWS[4] = False
np.put_along_axis(ROWS[4:], INDICES[4:, :1], True, axis=1)
ALONE = np.zeros(N, bool)  # rows whose own classes are the only ones there
ALONE[4] = True
OPTIONS = {
    "plain": {},
    "smoothing": {"label_smoothing": 0.1},
    "class weights": {"class_weight": RNG.random(K)},
    "sample weights": {"sample_weight": RNG.random(N) * (np.arange(N) % 3 > 0)},
    "z-loss": {"z_loss": 0.01},
    "columns": {"where": COLUMNS},
    "masks of rows": {"where": ROWS, "normalizer": "count"},
    "all": {
        "class_weight": RNG.random(K),
        "sample_weight": RNG.random(N) * (np.arange(N) % 3 > 0),
        "label_smoothing": 0.1,
        "temperature": 1.5,
        "softcap": 4.0,
        "z_loss": 0.01,
        "where": ROWS,
    },
}


def own_probabilities(where, tail):
    """Return probabilities with none on a class that is masked, and all where no other is left."""
    kept = np.ones((N, K), bool) if where is None else np.broadcast_to(where, (N, K))
    own = OWN * np.take_along_axis(kept, INDICES, axis=1)
    if tail == "uniform" and where is ROWS:
        own[4] = [1.0, 0.0, 0.0, 0.0]
    return own, kept


def dense_targets(indices, own, kept, tail):
    """Return the targets (N, K), row by row as the docstring says."""
    targets = np.zeros((len(indices), K))
    for row, (classes, values) in enumerate(zip(indices, own, strict=True)):
        others = [k for k in range(K) if k not in classes and kept[row, k]]
        if tail == "uniform" and others:
            targets[row, others] = (1.0 - values.sum()) / len(others)
        targets[row, classes] = values
    return targets


@pytest.mark.parametrize("tail", ["zero", "uniform"])
@pytest.mark.parametrize("name", OPTIONS)
def test_equals_the_dense_targets(name, tail):
    options = OPTIONS[name]
    own, kept = own_probabilities(options.get("where"), tail)
    dense = dense_targets(INDICES, own, kept, tail)
    target = ce.TopKTargets(INDICES, own, tail)
    loss, g = ce.cross_entropy_value_and_grad(Z, dense, **options)
    result, gradient = ce.cross_entropy_value_and_grad(Z, target, **options)
    np.testing.assert_allclose(result, loss, rtol=1e-13)
    np.testing.assert_allclose(gradient, g, rtol=0, atol=1e-15)
    tangent = RNG.normal(size=Z.shape)
    for function in (ce.cross_entropy_jvp, ce.cross_entropy_hvp):
        np.testing.assert_allclose(
            function(Z, target, tangent, **options),
            function(Z, dense, tangent, **options),
            rtol=0, atol=1e-14,
        )  # fmt: skip
    for workspace in (None, 1200):
        result, gradients = ce.linear_cross_entropy_value_and_grad(
            X, W, target, bias=B, workspace_bytes=workspace, **options
        )
        np.testing.assert_allclose(result, loss, rtol=1e-13)
        np.testing.assert_allclose(gradients.inputs, g @ W, rtol=0, atol=1e-14)
        np.testing.assert_allclose(gradients.weight, g.T @ X, rtol=0, atol=1e-14)
        np.testing.assert_allclose(gradients.bias, g.sum(axis=0), rtol=0, atol=1e-14)
        along = {
            "bias": B,
            "tangents": ce.LinearGradients(np.cos(X), np.cos(W), np.cos(B)),
            "workspace_bytes": workspace,
        }
        for function in (ce.linear_cross_entropy_jvp, ce.linear_cross_entropy_hvp):
            found, due = (function(X, W, truth, **along, **options) for truth in (target, dense))
            for a, b in zip(found, due, strict=True):
                np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("tail", ["zero", "uniform"])
def test_narrow_probabilities_and_logits(dtype, tail):
    own = OWN.astype(dtype)
    dense = dense_targets(INDICES, own.astype(float), np.ones((N, K), bool), tail)
    loss, g = ce.cross_entropy_value_and_grad(Z.astype("f4"), dense.astype("f4"))
    result, gradient = ce.cross_entropy_value_and_grad(
        Z.astype("f4"), ce.TopKTargets(INDICES.astype("i2"), own, tail)
    )
    assert result == pytest.approx(loss, rel=1e-7)
    np.testing.assert_allclose(gradient, g, rtol=0, atol=1e-9)


def test_any_class_axis_and_batch_axes():
    z = RNG.normal(size=(3, K, 4))
    indices = np.argsort(RNG.random((3, 4, K)), axis=2)[..., :M]
    own = RNG.dirichlet(np.ones(M), (3, 4)) / 2
    target = ce.TopKTargets(indices, own, "uniform")
    kept = np.ones((12, K), bool)
    dense = dense_targets(indices.reshape(12, M), own.reshape(12, M), kept, "uniform")
    dense = np.moveaxis(dense.reshape(3, 4, K), -1, 1)
    losses = ce.cross_entropy(z, target, axis=1, reduction="none")
    np.testing.assert_allclose(
        losses, ce.cross_entropy(z, dense, axis=1, reduction="none"), rtol=1e-14
    )


def test_every_class_may_be_named_and_none():
    all_classes = np.argsort(RNG.random((N, K)), axis=1)
    p = RNG.dirichlet(np.ones(K), N).astype("f4")  # sums to 1 only nearly
    dense = np.zeros((N, K))
    np.put_along_axis(dense, all_classes, p.astype(float), axis=1)
    for tail in ("zero", "uniform"):
        loss = ce.cross_entropy(Z, ce.TopKTargets(all_classes, p, tail))
        np.testing.assert_allclose(loss, ce.cross_entropy(Z, dense), rtol=1e-14)
    nothing = ce.TopKTargets(np.zeros((N, 0), int), np.zeros((N, 0)), "uniform")
    uniform = ce.cross_entropy(Z, np.full((N, K), 1 / K))
    np.testing.assert_allclose(ce.cross_entropy(Z, nothing), uniform, rtol=1e-14)


def test_a_label_is_a_target_of_one_class():
    labels = RNG.integers(K, size=N)
    target = ce.TopKTargets(labels[:, None], np.ones((N, 1)))
    expected = ce.cross_entropy_value_and_grad(Z, labels)
    result = ce.cross_entropy_value_and_grad(Z, target)
    np.testing.assert_allclose(result[0], expected[0], rtol=1e-14)
    np.testing.assert_allclose(result[1], expected[1], rtol=0, atol=1e-16)


@pytest.mark.parametrize("tail", ["zero", "uniform"])
def test_no_dense_targets_are_made_by_the_linear_functions(tail):
    n, k, m = 4000, 3000, 8  # 96 MB of float64 targets
    x, w = RNG.normal(size=(n, 3)), RNG.normal(size=(k, 3))
    target = ce.TopKTargets(
        RNG.integers(k // m, size=(n, m)) + k // m * np.arange(m), np.full((n, m), 0.1), tail
    )
    options = {"class_weight": np.ones(k), "where": RNG.random((n, k)) > -1}
    workspace = 1 << 20
    tracemalloc.start()
    ce.linear_cross_entropy_value_and_grad(x, w, target, workspace_bytes=workspace, **options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    formulas = 0 if ce.build_info()["kernels"] == "native" else 16 * 8 * max(k, 1 << 14)
    of_rows = 12 * 8 * n * m  # the checks hold a few numbers for each that is given
    assert peak <= x.nbytes + w.nbytes + 2 * workspace + of_rows + formulas


def call(indices=((0, 1),) * 3, p=((0.25, 0.25),) * 3, tail="zero", **options):
    return ce.cross_entropy(np.zeros((3, 4)), ce.TopKTargets(indices, p, tail), **options)


TWO = [True, True, False, False]
ERRORS = [
    ("above", lambda: call([[0, 1], [2, 12], [1, 0]]), ValueError,
     r"indices\[1, 1\] is 12, but there are 4 classes \(0 ... 3\)"),
    ("below", lambda: call([[0, 1], [2, 1], [-1, 0]]), ValueError, r"indices\[2, 0\] is -1, but"),
    ("float", lambda: call([[0.0, 1.0]] * 3), TypeError, "indices must be integers"),
    ("twice", lambda: call([[0, 1], [2, 2], [1, 0]]), ValueError, "of row 1 name class 2 twice"),
    ("rows", lambda: call([[0, 1]]), ValueError, r"the logits ask for \(3, m\)"),
    ("shape", lambda: call([[0], [1], [2]]), ValueError, "expected .* for indices"),
    ("negative", lambda: call(p=[[0.1, 0.2], [0.5, -0.5], [0, 0]]), ValueError,
     r"probabilities\[1, 1\] is -0.5: they must be finite"),
    ("nan", lambda: call(p=[[0.1, np.nan]] * 3), ValueError, r"probabilities\[0, 1\] is nan"),
    ("text", lambda: call(p=[["a", "b"]] * 3), TypeError, "probabilities must hold real numbers"),
    ("tail", lambda: call(tail="even"), ValueError, "tail must be one of 'zero', 'uniform'"),
    ("mass", lambda: call(p=[[0.5, 0.5], [0.7, 0.5], [0, 0]], tail="uniform"), ValueError,
     "probabilities of row 1 sum to 1.2, which is more than 1"),
    ("masked", lambda: call([[0, 1], [0, 2], [0, 1]], where=TWO), ValueError,
     "targets of row 1 have mass on a class that `where` masks"),
    ("no other", lambda: call(tail="uniform", where=TWO), ValueError,
     "targets of row 0 leave 0.5 to the other classes, but there is none"),
    ("ignored", lambda: call(ignore_index=0), ValueError, "belongs to integer labels"),
    ("binary", lambda: ce.binary_cross_entropy([0.0], ce.TopKTargets([[0]], [[1.0]])), TypeError,
     "one logit a row has none"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "text"), [e[1:] for e in ERRORS],
                         ids=[e[0] for e in ERRORS])  # fmt: skip
def test_errors_say_what_to_do(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_absent_rows_need_no_place_for_their_tail():
    weight = [0.0, 0.0, 0.0]
    assert call(tail="uniform", where=TWO, sample_weight=weight, empty="zero") == 0.0
