"""What a training loop does: precision, scaling, checkpoints, copies - all as users expect it."""

import copy
import doctest
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


def test_autocast_leaves_a_layer_its_precision():
    """A bfloat16 output of the layers before, and a float32 head: computed in float32."""
    model, (x, labels) = network(), data()
    criterion = nn.LinearCrossEntropy(5, 7, bias=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = model(x)
        assert features.dtype == torch.bfloat16
        loss = criterion(features, labels)
    due = F.cross_entropy(criterion.linear(features.float()), labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, due)
    parameters = [*model.parameters(), *criterion.parameters()]
    got, right = (
        torch.autograd.grad(value, parameters, retain_graph=True) for value in (loss, due)
    )
    for a, b in zip(got, right, strict=True):
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


def head(**options):
    torch.manual_seed(5)
    return nn.LinearCrossEntropy(6, 5, **options), data()


@pytest.mark.parametrize("options", [{}, {"bias": True, "label_smoothing": 0.1},
                                     {"weight": WEIGHT, "ignore_index": 2}])  # fmt: skip
def test_a_linear_head_is_torchs(options):
    """The same constructor and parameters: state is exchanged, losses and gradients agree."""
    ours, (x, labels) = head(**options)
    theirs = torch.nn.LinearCrossEntropyLoss(6, 5, **options)
    theirs.load_state_dict(ours.state_dict())
    losses = ours(x, labels), theirs(x, labels)
    torch.testing.assert_close(*losses)
    gradients = [torch.autograd.grad(loss, [*module.parameters()])
                 for loss, module in zip(losses, (ours, theirs), strict=True)]  # fmt: skip
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)
    assert copy.deepcopy(ours)(x, labels) == losses[0]


def test_a_head_may_be_tied():
    embedding = torch.nn.Embedding(5, 6)
    module = nn.LinearCrossEntropy(6, 5, tied=embedding)
    tokens = torch.tensor([0, 1, 4])
    module(embedding(tokens), tokens).backward()
    assert module.linear.weight is embedding.weight
    z = embedding(tokens) @ embedding.weight.T
    (due,) = torch.autograd.grad(F.cross_entropy(z, tokens), embedding.weight)
    torch.testing.assert_close(embedding.weight.grad, due)
    with pytest.raises(ValueError, match=r"in_features=7 and num_classes=5 ask for \(5, 7\)"):
        nn.LinearCrossEntropy(7, 5, tied=embedding)


@pytest.mark.parametrize("module", [nn.CrossEntropyLoss, nn.LinearCrossEntropy,
                                    nn.GaussianFeatures])  # fmt: skip
def test_examples_of_modules_run(module):
    found = doctest.DocTestFinder(recurse=False).find(module, module.__name__)
    assert [doctest.DocTestRunner().run(test).failed for test in found] == [0]


def test_features_train_with_the_head():
    torch.manual_seed(6)
    model, (x, labels) = nn.GaussianFeatures(6, 12), data()
    criterion = nn.LinearCrossEntropy(12, 5, bias=True)
    optimizer = torch.optim.Adam([*model.parameters(), *criterion.parameters()], lr=0.1)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = criterion(model(x), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    assert "kind='radial'" in repr(model)
