"""The linear layer fused with the loss: the same numbers as with logits, in bounded memory."""

import tracemalloc

import numpy as np
import pytest

import crossent as ce
from crossent.ops._linear import _hvp, _jvp, _problem, _value_and_grad
from tests.ops.linear_options import LABELS, OPTIONS, RNG, TARGETS, B, D, K, N, W, X


@pytest.mark.parametrize("workspace", [None, 4096, 1200])
@pytest.mark.parametrize("bias", [B, None])
@pytest.mark.parametrize("name", OPTIONS)
def test_equals_the_loss_of_the_logits(name, bias, workspace):
    target, options = OPTIONS[name]
    logits = X @ W.T + (0.0 if bias is None else bias)
    loss, g = ce.cross_entropy_value_and_grad(logits, target, **options)
    call = {"bias": bias, "workspace_bytes": workspace, **options}
    result, gradients = ce.linear_cross_entropy_value_and_grad(X, W, target, **call)
    np.testing.assert_allclose(result, loss, rtol=1e-14)
    np.testing.assert_allclose(ce.linear_cross_entropy(X, W, target, **call), loss, rtol=1e-14)
    np.testing.assert_allclose(gradients.inputs, g @ W, rtol=0, atol=1e-14)
    np.testing.assert_allclose(gradients.weight, g.T @ X, rtol=0, atol=1e-14)
    if bias is None:
        assert gradients.bias is None
    else:
        np.testing.assert_allclose(gradients.bias, g.sum(axis=0), rtol=0, atol=1e-14)


@pytest.mark.parametrize("workspace", [None, 1200])
def test_losses_of_rows_with_a_cotangent_of_any_sign(workspace):
    v = RNG.normal(size=N)
    losses, g = ce.cross_entropy_value_and_grad(X @ W.T, LABELS, reduction="none")
    result, gradients = ce.linear_cross_entropy_value_and_grad(
        X, W, LABELS, reduction="none", cotangent=v, workspace_bytes=workspace
    )
    np.testing.assert_allclose(result, losses, rtol=1e-13)
    np.testing.assert_allclose(gradients.weight, (g * v[:, None]).T @ X, rtol=0, atol=1e-13)
    np.testing.assert_allclose(gradients.inputs, (g * v[:, None]) @ W, rtol=0, atol=1e-13)


def test_needs_picks():
    full = ce.linear_cross_entropy_value_and_grad(X, W, LABELS, bias=B)[1]
    for name in full._fields:
        picked = ce.linear_cross_entropy_value_and_grad(X, W, LABELS, bias=B, needs=(name,))[1]
        for other in full._fields:
            if other == name:
                np.testing.assert_array_equal(getattr(picked, other), getattr(full, other))
            else:
                assert getattr(picked, other) is None


def test_batch_dimensions():
    inputs, labels = X[:36].reshape(4, 9, D), LABELS[:36].reshape(4, 9)
    loss, gradients = ce.linear_cross_entropy_value_and_grad(inputs, W, labels)
    flat_loss, flat = ce.linear_cross_entropy_value_and_grad(X[:36], W, LABELS[:36])
    assert loss == flat_loss
    np.testing.assert_array_equal(gradients.inputs, flat.inputs.reshape(4, 9, D))
    losses = ce.linear_cross_entropy(inputs, W, labels, reduction="none")
    assert losses.shape == (4, 9)


@pytest.mark.parametrize("dtype", ["float16", "float32", "bfloat16"])
def test_narrow_inputs_accumulate_in_float32(dtype):
    if dtype == "bfloat16":
        ml_dtypes = pytest.importorskip("ml_dtypes")
        dtype = ml_dtypes.bfloat16
    x, w, b = X.astype(dtype), W.astype(dtype), B.astype(dtype)
    exact, expected = ce.linear_cross_entropy_value_and_grad(
        *(a.astype(float) for a in (x, w)), LABELS, bias=b.astype(float)
    )
    loss, gradients = ce.linear_cross_entropy_value_and_grad(
        x, w, LABELS, bias=b, workspace_bytes=4096
    )
    assert loss.dtype == np.float32
    np.testing.assert_allclose(loss, exact, rtol=1e-6)
    tolerance = float(np.finfo("f4").eps if x.dtype == np.float32 else ce_eps(x.dtype))
    for result, truth in zip(gradients, expected, strict=True):
        assert result.dtype == x.dtype
        np.testing.assert_allclose(result.astype(float), truth, rtol=tolerance, atol=2e-7)


