"""What a training loop does: precision, scaling, checkpoints, copies - all as users expect it."""

import copy
import io
import weakref

import pytest
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

import crossent.torch as ct
from crossent.torch import nn
from tests.pytorch.operations import CASES, names


def data(n=32, d=6, k=5):
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(n, d, generator=generator)
    return x, torch.randint(0, k, (n,), generator=generator)


def network(d=6, k=5):
    torch.manual_seed(4)
    return torch.nn.Sequential(torch.nn.Linear(d, 8), torch.nn.Tanh(), torch.nn.Linear(8, k))


def trained(loss, steps=5):
    """Return the losses of a few steps, and the parameters after them."""
    model, (x, labels) = network(), data()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss(model(x), labels)
        value.backward()
        optimizer.step()
        losses.append(value.detach())
    return torch.stack(losses), [p.detach() for p in model.parameters()]


WEIGHT = torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0])


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"ignore_index": 2},
                                     {"weight": WEIGHT}])  # fmt: skip
def test_training_with_either_module_is_the_same(options):
    ours = trained(nn.CrossEntropyLoss(**options))
    theirs = trained(torch.nn.CrossEntropyLoss(**options))
    torch.testing.assert_close(ours[0], theirs[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours[1], theirs[1], rtol=1e-4, atol=1e-5)


def test_autocast_gives_a_float32_loss():
    model, (x, labels) = network(), data()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(x)
        assert logits.dtype == torch.bfloat16
        loss, due = ct.cross_entropy(logits, labels), F.cross_entropy(logits.float(), labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, due)
    parameters = [*model.parameters()]
    got = torch.autograd.grad(loss, parameters, retain_graph=True)
    for a, b in zip(got, torch.autograd.grad(due, parameters), strict=True):
        torch.testing.assert_close(a, b, rtol=2e-2, atol=2e-3)


def test_a_scaler_scales_and_unscales():
    model, (x, labels) = network(), data()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    due = torch.autograd.grad(ct.cross_entropy(model(x), labels), [*model.parameters()])
    scaler.scale(ct.cross_entropy(model(x), labels)).backward()
    scaler.unscale_(optimizer)
    for parameter, gradient in zip(model.parameters(), due, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-5, atol=1e-8)
    scaler.step(optimizer)
    scaler.update()


def test_accumulated_gradients_add():
    model, (x, labels) = network(), data()
    due = torch.autograd.grad(ct.cross_entropy(model(x), labels), [*model.parameters()])
    for part, truth in zip(x.split(8), labels.split(8), strict=True):
        ct.cross_entropy(model(part), truth, normalizer=len(x)).backward()
    for parameter, gradient in zip(model.parameters(), due, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("reentrant", [False, True])
def test_activation_checkpoints(reentrant):
    model, (x, labels) = network(), data()
    x.requires_grad_()

    def loss(x):
        return ct.cross_entropy(model(x), labels)

    parameters = [x, *model.parameters()]
    due = torch.autograd.grad(loss(x), parameters)
    checkpoint(loss, x, use_reentrant=reentrant).backward()
    for parameter, gradient in zip(parameters, due, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=0)


@pytest.mark.parametrize("case", CASES, ids=names(CASES))
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_without_gradients(case, context):
    with context():
        value = case(*case.tensors)
    assert not value.requires_grad
    torch.testing.assert_close(value.clone(), case(*case.tensors).detach(), rtol=0, atol=0)


def test_no_gradient_is_computed_that_is_not_wanted(monkeypatch):
    from crossent import ops

    monkeypatch.delattr(ops, "cross_entropy_value_and_grad")
    z = torch.zeros(2, 3, requires_grad=True)
    with torch.no_grad():
        ct.cross_entropy(z, torch.tensor([0, 1]))
    ct.cross_entropy(z.detach(), torch.tensor([0, 1]))
    with pytest.raises(AttributeError):
        ct.cross_entropy(z, torch.tensor([0, 1]))


def test_the_saved_gradient_is_freed_with_the_loss(monkeypatch):
    """No cycle keeps it until the garbage is collected."""
    from crossent import ops

    real, gradients = ops.cross_entropy_value_and_grad, []

    def spy(*args, **kwargs):
        loss, gradient = real(*args, **kwargs)
        gradients.append(weakref.ref(gradient))
        return loss, gradient

    monkeypatch.setattr(ops, "cross_entropy_value_and_grad", spy)
    loss = ct.cross_entropy(torch.zeros(2, 3, requires_grad=True), torch.tensor([0, 1]))
    (gradient,) = gradients
    assert gradient() is not None
    del loss
    assert gradient() is None


def test_modules_are_copied_saved_and_shown():
    module = nn.CrossEntropyLoss(torch.tensor([1.0, 2.0]), label_smoothing=0.1, temperature=2.0)
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    fresh = nn.CrossEntropyLoss(torch.ones(2), label_smoothing=0.1, temperature=2.0)
    fresh.load_state_dict(torch.load(file))
    z, labels = torch.randn(3, 2), torch.tensor([0, 1, 1])
    due = module(z, labels)
    assert copy.deepcopy(module)(z, labels) == due
    assert fresh(z, labels) == due
    assert fresh.state_dict().keys() == torch.nn.CrossEntropyLoss(torch.ones(2)).state_dict().keys()
    assert isinstance(module, torch.nn.CrossEntropyLoss)
    assert "temperature=2.0" in repr(module)
