"""The sampled loss against the full one: with every class sampled, and in the mean over samples."""

from itertools import product

import numpy as np
import pytest

import crossent as ce

RNG = np.random.default_rng(51)
N, D, K = 7, 4, 6
X, W, B = RNG.normal(size=(N, D)), RNG.normal(size=(K, D)), RNG.normal(size=K)
T = RNG.integers(0, K, N)
sampled_loss = ce.linear_sampled_cross_entropy_value_and_grad


def dense(gradients, like=W):
    """Return the gradients in weight and bias of all classes."""
    weight, bias = np.zeros_like(like), np.zeros(len(like))
    weight[gradients.classes], bias[gradients.classes] = gradients.weight, gradients.bias
    return weight, bias


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_with_every_class_it_is_the_full_loss(dtype, reduction):
    x, w, b = (a.astype(dtype) for a in (X.reshape(7, 1, D), W, B))
    given = {"bias": b, "reduction": reduction, "sample_weight": RNG.random((N, 1)) + 0.5}
    loss, gradients = ce.linear_cross_entropy_value_and_grad(x, w, T[:, None], **given)
    everything = RNG.permutation(K)
    found, sampled = sampled_loss(x, w, T[:, None], everything, log_expected=np.zeros(K), **given)
    bound = {"float16": 4e-3, "float32": 2e-6, "float64": 4e-15}[dtype]
    np.testing.assert_allclose(found, loss, rtol=bound)
    assert sampled.inputs.dtype == sampled.weight.dtype == np.dtype(dtype)
    np.testing.assert_allclose(sampled.inputs, gradients.inputs, rtol=0, atol=2 * bound)
    weight, bias = dense(sampled)
    np.testing.assert_allclose(weight, gradients.weight, rtol=0, atol=3 * bound)
    np.testing.assert_allclose(bias, gradients.bias, rtol=0, atol=3 * bound)


def test_the_partition_sum_has_the_full_one_as_its_mean():
    """exp(E) is the sum over p_t, and linear in the sample: its mean over all samples is exact."""
    q = np.array([0.3, 0.25, 0.2, 0.1, 0.1, 0.05])
    for i in range(3):
        mean = 0.0
        for drawn in product(range(K), repeat=2):
            s = np.array(drawn)
            loss, _ = sampled_loss(
                X[i : i + 1], W, T[i : i + 1], s, log_expected=np.log(2 * q[s]), bias=B
            )
            mean += q[s].prod() * np.exp(loss)
        full = ce.linear_cross_entropy(X[i : i + 1], W, T[i : i + 1], bias=B)
        assert mean == pytest.approx(np.exp(full), rel=1e-13)


def test_with_the_labels_own_expectation_the_truth_is_stationary():
    """Labels drawn from the softmax, one other class as often as Q: no step on average."""
    q = np.array([0.3, 0.25, 0.2, 0.1, 0.1, 0.05])
    p, mean = ce.softmax(X[0] @ W.T + B), np.zeros(K)
    for t, s in product(range(K), repeat=2):
        _, g = sampled_loss(
            X[:1], W, [t], [s], log_expected=np.log(q[[s]]), label_log_expected=np.log(q[t]), bias=B
        )
        mean += p[t] * q[s] * dense(g)[1]
    np.testing.assert_allclose(mean, 0, atol=1e-16)


def test_gradients_are_the_slopes():
    s, log_q = np.array([5, 0, 0, 3]), np.log([0.5, 1.5, 1.5, 0.7])
    of_labels, weights = RNG.normal(size=N), np.array([0, 1, 2, 1, 1, 0.5, 3])
    options = {"log_expected": log_q, "label_log_expected": of_labels, "sample_weight": weights}

    def loss(x, w, b):
        return sampled_loss(x, w, T, s, bias=b, **options)[0]

    _, gradients = sampled_loss(X, W, T, s, bias=B, **options)
    weight, bias = dense(gradients)
    dx, dw, db = (RNG.normal(size=a.shape) for a in (X, W, B))
    h = 1e-5
    slope = loss(X + h * dx, W + h * dw, B + h * db) - loss(X - h * dx, W - h * dw, B - h * db)
    expected = (gradients.inputs * dx).sum() + (weight * dw).sum() + (bias * db).sum()
    assert slope / (2 * h) == pytest.approx(expected, rel=1e-8)
    assert list(gradients.classes) == sorted({*T, *s})


def test_a_hit_is_left_out_and_blocks_add_up(monkeypatch):
    alone, _ = sampled_loss(X, W, T, T[:0], log_expected=[])
    assert alone == 0.0  # the label is the only class
    hit, gradients = sampled_loss(X[:1], W, [2], [2, 2], log_expected=[0.0, 0.0])
    assert hit == 0.0
    assert not gradients.weight.any()
    given = X, W, T, [0, 4, 4, 1]
    whole = sampled_loss(*given, log_expected=np.zeros(4), bias=B)
    monkeypatch.setattr("crossent.ops._sampled._BLOCK_NUMBERS", 10)
    parts = sampled_loss(*given, log_expected=np.zeros(4), bias=B)
    np.testing.assert_allclose(parts[0], whole[0], rtol=1e-14)
    for found, wanted in zip(parts[1], whole[1], strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-15)


def test_needs_picks_and_layers_without_bias():
    _, gradients = sampled_loss(X, W, T, [1], log_expected=[0.0], needs=("weight",))
    assert gradients.inputs is None
    assert gradients.bias is None
    assert gradients.weight.shape == (len(gradients.classes), D)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"labels": T[:3]}, ValueError, "labels has shape"),
        ({"labels": [6] * N}, ValueError, r"labels\[0\] is 6, but there are 6 classes"),
        ({"labels": [0.5] * N}, TypeError, "labels must be integers"),
        ({"sampled": [[1, 2]]}, ValueError, "sampled has shape"),
        ({"sampled": [1, -1]}, ValueError, r"\[1\] is -1, but there are 6 classes"),
        ({"log_expected": [0.0]}, ValueError, "log_expected has shape"),
        ({"log_expected": [0.0, -np.inf]}, ValueError, "log_expected must be finite"),
        ({"label_log_expected": np.nan}, ValueError, "label_log_expected must be finite"),
        ({"label_log_expected": [0.0]}, ValueError, "label_log_expected has shape"),
        ({"reduction": "none"}, ValueError, "reduction must be one of 'mean', 'sum'"),
        ({"sample_weight": [1.0]}, ValueError, "sample_weight has shape"),
        ({"needs": ("inputs", "labels")}, ValueError, "each of needs must be one of"),
    ],
)
def test_errors(change, error, text):
    given = {"labels": T, "sampled": [1, 2], "log_expected": [0.0, 0.0]} | change
    with pytest.raises(error, match=text):
        sampled_loss(X, W, **given)
