"""Every derivative of every operation: reverse and forward mode, of each other, and batched."""

import itertools

import pytest
import torch
from torch.autograd import forward_ad, gradcheck, gradgradcheck

import crossent.torch as ct
from tests.pytorch.operations import CASES, FEATURES, LOSSES, SOFTMAXES, names

PLAIN = [SOFTMAXES[0], SOFTMAXES[3], SOFTMAXES[4], LOSSES[0], LOSSES[5], LOSSES[7], FEATURES[1]]
each_case = pytest.mark.parametrize("case", CASES, ids=names(CASES))
each_plain_case = pytest.mark.parametrize("case", PLAIN, ids=names(PLAIN))


def of_first(case):
    """Return a number as a function of the first primal, and that primal."""
    first, *others = (tensor.detach() for tensor in case.tensors)
    return (lambda x: case(x, *others).square().sum()), first


@each_case
def test_gradcheck(case):
    """Reverse mode and forward mode against differences, and batches of both."""
    assert gradcheck(case, case.tensors, check_forward_ad=True, check_batched_grad=True,
                     check_batched_forward_grad=True)  # fmt: skip


@each_case
def test_gradgradcheck(case):
    """Reverse over reverse and forward over reverse."""
    assert gradgradcheck(case, case.tensors, check_fwd_over_rev=True, check_rev_over_rev=True)


@each_plain_case
def test_hessians_in_every_mode_are_the_same(case):
    """Forward over forward among them, where torch drops tangents of tangents in silence."""
    f, x = of_first(case)
    due = torch.func.hessian(f)(x)
    assert due.abs().max() > 1e-3
    for outer, inner in itertools.product((torch.func.jacfwd, torch.func.jacrev), repeat=2):
        torch.testing.assert_close(outer(inner(f))(x), due, rtol=1e-12, atol=1e-13)


UNREDUCED = [case for case in CASES if case.arguments.get("reduction") == "none"]


@pytest.mark.parametrize("case", UNREDUCED, ids=names(UNREDUCED))
def test_second_derivatives_of_each_row(case):
    """In the first primal and, of a layer, along all at once: forward over forward too."""
    first, *others = (tensor.detach() for tensor in case.tensors)
    of = lambda x: case(x, *others)  # noqa: E731
    due = torch.func.jacrev(torch.func.jacrev(of))(first)
    assert due.abs().max() > 1e-3
    for outer, inner in itertools.product((torch.func.jacfwd, torch.func.jacrev), repeat=2):
        torch.testing.assert_close(outer(inner(of))(first), due, rtol=1e-12, atol=1e-13)
    primals = tuple(tensor.detach() for tensor in case.tensors)
    u, v = (tuple(f(p) for p in primals) for f in (torch.sin, torch.cos))
    along = lambda *x: torch.func.jvp(case, x, v)[1]  # noqa: E731
    got = torch.func.jvp(along, primals, u)[1]
    leaf = torch.zeros((), dtype=torch.float64, requires_grad=True)
    moved = along(*(p + leaf * d for p, d in zip(primals, u, strict=True)))
    each = [torch.autograd.grad(row, leaf, retain_graph=True)[0] for row in moved.flatten()]
    torch.testing.assert_close(got.flatten(), torch.stack(each), rtol=1e-12, atol=1e-13)


@each_plain_case
def test_functional_transforms_agree_with_backward(case):
    f, x = of_first(case)
    leaf = x.clone().requires_grad_()
    (due,) = torch.autograd.grad(f(leaf), leaf)
    value, pull = torch.func.vjp(f, x)
    direction = torch.linspace(-1, 1, x.numel(), dtype=x.dtype).reshape(x.shape)
    torch.testing.assert_close(torch.func.grad(f)(x), due)
    torch.testing.assert_close(pull(torch.ones_like(value))[0], due)
    slope = torch.func.jvp(f, (x,), (direction,))[1]
    torch.testing.assert_close(slope, (due * direction).sum())
    with forward_ad.dual_level():
        dual = forward_ad.unpack_dual(f(forward_ad.make_dual(x, direction)))
    torch.testing.assert_close(dual.tangent, slope)


