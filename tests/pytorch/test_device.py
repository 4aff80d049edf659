"""Losses in torch's operations, which every other device takes, against the kernels, on the CPU."""

import pytest
import torch

import crossent.torch as ct
from crossent import TopKTargets
from crossent.torch import _device_losses, _row_blocks
from crossent.torch._cross_entropy import _BINARY, CROSS_ENTROPY
from crossent.torch._linear_cross_entropy import _LINEAR
from crossent.torch._loss import loss_arguments
from tests.pytorch.operations import (
    BENT,
    FEATURES,
    LABELS,
    LINEAR,
    LOSSES,
    SOFTMAXES,
    TENSORS,
    WHERE,
    names,
)

FAMILIES = {
    "cross_entropy": CROSS_ENTROPY,
    "binary_cross_entropy": _BINARY,
    "linear_cross_entropy": _LINEAR,
}
CASES = [*LOSSES, *LINEAR]


def call(case):
    """Return the operators of a case, its primals and the rest of its arguments."""
    family, arguments = FAMILIES[case.operation], dict(case.arguments)
    x = [tensor.detach() for tensor in case.tensors]
    x += [None] * (family.n - len(x))
    axis = arguments.pop("axis", -1)
    return family, x, loss_arguments(x[0], arguments.pop("target"), axis, **arguments)


def close(got, due):
    for a, b in zip(got, due, strict=True):
        assert (a is None) == (b is None)
        if b is not None:
            torch.testing.assert_close(a, b, rtol=2e-14, atol=2e-15)


@pytest.fixture(params=["one block", "blocks of a row"])
def _block(request, monkeypatch):
    if request.param == "blocks of a row":
        monkeypatch.setattr(_row_blocks, "_BLOCK_ELEMENTS", 1)


@pytest.mark.usefixtures("_block")
@pytest.mark.parametrize("case", CASES, ids=names(CASES))
def test_every_derivative_is_that_of_the_kernels(case):
    family, x, loss = call(case)
    ours, due = family.on_device, family.on_cpu
    needs = [tensor is not None for tensor in x]
    early = [need and loss.reduction != "none" for need in needs]
    for (value, gradients), (value_due, gradients_due) in [
        (f.value_and_grad(x, loss, early) for f in (ours, due))
    ]:
        close([value, *gradients], [value_due, *gradients_due])
    g = torch.linspace(-1, 1, max(1, value.numel()), dtype=torch.float64).reshape(value.shape)
    v = [None if tensor is None else torch.cos(tensor) for tensor in x]
    close(ours.vjp(x, g, loss, needs), due.vjp(x, g, loss, needs))
    close([ours.jvp(x, v, loss)], [due.jvp(x, v, loss)])
    close(ours.hvp(x, v, g, loss, needs), due.hvp(x, v, g, loss, needs))
    if family.bend is not None:
        close([ours.rows(x, loss).bend(v, x)], [slope_of_slope(case, x, v)])


def slope_of_slope(case, x, v):
    """Return <x, H v> of each loss by two backward passes."""
    x, v = ([tensor for tensor in tensors if tensor is not None] for tensors in (x, v))

    def along(*tensors):
        gradients = torch.autograd.functional.jacobian(case, tensors, create_graph=True)
        return sum(
            (g * d).flatten(g.ndim - d.ndim).sum(-1) for g, d in zip(gradients, v, strict=True)
        )

    rows = torch.autograd.functional.jacobian(along, tuple(x))
    return sum((g * d).flatten(g.ndim - d.ndim).sum(-1) for g, d in zip(rows, x, strict=True))


def on_device(logits, labels, **options):
    loss = loss_arguments(logits, labels, -1, **options)
    value, (gradient,) = CROSS_ENTROPY.on_device.value_and_grad((logits,), loss, [True])
    return value, gradient


