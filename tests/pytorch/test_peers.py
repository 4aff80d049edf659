"""Where torch fails, as recorded, and what is right: both sides of each row are tested."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import crossent.torch as ct


def loss_and_gradient(loss, logits, *arguments):
    z = torch.tensor(logits, requires_grad=True)
    value = loss(z, *arguments)
    return value.detach(), torch.autograd.grad(value, z)[0]


def test_a_confident_row():
    z, label = [[20.0, 0.0]], torch.tensor([0])
    value, gradient = loss_and_gradient(F.cross_entropy, z, label)
    assert value == 0
    assert gradient[0, 0] == 0
    value, gradient = loss_and_gradient(ct.cross_entropy, z, label)
    due = torch.tensor([[-2.06115362e-09, 2.06115362e-09]])
    torch.testing.assert_close(value, due[0, 1], rtol=2e-7, atol=0)
    torch.testing.assert_close(gradient, due, rtol=2e-7, atol=0)


def test_the_labelled_class_keeps_its_digits():
    z, label, due = [[15.0, 0.0]], torch.tensor([0]), -3.0590222e-07
    theirs = loss_and_gradient(F.cross_entropy, z, label)[1][0, 0].item()
    assert abs(theirs / due - 1) > 0.15
    ours = loss_and_gradient(ct.cross_entropy, z, label)[1][0, 0].item()
    assert abs(ours / due - 1) < 2e-7


@pytest.mark.parametrize(("dtype", "value"), [(torch.bfloat16, 1000.0), (torch.float32, 1e8)])
def test_gradient_of_logsumexp(dtype, value):
    z = torch.full((4,), value, dtype=dtype, requires_grad=True)
    assert (torch.autograd.grad(torch.logsumexp(z, -1), z)[0] == 1).all()
    assert (torch.autograd.grad(ct.logsumexp(z), z)[0] == 0.25).all()


def test_70000_equal_logits_in_float16():
    row = torch.full((70_000,), 3.0, dtype=torch.float16)
    assert torch.log_softmax(row, -1)[0].isinf() or torch.log_softmax(row, -1)[0] != -11.15625
    assert (ct.log_softmax(row) == -11.15625).all()
    assert (ct.softmax(row) == torch.tensor(1 / 70_000).half()).all()


def test_many_classes():
    """torch is 550 ulp off there; 3 is the promise."""
    z = np.round(np.random.default_rng(0).normal(0, 3, 256_000) * 64).astype(np.float32) / 64
    values, counts = np.unique(z.astype(np.float64), return_counts=True)
    truth = np.exp(z.astype(np.float64)) / np.sum(np.exp(values) * counts)
    ulp = np.spacing(truth.astype(np.float32))
    ours, theirs = ct.softmax(torch.from_numpy(z)), torch.softmax(torch.from_numpy(z), -1)
    assert (np.abs(ours.numpy() - truth) / ulp).max() <= 3
    assert (np.abs(theirs.numpy() - truth) / ulp).max() > 100


@pytest.mark.parametrize("integers", [torch.int32, torch.int16])
def test_labels_that_are_not_int64(integers):
    z, labels = torch.randn(3, 4), torch.tensor([0, 1, 3], dtype=integers)
    with pytest.raises(RuntimeError, match="expected"):
        F.cross_entropy(z, labels)
    assert ct.cross_entropy(z, labels) == ct.cross_entropy(z, labels.long())


def test_any_class_axis():
    z, labels = torch.randn(2, 5, 3), torch.randint(0, 3, (2, 5))
    with pytest.raises((RuntimeError, ValueError, IndexError)):
        F.cross_entropy(z, labels)
    due = F.cross_entropy(z.transpose(1, 2), labels)
    torch.testing.assert_close(ct.cross_entropy(z, labels), due)


def test_a_zero_target_on_a_minus_infinite_logit():
    z, targets = [[0.0, -torch.inf, 0.0]], torch.tensor([[1.0, 0.0, 0.0]])
    assert loss_and_gradient(F.cross_entropy, z, targets)[0].isnan()
    value, gradient = loss_and_gradient(ct.cross_entropy, z, targets)
    torch.testing.assert_close(value, torch.tensor(np.log(2), dtype=torch.float32))
    torch.testing.assert_close(gradient, torch.tensor([[-0.5, 0.0, 0.5]]))
