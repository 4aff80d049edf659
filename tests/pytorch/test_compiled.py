"""torch.compile sees registered operators: one graph, the same values, and no silent zeros."""

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from torch.autograd import forward_ad

import crossent.torch as ct
from crossent.torch import nn as ct_nn
from crossent.torch._cross_entropy import _BINARY, CROSS_ENTROPY
from crossent.torch._linear_cross_entropy import _LINEAR
from crossent.torch._loss import loss_arguments
from tests.pytorch.operations import CASES, FEATURES, LINEAR, LOSSES, SOFTMAXES, TENSORS, names

each_case = pytest.mark.parametrize("case", CASES, ids=names(CASES))


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()


@each_case
@pytest.mark.parametrize("dynamic", [False, True], ids=["these shapes", "any shapes"])
def test_compiled_in_one_graph_gives_the_same(case, dynamic):
    def scalar(*primals):
        return case(*primals).exp().sum()

    tensors = case.tensors
    compiled = torch.compile(scalar, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    torch.testing.assert_close(compiled(*tensors), scalar(*tensors))
    got, due = (torch.autograd.grad(f(*tensors), tensors) for f in (compiled, scalar))
    for a, b in zip(got, due, strict=True):
        torch.testing.assert_close(a, b)


def test_compiled_by_inductor():
    z, labels = torch.randn(8, 5, requires_grad=True), torch.arange(8) % 5

    def f(z):
        return ct.cross_entropy(2 * z, labels, label_smoothing=0.1)

    compiled = torch.compile(f, fullgraph=True)
    got, due = (torch.autograd.grad(g(z), z)[0] for g in (compiled, f))
    torch.testing.assert_close(got, due)


_head = ct_nn.LinearCrossEntropy(4, 4, bias=True, label_smoothing=0.1)
_features = ct_nn.GaussianFeatures(4, 3)
ANY_ROWS = {
    "softmax": lambda z, t: ct.softmax(z),
    "log_softmax": lambda z, t: ct.log_softmax(z, axis=0),
    "logsumexp": lambda z, t: ct.logsumexp(z, keepdims=True),
    "cross_entropy": lambda z, t: ct.cross_entropy(z, t, ignore_index=1),
    "binary_cross_entropy": lambda z, t: ct.binary_cross_entropy(z[:, 0], t % 2),
    "linear_cross_entropy": lambda z, t: ct.linear_cross_entropy(z, _head.linear.weight, t),
    "linear_statistics": lambda z, t: ct.linear_statistics(z.detach(), z.detach()[:2]).lse,
    "gaussian_features": lambda z, t: ct.gaussian_features(z, z[:2], z[:2, 0].exp()),
    "nn.CrossEntropyLoss": ct_nn.CrossEntropyLoss(label_smoothing=0.1),
    "nn.LinearCrossEntropy": _head,
    "nn.GaussianFeatures": lambda z, t: _features(z),
}


@pytest.mark.parametrize("of", ANY_ROWS.values(), ids=ANY_ROWS)
def test_any_number_of_rows_is_one_graph(of):
    """Functions and modules, their gradients too: compiled once, for every number of rows."""
    torch.compiler.reset()
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(of, fullgraph=True, dynamic=True, backend=counter)
    compilations = set()
    for n in (3, 5, 9):
        z, labels = torch.randn(n, 4, requires_grad=True), torch.arange(n) % 4
        got, due = compiled(z, labels), of(z, labels)
        torch.testing.assert_close(got, due)
        if due.requires_grad:
            pairs = (torch.autograd.grad(value.square().sum(), z)[0] for value in (got, due))
            torch.testing.assert_close(*pairs)
        compilations.add(counter.frame_count)
    assert len(compilations) == 1


def test_errors_come_through_the_compiler():
    compiled = torch.compile(lambda z, t: ct.cross_entropy(z, t), backend="aot_eager")
    compiled(torch.zeros(2, 3), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match=r"labels\[1\] is 3, but there are 3 classes"):
        compiled(torch.zeros(2, 3), torch.tensor([0, 3]))


def of_samples(f):
    return lambda z: torch.vmap(torch.func.grad(f))(torch.stack([z, 2 * z]))


def of_a_batch(f):
    return torch.func.grad(lambda z: torch.vmap(f)(torch.stack([z, 2 * z])).sum())


@pytest.mark.parametrize("transform", [torch.func.grad, torch.func.hessian, of_samples, of_a_batch])
@pytest.mark.parametrize("case", [SOFTMAXES[0], LOSSES[0]], ids=["softmax", "loss"])
def test_functional_derivatives_leave_the_graph(case, transform):
    """They are right beside the graph, and refused where there may be but one."""
    z = torch.from_numpy(TENSORS["logits"])
    derivative = transform(lambda z: case(z).square().sum())
    compiled = torch.compile(derivative, backend="aot_eager")
    torch.testing.assert_close(compiled(z), derivative(z))
    torch._dynamo.reset()
    with pytest.raises(Exception, match="leave fullgraph=True out"):
        torch.compile(derivative, backend="aot_eager", fullgraph=True)(z)


def test_a_batch_is_compiled_in_one_graph():
    z = torch.from_numpy(TENSORS["logits"]).expand(2, -1, -1, -1)
    batched = torch.vmap(lambda z: LOSSES[0](z))
    compiled = torch.compile(batched, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(z), LOSSES[0](z[0]).expand(2))


def jvp_inside(f, z):
    return torch.compile(
        lambda z: torch.func.jvp(f, (z,), (z,))[1], backend="aot_eager", fullgraph=True
    )(z)


def dual_inside(f, z):
    def tangent(z):
        with forward_ad.dual_level():
            return forward_ad.unpack_dual(f(forward_ad.make_dual(z, z))).tangent

    return torch.compile(tangent, backend="aot_eager", fullgraph=True)(z)


def dual_outside(f, z):
    with forward_ad.dual_level():
        return torch.compile(f, backend="aot_eager", fullgraph=True)(forward_ad.make_dual(z, z))


@pytest.mark.parametrize("mode", [jvp_inside, dual_inside, dual_outside])
@pytest.mark.parametrize("case", [SOFTMAXES[0], LOSSES[0]], ids=["softmax", "loss"])
def test_forward_mode_of_compiled_code_is_refused(case, mode):
    """It would be a tangent of zero: a registered operator has no forward mode."""
    with pytest.raises(Exception, match="forward mode"):
        mode(case, torch.from_numpy(TENSORS["logits"]))


def test_forward_mode_of_a_bare_operator_is_refused():
    z = torch.zeros(2, 3)
    with (
        forward_ad.dual_level(),
        pytest.raises(NotImplementedError, match="no forward mode inside"),
    ):
        torch.ops.crossent.softmax(forward_ad.make_dual(z, z), None, -1)


FAMILIES = {
    "cross_entropy": CROSS_ENTROPY,
    "binary_cross_entropy": _BINARY,
    "linear_cross_entropy": _LINEAR,
}


def operator_calls():
    """Return registered operators with arguments: value and each derivative."""
    for case in [*SOFTMAXES, *FEATURES]:
        rest = (case.arguments.get("where"), case.arguments["axis"]) if case in SOFTMAXES else (
            case.arguments["kind"],)  # fmt: skip
        yield pytest.param(case.operation, (*case.tensors, *rest), id=case.name)
    for case in [*LOSSES, *LINEAR]:
        family, name, arguments = FAMILIES[case.operation], case.operation, dict(case.arguments)
        x = [*case.tensors, *[None] * (family.n - len(case.tensors))]
        axis = arguments.pop("axis", -1)
        loss = loss_arguments(x[0], arguments.pop("target"), axis, **arguments)
        needs = [tensor is not None for tensor in x]
        early = [need and loss.reduction != "none" for need in needs]
        still = [None if tensor is None else tensor.detach() for tensor in x]
        g = torch.ones_like(family.value(*still, *loss, [False] * family.n)[0])
        none = [g.new_empty((0,))] * family.n
        v = [None if tensor is None else torch.ones_like(tensor) for tensor in x]
        yield pytest.param(name, (*x, *loss, early), id=case.name)
        yield pytest.param(f"{name}_vjp", (*x, g.requires_grad_(), *none, *loss, needs),
                           id=f"{case.name}, vjp")  # fmt: skip
        yield pytest.param(f"{name}_jvp", (*x, *v, *loss), id=f"{case.name}, jvp")
        if family.bend is not None:
            yield pytest.param(f"{name}_bend", (*still, *v, *v, *loss), id=f"{case.name}, bend")
        yield pytest.param(f"{name}_hvp", (*still, *v, g.detach(), *loss, needs),
                           id=f"{case.name}, hvp")  # fmt: skip


@pytest.mark.parametrize(("name", "arguments"), [*operator_calls()])
def test_operators_are_what_they_say(name, arguments):
    """Schema, fake and autograd parts, traced with fixed and any shapes: torch's own check."""
    found = torch.library.opcheck(getattr(torch.ops.crossent, name).default, arguments)
    assert set(found.values()) == {"SUCCESS"}
    assert len(found) == 4