def test_nothing_cancels():
    z = torch.tensor([[20.0, 0.0]])
    value, gradient = on_device(z, torch.tensor([0]))
    due = torch.tensor([[-2.06115362e-09, 2.06115362e-09]])
    torch.testing.assert_close(gradient, due, rtol=3e-7, atol=0)
    torch.testing.assert_close(value, due[0, 1], rtol=3e-7, atol=0)
    _, gradient = on_device(torch.tensor([[30.0, 30.0, 0.0]]), torch.tensor([1]))
    torch.testing.assert_close(gradient[0, :2], torch.tensor([0.5, -0.5]))


@pytest.mark.parametrize("row", [
    [-torch.inf] * 3, [torch.inf, 0, 0], [torch.nan, 0, 0], [-torch.inf, 0, 1], [1e38, -1e38, 0],
])  # fmt: skip
@pytest.mark.parametrize("target", [torch.tensor([0]), torch.tensor([[1.0, 0.0, 0.0]])],
                         ids=["label", "target"])  # fmt: skip
def test_edges_are_those_of_the_kernels(row, target):
    z = torch.tensor([row, [0.0, 1.0, 2.0]])
    target = target.expand(2, *target.shape[1:])
    due = CROSS_ENTROPY.on_cpu.value_and_grad(
        (z,), loss_arguments(z, target, -1, reduction="sum"), [True])  # fmt: skip
    value, gradient = on_device(z, target, reduction="sum")
    torch.testing.assert_close(value, due[0], equal_nan=True)
    torch.testing.assert_close(gradient, due[1][0], equal_nan=True)


def test_absent_rows_and_classes_may_hold_anything():
    z = torch.from_numpy(TENSORS["logits"]).movedim(1, -1).reshape(-1, 4).clone()
    labels = LABELS.reshape(-1).long()
    where = WHERE.movedim(1, -1).reshape(-1, 4).clone()
    where[1] = False
    z[0], z[1], labels[0] = torch.nan, torch.nan, -100
    z = z.masked_fill(~where, torch.nan)
    arguments = {"ignore_index": -100, "where": where, **BENT}
    value, gradient = on_device(z, labels, **arguments)
    leaf = z.clone().requires_grad_()
    due = ct.cross_entropy(leaf, labels, **arguments)
    assert due.isfinite()
    torch.testing.assert_close(value, due.detach())
    torch.testing.assert_close(gradient, torch.autograd.grad(due, leaf)[0])


@pytest.mark.usefixtures("_block")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("layer", [False, True], ids=["logits", "layer"])
def test_labels_without_options_take_few_operations(monkeypatch, layer, reduction):
    """One softmax a block, and rows that are left out may hold anything."""
    monkeypatch.setattr(_device_losses, "Rows", None)  # those with options
    family = _LINEAR if layer else CROSS_ENTROPY
    rng = torch.Generator().manual_seed(5)
    x = [torch.randn(7, 4, generator=rng, dtype=torch.float64)]
    x += [torch.randn(n, generator=rng, dtype=torch.float64) for n in ((4, 4), (4,))] * layer
    x[0][2] = torch.nan
    x[0][3] *= 40
    labels = torch.tensor([0, 1, -1, 2, 3, 0, -1], dtype=torch.int16)
    loss = loss_arguments(x[0], labels, -1, ignore_index=-1, reduction=reduction)
    ours, due = family.on_device, family.on_cpu
    needs = [True] * len(x)
    early = [reduction != "none"] * len(x)
    value, gradients = ours.value_and_grad(x, loss, early)
    value_due, gradients_due = due.value_and_grad(x, loss, early)
    close([value], [value_due])
    if reduction != "none":
        close(gradients, gradients_due)
    g = torch.linspace(-1, 1, value.numel(), dtype=torch.float64).reshape(value.shape)
    close(ours.vjp(x, g, loss, needs), due.vjp(x, g, loss, needs))
    close(ours.vjp(x, 0 * g, loss, needs), [torch.zeros_like(tensor) for tensor in x])


