"""Where not even one row of logits fits: the same numbers from blocks of classes."""

import re
import tracemalloc

import numpy as np
import pytest

import crossent as ce

RNG = np.random.default_rng(21)
N, D, K = 5, 3, 6000
X, W, B = RNG.normal(size=(N, D)), RNG.normal(size=(K, D)), RNG.normal(size=K)
X[1] *= 30  # a confident row
DX, DW, DB = RNG.normal(size=(N, D)), RNG.normal(size=(K, D)), RNG.normal(size=K)
LABELS = (X @ W.T + B).argmax(axis=1)
LABELS[2:] = RNG.integers(0, K, N - 2)
TARGETS = RNG.dirichlet(np.ones(K), N) * RNG.random((N, 1)) * 2
WHERE = RNG.random((N, K)) > 0.4
WHERE[np.arange(N), LABELS] = True
WHERE[3] = False
FEW = ce.TopKTargets(RNG.permuted(np.tile(np.arange(K), (N, 1)), axis=1)[:, :4],
                     np.full((N, 4), 0.2), tail="uniform")  # fmt: skip
BENT = {"temperature": 1.5, "softcap": 9.0, "z_loss": 0.01, "label_smoothing": 0.1}
PROBLEMS = {
    "labels": (LABELS, {}),
    "targets": (TARGETS, {}),
    "few targets": (FEW, {"label_smoothing": 0.2}),
    "bent labels": (LABELS, BENT | {"class_weight": RNG.random(K)}),
    "bent targets": (TARGETS, BENT | {"where": np.arange(K) < K, "reduction": "sum"}),
    "masked": (LABELS, BENT | {"where": WHERE, "normalizer": "count"}),
    "weighted": (LABELS, {"sample_weight": np.array([1, 0, 2, 0.5, 0]), "z_loss": 0.1}),
    "masked for all": (LABELS % 7, {"where": np.arange(K) < 9}),
    "nothing": (np.full(N, -1), {"ignore_index": -1, "empty": "zero"}),
}
CLOSE = {"rtol": 1e-11, "atol": 1e-13}


def least_of(call) -> int:
    """Return what the call says it needs at least."""
    with pytest.raises(ValueError, match=r"needs \d+ at least") as refused:
        call(workspace_bytes=1)
    return int(re.search(r"needs (\d+)", str(refused.value)).group(1))


def check(call) -> None:
    """Check that the least memory gives what much memory gives, and that twice the least does."""
    least = least_of(call)
    assert least < K * X.itemsize, "one row of logits would fit"
    expected = flat(call(workspace_bytes=None))
    for workspace in (least, 2 * least):
        for part, truth in zip(flat(call(workspace_bytes=workspace)), expected, strict=True):
            np.testing.assert_allclose(part, truth, **CLOSE)


def flat(result):
    """Return the arrays in tuples of tuples."""
    if not isinstance(result, tuple):
        return [] if result is None else [result]
    return [part for some in result for part in flat(some)]


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_function(name):
    target, options = PROBLEMS[name]
    tangents = ce.LinearGradients(DX, DW, DB)
    shared = {"bias": B, **options}
    check(lambda **w: ce.linear_cross_entropy(X, W, target, **shared, **w))
    check(lambda **w: ce.linear_cross_entropy_value_and_grad(X, W, target, **shared, **w))
    check(lambda **w: ce.linear_cross_entropy_jvp(X, W, target, tangents=tangents, **shared, **w))
    for gauss_newton in (False, True):
        check(lambda **w: ce.linear_cross_entropy_hvp(
            X, W, target, tangents=tangents, gauss_newton=gauss_newton, **shared, **w))  # noqa: B023 # fmt: skip


def test_each_row_with_a_cotangent():
    options = {"reduction": "none", "cotangent": RNG.normal(size=N), "softcap": 5.0}
    check(lambda **w: ce.linear_cross_entropy_value_and_grad(X, W, LABELS, **options, **w))
    for tangents in (ce.LinearGradients(DX, DW, None), ce.LinearGradients(None, DW, None)):
        for needs in (("weight",), ("inputs",), ("inputs", "weight")):
            check(lambda **w: ce.linear_cross_entropy_hvp(
                X, W, LABELS, tangents=tangents, needs=needs, **options, **w))  # noqa: B023 # fmt: skip


@pytest.mark.parametrize("logit", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("label", [7, 5999])
def test_what_a_row_does_with_an_odd_logit(logit, label):
    bias = B.copy()
    bias[5999] = logit
    for options in ({}, {"z_loss": 0.1, "label_smoothing": 0.1}):
        check(lambda **w: ce.linear_cross_entropy_value_and_grad(
            X, W, np.full(N, label), bias=bias, reduction="none", cotangent=np.ones(N),
            needs=("bias",), **options, **w))  # noqa: B023 # fmt: skip


def test_no_class_has_a_logit():
    bias = np.full(K, -np.inf)
    loss = ce.linear_cross_entropy(
        X, W, LABELS, bias=bias, reduction="none", workspace_bytes=49_000
    )
    assert np.isnan(loss).all()


def test_a_confident_row_keeps_its_digits():
    x, w = np.array([[20.0]], "f4"), np.zeros((20_000, 1), "f4")
    w[0] = 1
    whole = ce.linear_cross_entropy_value_and_grad(x, w, [0])
    parts = ce.linear_cross_entropy_value_and_grad(x, w, [0], workspace_bytes=60_000)
    assert 0 < parts[0] == whole[0]
    np.testing.assert_allclose(parts[1].weight, whole[1].weight, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_narrow_numbers(dtype):
    x, w = (a.astype(dtype) for a in (X / 8, W))
    tangents = ce.LinearGradients(None, DW.astype(dtype), None)
    for call in (
        lambda **o: ce.linear_cross_entropy_value_and_grad(x, w, LABELS, **o),
        lambda **o: ce.linear_cross_entropy_hvp(x, w, LABELS, tangents=tangents, **o),
    ):
        expected = flat(call(workspace_bytes=None))
        for part, truth in zip(flat(call(workspace_bytes=least_of(call))), expected, strict=True):
            assert part.dtype == truth.dtype
            unit = max(np.finfo(part.dtype).eps, 2.0**-21)
            np.testing.assert_allclose(part, truth, rtol=unit, atol=5e-6)


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("times", [1, 4])
def test_memory_keeps_to_the_workspace(name, times):
    target, options = PROBLEMS[name]

    def call(**workspace):
        return ce.linear_cross_entropy_value_and_grad(X, W, target, bias=B, **options, **workspace)

    workspace = times * least_of(call)
    results = X.nbytes + W.nbytes + B.nbytes
    call(workspace_bytes=workspace)
    tracemalloc.start()
    call(workspace_bytes=workspace)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    objects = 12 << 10  # what Python and NumPy keep of small arrays beside their numbers
    formulas = 0 if ce.build_info()["kernels"] == "native" else 16 * 8 * max(K, 1 << 14)
    assert peak <= results + workspace + formulas + objects, peak - results
