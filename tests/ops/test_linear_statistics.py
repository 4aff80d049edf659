"""What is known of each row, against the same of the logits made whole."""

import tracemalloc

import numpy as np
import pytest

import crossent as ce

RNG = np.random.default_rng(31)
N, D, K = 11, 4, 6000
X, W, B = RNG.normal(size=(N, D)), RNG.normal(size=(K, D)), RNG.normal(size=K)
Z = X @ W.T + B
LABELS = RNG.integers(0, K, N)
TARGETS = RNG.dirichlet(np.ones(K), N)
CLOSE = {"rtol": 1e-12, "atol": 1e-300}


def expected(z, target, m):
    q, p = ce.log_softmax(z), ce.softmax(z)
    order = np.argsort(-z, axis=1, kind="stable")[:, :m]
    return {
        "lse": ce.logsumexp(z),
        "log_probability": -ce.cross_entropy(z, target, reduction="none"),
        "entropy": -np.where(p > 0, p * np.where(p > 0, q, 0), 0).sum(axis=1),
        "argmax": z.argmax(axis=1),
        "top_k": (order, np.take_along_axis(p, order, axis=1)),
    }


@pytest.mark.parametrize("workspace", [None, 400_000, 70_000, 40_000])
@pytest.mark.parametrize("m", [0, 1, 5, 300])
@pytest.mark.parametrize("target", [LABELS, TARGETS], ids=["labels", "targets"])
def test_equals_what_the_logits_say(target, m, workspace):
    workspace = workspace and workspace + 96 * m
    found = ce.linear_statistics(X, W, target, bias=B, top_k=m, workspace_bytes=workspace)
    truth = expected(Z, target, m)
    for name in ("lse", "log_probability", "entropy"):
        np.testing.assert_allclose(getattr(found, name), truth[name], **CLOSE)
    np.testing.assert_array_equal(found.argmax, truth["argmax"])
    if m == 0:
        assert found.top_k is None
        return
    np.testing.assert_array_equal(found.top_k.indices, truth["top_k"][0])
    np.testing.assert_allclose(found.top_k.probabilities, truth["top_k"][1], **CLOSE)


@pytest.mark.parametrize("workspace", [None, 40_000])
def test_a_certain_row_an_impossible_class_and_equal_logits(workspace):
    w = np.zeros((K, 1))
    bias = np.zeros((4, K))
    bias[0, 7], bias[1, 5] = 1000, -np.inf
    bias[2, :], bias[3, 9] = -np.inf, np.nan
    rows = [
        ce.linear_statistics([[1.0]], w, [5], bias=b, top_k=2, workspace_bytes=workspace)
        for b in bias
    ]
    certain, impossible, nowhere, spoilt = rows
    assert certain.entropy[0] == 0.0 == -certain.entropy[0]
    assert certain.argmax[0] == certain.top_k.indices[0, 0] == 7
    assert certain.log_probability[0] == -1000.0
    assert impossible.log_probability[0] == -np.inf
    np.testing.assert_allclose(impossible.entropy, np.log(K - 1), rtol=1e-12)
    assert impossible.argmax[0] == 0
    assert nowhere.lse[0] == -np.inf
    assert np.isnan([nowhere.entropy[0], spoilt.entropy[0], spoilt.lse[0]]).all()


def test_without_a_target_in_batches_and_as_targets_of_another_layer():
    x = X[:10].reshape(2, 5, D)
    found = ce.linear_statistics(x, W, bias=B, top_k=3)
    assert found.log_probability is None
    assert found.lse.shape == found.argmax.shape == (2, 5)
    assert found.top_k.indices.shape == (2, 5, 3)
    assert ce.linear_cross_entropy(x, W, found.top_k, bias=B) > 0
    one = ce.linear_statistics(X[0], W, LABELS[0], bias=B)
    assert one.lse == ce.linear_statistics(X[:1], W, bias=B).lse[0]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("workspace", [None, 30_000])
def test_narrow_numbers(dtype, workspace):
    x, w, b = (a.astype(dtype) for a in (X, W, B))
    truth = expected(*(x.astype(float) @ w.astype(float).T + b.astype(float), LABELS, 2))
    found = ce.linear_statistics(x, w, LABELS, bias=b, top_k=2, workspace_bytes=workspace)
    unit = 4 * float(np.finfo(dtype).eps)
    for name in ("lse", "log_probability", "entropy"):
        assert getattr(found, name).dtype == dtype
        np.testing.assert_allclose(getattr(found, name), truth[name], rtol=unit)
    np.testing.assert_array_equal(found.top_k.indices, truth["top_k"][0])


@pytest.mark.parametrize("m", [0, 4, 1000])
@pytest.mark.parametrize("workspace", [1 << 20, 1 << 18])
def test_memory_keeps_to_the_workspace(m, workspace):
    x = np.repeat(X, 20, axis=0)
    ce.linear_statistics(x, W, bias=B, top_k=m, workspace_bytes=workspace)
    tracemalloc.start()
    found = ce.linear_statistics(x, W, bias=B, top_k=m, workspace_bytes=workspace)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    results = len(x) * (8 * 5 + 16 * m)
    formulas = 0 if ce.build_info()["kernels"] == "native" else 16 * 8 * max(K, 1 << 14)
    assert found.argmax.shape == (len(x),)
    assert peak <= workspace + results + formulas + (1 << 14), peak - results
