"""Where torch fails, as recorded, and what is right: both sides of each row are tested."""

import contextlib

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


CHUNKED = torch.nn.LinearCrossEntropyOptions()


def layer(dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    x, weight = (torch.randn(*shape, generator=generator, dtype=dtype, requires_grad=True)
                 for shape in ((6, 3), (5, 3)))  # fmt: skip
    return x, weight, torch.tensor([0, 1, 2, 3, 4, 0])


def of_weight(function, **arguments):
    x, weight, labels = layer()
    return (lambda weight: function(x.detach(), weight, labels, **arguments)), weight.detach()


def test_all_targets_ignored_by_the_linear_loss():
    x, weight, labels = layer()
    labels = torch.full_like(labels, -100)
    theirs = F.linear_cross_entropy(x, weight, labels, options=CHUNKED)
    assert theirs.isnan()
    assert torch.autograd.grad(theirs, weight)[0].isnan().all()
    ours = ct.linear_cross_entropy(x, weight, labels, ignore_index=-100, empty="zero")
    assert ours == 0
    assert (torch.autograd.grad(ours, weight)[0] == 0).all()
    ours = ct.linear_cross_entropy(x, weight, labels, ignore_index=-100)
    assert ours.isnan()
    assert torch.autograd.grad(ours, weight)[0].isnan().all()


def test_forward_mode_of_the_linear_loss():
    theirs, weight = of_weight(F.linear_cross_entropy, options=CHUNKED)
    reference, _ = of_weight(F.linear_cross_entropy)
    ours, _ = of_weight(ct.linear_cross_entropy)
    due = torch.func.jvp(reference, (weight,), (weight,))[1]
    assert torch.func.jvp(theirs, (weight,), (weight,))[1] == 0
    assert due.abs() > 1e-3
    torch.testing.assert_close(torch.func.jvp(ours, (weight,), (weight,))[1], due)


@pytest.mark.parametrize("transform", [torch.func.grad, torch.func.hessian])
def test_functional_transforms_of_the_linear_loss(transform):
    theirs, weight = of_weight(F.linear_cross_entropy, options=CHUNKED)
    with pytest.raises(RuntimeError):
        transform(theirs)(weight)
    reference, _ = of_weight(F.linear_cross_entropy)
    ours, _ = of_weight(ct.linear_cross_entropy)
    torch.testing.assert_close(transform(ours)(weight), transform(reference)(weight))


def test_double_and_second_backward_of_the_linear_loss():
    x, weight, labels = layer()
    theirs = F.linear_cross_entropy(x, weight, labels, options=CHUNKED)
    with pytest.raises(RuntimeError):
        torch.autograd.grad(torch.autograd.grad(theirs, weight, create_graph=True)[0].sum(), weight)
    theirs = F.linear_cross_entropy(x, weight, labels, options=CHUNKED)
    torch.autograd.grad(theirs, weight, retain_graph=True)
    with pytest.raises(RuntimeError):
        torch.autograd.grad(theirs, weight)
    loss, due = (f(x, weight, labels) for f in (ct.linear_cross_entropy, F.linear_cross_entropy))
    first, again = (torch.autograd.grad(loss, weight, create_graph=True)[0] for _ in range(2))
    torch.testing.assert_close(first, again)
    (first_due,) = torch.autograd.grad(due, weight, create_graph=True)
    got, curvature = (torch.autograd.grad(g.square().sum(), (x, weight))
                      for g in (first, first_due))  # fmt: skip
    for a, b in zip(got, curvature, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("hard", [{"label_smoothing": 0.1}, {"probabilities": True},
                                  {"integers": torch.int32}])  # fmt: skip
def test_the_linear_loss_stays_fused(hard):
    """torch falls back to all logits, with a warning; here a workspace for two rows is enough."""
    x, weight, labels = layer(torch.float32)
    target, due, arguments = labels, labels, {}
    if "label_smoothing" in hard:
        arguments = hard
    elif "probabilities" in hard:
        target = due = torch.softmax(torch.randn(6, 5), -1)
    else:
        target = labels.int()
    with (
        pytest.warns(UserWarning, match="options.* ignored"),
        contextlib.suppress(RuntimeError),  # of labels that are not int64, besides
    ):
        F.linear_cross_entropy(x, weight, target, options=CHUNKED, **arguments)
    ours = ct.linear_cross_entropy(x, weight, target, workspace_bytes=4096, **arguments)
    torch.testing.assert_close(ours, F.linear_cross_entropy(x, weight, due, **arguments))