@each_plain_case
def test_vmap_gives_what_a_loop_does(case):
    f, x = of_first(case)
    batch = torch.stack([x, x.flip(0), 2 * x])
    torch.testing.assert_close(torch.vmap(f)(batch), torch.stack([f(x) for x in batch]))
    gradients = torch.vmap(torch.func.grad(f))(batch)
    torch.testing.assert_close(gradients, torch.stack([torch.func.grad(f)(x) for x in batch]))
    moved = torch.vmap(f, in_dims=-1)(batch.movedim(0, -1))
    torch.testing.assert_close(moved, torch.vmap(f)(batch))


def test_gradients_of_single_samples():
    """Labels are batched too: their values cannot be seen outside the operator."""
    z, labels = torch.randn(6, 4, dtype=torch.float64), torch.arange(6, dtype=torch.int32) % 4
    one = torch.func.grad(lambda z, label: ct.cross_entropy(z, label))
    (due,) = torch.autograd.grad(
        ct.cross_entropy(leaf := z.clone().requires_grad_(), labels, reduction="sum"), leaf
    )
    torch.testing.assert_close(torch.vmap(one)(z, labels), due, rtol=0, atol=0)
    with pytest.raises(ValueError, match="there are 4 classes"):
        torch.vmap(one)(z, labels + 1)


def test_third_derivatives_of_a_softmax_are_right():
    x = torch.randn(3, dtype=torch.float64)
    for ours, theirs in ((ct.softmax, torch.softmax), (ct.log_softmax, torch.log_softmax),
                         (ct.logsumexp, torch.logsumexp)):  # fmt: skip
        for modes in itertools.product((torch.func.jacfwd, torch.func.jacrev), repeat=3):
            got, due = ((lambda x, f=f: (f(x, -1) ** 2).sum())
                        for f in (lambda x, axis, f=ours: f(x, axis=axis), theirs))  # fmt: skip
            for mode in modes:
                got, due = mode(got), mode(due)
            torch.testing.assert_close(got(x), due(x), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("modes", [*itertools.product("fr", repeat=3)], ids="".join)
def test_third_derivatives_of_a_loss_raise(modes):
    """Never a zero: there is no third derivative, and it says so."""
    z, labels = torch.randn(2, 3, dtype=torch.float64), torch.tensor([0, 2])
    of = lambda z: ct.cross_entropy(z, labels)  # noqa: E731
    for mode in modes:
        of = (torch.func.jacfwd if mode == "f" else torch.func.jacrev)(of)
    with pytest.raises(NotImplementedError, match="two derivatives, and a third"):
        of(z)


@pytest.mark.parametrize("name", ["target", "class_weight", "sample_weight"])
def test_what_is_not_differentiated_must_not_ask_for_it(name):
    arguments = {
        "target": torch.full((2, 3), 1 / 3),
        "class_weight": torch.ones(3),
        "sample_weight": torch.ones(2),
    }
    arguments[name].requires_grad_()
    with pytest.raises(ValueError, match=rf"{name}\.detach\(\)"):
        ct.cross_entropy(torch.zeros(2, 3, requires_grad=True), **arguments)
    with torch.no_grad():
        ct.cross_entropy(torch.zeros(2, 3), **arguments)


def test_a_tangent_of_the_truth_is_no_silent_zero():
    z, targets = torch.randn(2, 3), torch.full((2, 3), 1 / 3)
    with pytest.raises(ValueError, match=r"target\.detach"):
        torch.func.jvp(lambda y: ct.cross_entropy(z, y), (targets,), (targets,))
    with pytest.raises(ValueError, match=r"target\.detach"):
        torch.func.grad(lambda y: ct.cross_entropy(z, y))(targets)


@pytest.mark.parametrize("factor", [1.0, 3.0])
@pytest.mark.parametrize("name", ["cross_entropy, last axis", "linear, labels"])
def test_a_retained_graph_gives_the_same_again(name, factor):
    """Whatever became of the gradients that it gave before: they are the caller's."""
    (case,) = (case for case in CASES if case.name == name)
    tensors = case.tensors
    loss = case(*tensors) * factor if factor != 1.0 else case(*tensors)
    first = torch.autograd.grad(loss, tensors, retain_graph=True)
    due = [gradient.clone() for gradient in first]
    for gradient in first:
        gradient.zero_()
    loss.backward(retain_graph=True)
    for tensor, gradient in zip(tensors, due, strict=True):
        torch.testing.assert_close(tensor.grad, gradient, rtol=0, atol=0)
        tensor.grad.zero_()
    for gradient, right in zip(torch.autograd.grad(loss, tensors), due, strict=True):
        torch.testing.assert_close(gradient, right, rtol=0, atol=0)