def ce_eps(dtype):
    return 2.0**-10 if dtype == np.float16 else 2.0**-7


@pytest.mark.parametrize("workspace", [1 << 20, 4 << 20])
def test_memory_keeps_to_the_workspace(workspace):
    n, d, k = 3000, 20, 10_000  # 240 MB of float64 logits
    x, w = RNG.normal(size=(n, d)), RNG.normal(size=(k, d))
    labels = RNG.integers(0, k, n)
    results = x.nbytes + w.nbytes + labels.nbytes
    tracemalloc.start()
    ce.linear_cross_entropy_value_and_grad(x, w, labels, workspace_bytes=workspace)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    formulas = 0 if ce.build_info()["kernels"] == "native" else 16 * 8 * max(k, 1 << 14)
    assert peak <= results + workspace + formulas + (1 << 16)


@pytest.mark.parametrize("workspace", [None, 1200])
def test_absent_rows_may_hold_anything(workspace):
    x, labels = X.copy(), LABELS.copy()
    x[[3, 8]] = np.nan
    labels[[3, 8]] = -1
    present = labels >= 0
    v = np.where(present, 1.0, np.nan)
    for options in ({}, {"reduction": "none", "cotangent": v}):
        _, gradients = ce.linear_cross_entropy_value_and_grad(
            x, W, labels, bias=B, ignore_index=-1, workspace_bytes=workspace, **options
        )
        options = {**options, "cotangent": v[present]} if options else {}
        _, expected = ce.linear_cross_entropy_value_and_grad(
            x[present], W, labels[present], bias=B, **options
        )
        np.testing.assert_allclose(gradients.weight, expected.weight, rtol=0, atol=1e-14)
        np.testing.assert_allclose(gradients.bias, expected.bias, rtol=0, atol=1e-14)
        assert not gradients.inputs[~present].any()


@pytest.mark.parametrize(("k", "d"), [(1, 1), (3, 0), (1, 0), (1, 3), (2, 1)])
def test_layers_of_the_smallest_size(k, d):
    x, w = RNG.normal(size=(2000, d)), RNG.normal(size=(k, d))
    labels = RNG.integers(0, k, 2000)
    _, whole = ce.linear_cross_entropy_value_and_grad(x, w, labels, z_loss=0.1)
    _, blocks = ce.linear_cross_entropy_value_and_grad(
        x, w, labels, z_loss=0.1, workspace_bytes=4096
    )
    np.testing.assert_allclose(blocks.weight, whole.weight, rtol=1e-12)
    assert whole.weight.any() == (d > 0)


@pytest.mark.parametrize("dtype", ["int8", "float32", "float64"])
def test_targets_and_masks_are_converted_block_by_block(dtype):
    n, k = 4000, 1000
    x, w = RNG.normal(size=(n, 3)).astype("f4"), RNG.normal(size=(k, 3)).astype("f4")
    targets = np.zeros((n, k), dtype)
    targets[np.arange(n), RNG.integers(0, k - 1, n)] = 1
    where = np.ones((1, k), bool)
    where[0, -1] = False
    workspace = 1 << 20
    tracemalloc.start()
    ce.linear_cross_entropy_value_and_grad(x, w, targets, where=where, workspace_bytes=workspace)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    formulas = 0 if ce.build_info()["kernels"] == "native" else 16 * 8 * max(k, 1 << 14)
    assert peak <= x.nbytes + w.nbytes + 2 * workspace + formulas + (1 << 16)


@pytest.mark.skipif(ce.build_info()["kernels"] == "numpy", reason="a BLAS has an order of its own")
@pytest.mark.parametrize("shape", [(300, 20, 5), (300, 40, 100), (300, 64, 900), (300, 300, 40)])
def test_a_row_has_the_same_bits_among_any_others(shape):
    n, d, k = shape
    x, w, b = (RNG.normal(size=size).astype(np.float32) for size in ((n, d), (k, d), k))
    labels, options = RNG.integers(0, k, n), {"bias": b, "reduction": "sum"}
    losses = ce.linear_cross_entropy(x, w, labels, bias=b, reduction="none")
    _, every = ce.linear_cross_entropy_value_and_grad(x, w, labels, **options)
    for rows in (slice(7, 290), slice(40, 51), slice(3, 4)):
        given = x[rows], w, labels[rows]
        some = ce.linear_cross_entropy(*given, bias=b, reduction="none")
        np.testing.assert_array_equal(some, losses[rows])
        _, found = ce.linear_cross_entropy_value_and_grad(*given, **options)
        np.testing.assert_array_equal(found.inputs, every.inputs[rows])