@pytest.mark.parametrize("empty", ["nan", "zero", "raise"])
def test_a_mean_over_nothing(empty):
    arguments = {"ignore_index": 0, "empty": empty}
    z, labels = torch.zeros(2, 3), torch.tensor([0, 0])
    if empty == "raise":
        with pytest.raises(ValueError, match="the mean is over no rows"):
            on_device(z, labels, **arguments)
        return
    value, gradient = on_device(z, labels, **arguments)
    due = torch.tensor(torch.nan if empty == "nan" else 0.0)
    torch.testing.assert_close(value, due, equal_nan=True)
    torch.testing.assert_close(gradient, due.expand(2, 3), equal_nan=True)


def test_errors_name_row_and_value():
    z = torch.zeros(3, 4)
    with pytest.raises(ValueError, match=r"labels\[1\] is 4, but there are 4 classes"):
        on_device(z, torch.tensor([0, 4, 1]))
    with pytest.raises(ValueError, match="row 2 is on a class that `where` masks"):
        on_device(z, torch.tensor([0, 0, 1]), where=torch.tensor([True, False, True, True]))
    with pytest.raises(ValueError, match="targets of row 0 hold -1"):
        on_device(z, -torch.ones(3, 4))


ALL = [*SOFTMAXES, *CASES, *FEATURES]


def moved(value, device):
    """Return arguments, tensors among them on another device."""
    if isinstance(value, TopKTargets):
        return value._replace(
            **{name: moved(part, device) for name, part in value._asdict().items()}
        )
    return value.to(device) if isinstance(value, torch.Tensor) else value


def on(case, device):
    """Return a case and its leaves on another device."""
    arguments = {name: moved(value, device) for name, value in case.arguments.items()}
    tensors = [tensor.detach().to(device).requires_grad_() for tensor in case.tensors]
    return case._replace(arguments=arguments), tensors


@pytest.mark.parametrize("case", ALL, ids=names(ALL))
def test_tensors_without_numbers_have_shapes(case):
    """On device "meta" shapes and dtypes are found, of results and gradients, and no number."""
    if case.arguments.get("deterministic"):
        pytest.skip("the order of sums is that of the CPU")
    due = case(*case.tensors)
    placed, tensors = on(case, "meta")
    got = placed(*tensors)
    assert got.is_meta
    assert (got.shape, got.dtype) == (due.shape, due.dtype)
    gradients = torch.autograd.grad(got.sum(), tensors)
    assert all(g.is_meta and g.shape == t.shape for g, t in zip(gradients, tensors, strict=True))


@pytest.mark.parametrize("name", ["target", "sample_weight", "class_weight", "where"])
def test_tensors_on_two_devices_are_refused(name):
    arguments = {
        "target": LABELS,
        "sample_weight": torch.ones(3, 2),
        "class_weight": torch.ones(4),
        "where": torch.ones(3, 4, 2, dtype=torch.bool),
    }
    arguments[name] = arguments[name].to("meta")
    z = torch.from_numpy(TENSORS["logits"])
    with pytest.raises(ValueError, match=rf"{name} is on device meta.*pass {name}.to\(\"cpu\"\)"):
        ct.cross_entropy(z, axis=1, **arguments)


def test_a_layer_on_two_devices_is_refused():
    x, weight, bias = (torch.from_numpy(TENSORS[name]) for name in ("batch", "weight", "bias"))
    for arguments, name in (((x, weight.to("meta")), "weight"), ((x.to("meta"), weight), "weight")):
        with pytest.raises(ValueError, match=f"{name} is on device"):
            ct.linear_cross_entropy(*arguments, LABELS)
        with pytest.raises(ValueError, match=f"{name} is on device"):
            ct.linear_statistics(*arguments)
    with pytest.raises(ValueError, match="bias is on device meta"):
        ct.linear_cross_entropy(x, weight, LABELS, bias=bias.to("meta"))
    with pytest.raises(ValueError, match="beta is on device meta"):
        ct.gaussian_features(x, weight, torch.ones(4, device="meta"))