@pytest.mark.parametrize("workspace", [None, 1200])
@pytest.mark.parametrize("target", [LABELS, TARGETS])
def test_absent_rows_cost_no_product(target, workspace):
    rows = []

    def counted(a, b, out):
        if b.shape == (D, K):
            rows.append(len(a))
        np.matmul(a, b, out=out)

    weights = np.where(np.arange(N) % 4 == 1, 0.5, 0.0)
    options = {"sample_weight": weights, "reduction": "sum"}
    problem = _problem.linear_problem(X, W, target, B, workspace, options, counted)
    loss, found = _value_and_grad.value_and_grad(problem, ("inputs", "weight", "bias"), None)
    assert sum(rows) == np.count_nonzero(weights)
    some = weights > 0
    expected = ce.linear_cross_entropy_value_and_grad(
        X[some], W, target[some], bias=B, reduction="sum"
    )
    np.testing.assert_allclose(loss, 0.5 * expected[0], rtol=1e-14)
    np.testing.assert_allclose(found.weight, 0.5 * expected[1].weight, rtol=0, atol=1e-14)
    np.testing.assert_allclose(found.inputs[some], 0.5 * expected[1].inputs, rtol=0, atol=1e-14)
    assert not found.inputs[~some].any()
    tangents = ce.LinearGradients(X, W, None)
    for n_products, call in (
        (1, lambda: _value_and_grad.value_and_grad(problem, (), None)),
        (3, lambda: _jvp.jvp(problem, tangents)),
        (3, lambda: _hvp.hvp(problem, tangents, False, ("weight",), None)),
    ):
        rows.clear()
        call()
        assert sum(rows) == n_products * np.count_nonzero(weights)


@pytest.mark.parametrize("workspace", [900, 1200, 4096])
def test_16_bit_gradients_are_summed_in_parts_that_fit(workspace):
    x, w, b = X.astype("f2"), W.astype("f2"), B.astype("f2")
    whole = ce.linear_cross_entropy_value_and_grad(x, w, LABELS, bias=b)
    parts = ce.linear_cross_entropy_value_and_grad(x, w, LABELS, bias=b, workspace_bytes=workspace)
    np.testing.assert_allclose(parts[0], whole[0], rtol=1e-6)
    for part, expected in zip(parts[1], whole[1], strict=True):
        np.testing.assert_allclose(part, expected, rtol=2.0**-10, atol=1e-7)


@pytest.mark.parametrize("layout", ["Fortran", "strided", "reversed", "double", "whole numbers"])
@pytest.mark.parametrize("workspace", [None, 1200])
def test_layers_laid_out_in_any_way(layout, workspace):
    x, w = {
        "Fortran": lambda: (np.asfortranarray(X), np.asfortranarray(W)),
        "strided": lambda: (np.repeat(X, 2, axis=1)[:, ::2], np.repeat(W, 3, axis=0)[::3]),
        "reversed": lambda: (X[:, ::-1].copy()[:, ::-1], W[::-1].copy()[::-1]),
        "double": lambda: (X, W.astype("f4")),
        "whole numbers": lambda: (np.rint(X).astype("i4"), np.rint(W).astype("i1")),
    }[layout]()
    loss, g = ce.linear_cross_entropy_value_and_grad(x, w, LABELS, workspace_bytes=workspace)
    expected, truth = ce.linear_cross_entropy_value_and_grad(
        np.array(x, float), np.array(w, float), LABELS
    )
    np.testing.assert_allclose(loss, expected, rtol=1e-13)
    np.testing.assert_allclose(g.weight, truth.weight, rtol=0, atol=1e-14)
    np.testing.assert_allclose(g.inputs, truth.inputs, rtol=0, atol=1e-14)


def test_no_rows():
    loss, gradients = ce.linear_cross_entropy_value_and_grad(
        X[:0], W, np.zeros(0, int), reduction="sum"
    )
    assert loss == 0.0
    assert gradients.inputs.shape == (0, D)
    assert not gradients.weight.any()
    assert np.isnan(ce.linear_cross_entropy(X[:0], W, np.zeros(0, int)))
