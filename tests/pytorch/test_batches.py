"""torch.vmap: what is mapped over joins the rows in one call, and members are as by themselves."""

import pytest
import torch
from torch.func import grad, hessian, jvp, vmap

import crossent as ce
import crossent.torch as ct
from crossent import ops
from crossent.torch import _batched_losses
from tests.pytorch.operations import BENT, CASES, FEW, LABELS, WHERE, names

SIZE = 3
_generator = torch.Generator().manual_seed(4)


def normal(*shape, dtype=torch.float64):
    return torch.randn(*shape, generator=_generator, dtype=dtype)


def uniform(*shape):
    return torch.rand(*shape, generator=_generator, dtype=torch.float64)


def integers(top, *shape):
    return torch.randint(top, shape, generator=_generator)


def member(value, dim, i):
    """Return one member's argument."""
    return value if dim is None else value.select(dim, i)


def by_themselves(f, in_dims, *batch):
    results = [
        f(*(member(value, dim, i) for value, dim in zip(batch, in_dims, strict=True)))
        for i in range(SIZE)
    ]
    return torch.stack(results)


def close(got, due):
    torch.testing.assert_close(got, due, rtol=1e-12, atol=1e-13, equal_nan=True)


MASKS = WHERE.expand(SIZE, *WHERE.shape) | (uniform(SIZE, *WHERE.shape) > 0.5)
MEAN, SUM, ROWS = ({"reduction": reduction} for reduction in ("mean", "sum", "none"))
SOFT_OF_ALL = uniform(SIZE, 3, 4, 2)
LABELS_OF_ALL = integers(4, SIZE, 3, 2).int()
Z, LAYER = normal(SIZE, 3, 4, 2), (normal(SIZE, 3, 2, 5), normal(4, 5), normal(4))

# what varies beside the logits: its name, its members, the dimension they lie along
VARIED = {
    "nothing else": ("target", LABELS, None),
    "labels": ("target", LABELS_OF_ALL, 0),
    "labels behind": ("target", LABELS_OF_ALL.movedim(0, 2), 2),
    "targets": ("target", SOFT_OF_ALL, 0),
    "sample weights": ("sample_weight", uniform(SIZE, 3, 2), 0),
    "mask": ("where", MASKS, 0),
    "mask of classes": ("where", torch.ones(SIZE, 4, 1, dtype=torch.bool), 0),
    "class weights": ("class_weight", uniform(SIZE, 4), 0),
}
OPTIONS = {
    "mean": MEAN,
    "sum": SUM,
    "each row": ROWS,
    "weighted mean": {"class_weight": BENT["class_weight"], "sample_weight": uniform(3, 2)},
    "counted mean": {"ignore_index": 1, "normalizer": "count", "label_smoothing": 0.1},
    "mean by a number": {"normalizer": 7.0, "z_loss": 0.1},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("varied", VARIED.values(), ids=VARIED)
def test_members_of_a_batch_of_losses(varied, options):
    name, values, dim = varied
    if name == "target" and values is SOFT_OF_ALL:
        options = {key: value for key, value in options.items() if key != "ignore_index"}

    def loss(z, value):
        return ct.cross_entropy(z, axis=1, **{"target": LABELS} | options | {name: value})

    arguments = (Z.movedim(0, -1), values)
    for of in (loss, grad(lambda *given: loss(*given).square().sum())):
        close(vmap(of, (-1, dim))(*arguments), by_themselves(of, (-1, dim), *arguments))
    (together,) = torch.autograd.grad(
        vmap(loss, (0, dim))(leaf := Z.clone().requires_grad_(), values).square().sum(), leaf
    )
    close(together, by_themselves(grad(lambda *g: loss(*g).square().sum()), (0, dim), Z, values))


@pytest.mark.parametrize("most", [1 << 22, 50, 1], ids=["together", "by two", "one by one"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("mapped", [(0, None, None), (0, 0, 0), (None, 0, None), (None, None, 0)])
def test_members_of_a_batch_of_layers(mapped, options, most, monkeypatch):
    """With inputs, weights or biases of their own; gradients of each and of all."""
    monkeypatch.setattr(_batched_losses, "_MOST_LOGITS", most)
    x, weight, bias = LAYER
    given = [
        value if dim is None else torch.stack([value, 2 * value, value.flip(0)])
        for value, dim in zip((x[0], weight, bias), mapped, strict=True)
    ]

    def loss(x, weight, bias):
        return ct.linear_cross_entropy(x, weight, LABELS, bias=bias, **options)

    def scalar(*given):
        return loss(*given).square().sum()

    close(vmap(loss, mapped)(*given), by_themselves(loss, mapped, *given))
    for i in range(3):
        of = grad(scalar, argnums=i)
        close(vmap(of, mapped)(*given), by_themselves(of, mapped, *given))
        together = grad(lambda *given: vmap(loss, mapped)(*given).square().sum(), argnums=i)
        each = by_themselves(of, mapped, *given)
        close(together(*given), each if mapped[i] == 0 else each.sum(0))


FEW_OF_ALL = FEW._replace(
    indices=torch.stack([FEW.indices, FEW.indices.flip(0), FEW.indices.flip(1)]),
    probabilities=uniform(SIZE, *FEW.probabilities.shape),
)


@pytest.mark.parametrize("options", [MEAN, ROWS, {"class_weight": BENT["class_weight"]}])
@pytest.mark.parametrize("tail", ["zero", "uniform"])
def test_members_with_targets_of_a_few_classes(tail, options):
    def loss(z, indices, probabilities):
        target = ce.TopKTargets(indices, probabilities, tail)
        return ct.cross_entropy(z, target, axis=1, **options)

    arguments = Z, FEW_OF_ALL.indices, 0.5 * FEW_OF_ALL.probabilities
    close(vmap(loss)(*arguments), by_themselves(loss, (0, 0, 0), *arguments))


@pytest.mark.parametrize("empty", ["nan", "zero", "raise"])
def test_a_member_that_is_empty(empty):
    """Its mean and its gradient follow the policy, and the others know nothing of it."""
    labels = torch.tensor([[0, 1], [2, 2], [1, 2]])
    z = normal(SIZE, 2, 4)

    def loss(z, labels):
        return ct.cross_entropy(z, labels, ignore_index=2, empty=empty)

    if empty == "raise":
        with pytest.raises(ValueError, match="the mean is over no rows"):
            vmap(loss)(z, labels)
        return
    for of in (loss, grad(loss), hessian(loss)):
        close(vmap(of)(z, labels), by_themselves(of, (0, 0), z, labels))
    assert vmap(loss)(z, labels)[1].isnan() == (empty == "nan")


@pytest.mark.parametrize("options", [MEAN, SUM, {"class_weight": torch.tensor([0.5, 2.0])}])
@pytest.mark.parametrize("target", [integers(2, SIZE, 6), uniform(SIZE, 6)],
                         ids=["labels", "probabilities"])  # fmt: skip
def test_members_of_one_logit_a_row(target, options):
    def loss(u, target):
        return ct.binary_cross_entropy(u, target, **options)

    u = normal(SIZE, 6)
    for of in (loss, grad(loss), hessian(loss)):
        close(vmap(of)(u, target), by_themselves(of, (0, 0), u, target))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_sums_of_narrow_members_are_wide(dtype, reduction):
    z, labels = normal(SIZE, 50, 4).to(dtype), integers(4, SIZE, 50)

    def loss(z, labels):
        return ct.cross_entropy(z, labels, reduction=reduction)

    got, due = vmap(loss)(z, labels), by_themselves(loss, (0, 0), z, labels)
    assert got.dtype == due.dtype
    torch.testing.assert_close(got, due, rtol=3e-7, atol=0)
    of = grad(lambda *given: loss(*given).sum())
    got, due = vmap(of)(z, labels), by_themselves(of, (0, 0), z, labels)
    assert got.dtype == dtype
    torch.testing.assert_close(got, due, rtol=2 * torch.finfo(dtype).eps, atol=1e-7)


def test_batches_within_batches_and_behind_directions():
    z = normal(2, SIZE, 3, 4)
    labels = integers(4, 2, SIZE, 3)
    due = [by_themselves(ct.cross_entropy, (0, 0), z[i], labels[i]) for i in range(2)]
    close(vmap(vmap(ct.cross_entropy))(z, labels), torch.stack(due))
    slopes = vmap(lambda v: jvp(lambda z: ct.cross_entropy(z, labels[0, 0]), (z[0, 0],), (v,))[1])
    (gradient,) = torch.autograd.grad(
        ct.cross_entropy(leaf := z[0, 0].clone().requires_grad_(), labels[0, 0]), leaf
    )
    close(slopes(z[0]), (gradient * z[0]).sum((1, 2)))


@pytest.mark.parametrize("case", CASES, ids=names(CASES))
def test_every_operation_maps_over_its_first_primal(case):
    first, *others = (tensor.detach() for tensor in case.tensors)
    batch = torch.stack([first, first.flip(0), 0.5 * first])
    of = lambda x: case(x, *others)  # noqa: E731
    close(vmap(of)(batch), by_themselves(of, (0,), batch))


def test_a_batch_of_losses_is_one_call(monkeypatch):
    """Value and gradient of a thousand single samples in one sweep of the kernels."""
    calls, real = [], ops.cross_entropy_value_and_grad

    def spy(logits, *args, **kwargs):
        calls.append(logits.shape)
        return real(logits, *args, **kwargs)

    monkeypatch.setattr(ops, "cross_entropy_value_and_grad", spy)
    z, labels = normal(1000, 4), integers(4, 1000)
    vmap(grad(ct.cross_entropy))(z, labels)
    assert calls == [(1000, 4)]


def test_gradients_of_a_layer_for_single_samples_are_one_call(monkeypatch):
    """As many gradients of the weight as samples, and no logits but theirs."""
    calls, real = [], ops.cross_entropy_value_and_grad

    def spy(logits, *args, **kwargs):
        calls.append(logits.shape)
        return real(logits, *args, **kwargs)

    monkeypatch.setattr(ops, "cross_entropy_value_and_grad", spy)
    x, weight, labels = normal(100, 5), normal(4, 5), integers(4, 100)
    x[3] = torch.nan  # of a row that is ignored
    labels[3] = -100
    of = grad(lambda weight, x, t: ct.linear_cross_entropy(x, weight, t, ignore_index=-100,
                                                           reduction="sum"))  # fmt: skip
    found = vmap(of, in_dims=(None, 0, 0))(weight, x, labels)
    assert calls == [(100, 4)]
    leaf = weight.clone().requires_grad_()
    ct.linear_cross_entropy(x, leaf, labels, ignore_index=-100, reduction="sum").backward()
    close(found.sum(0), leaf.grad)


def test_labels_out_of_range_are_found_in_a_batch():
    with pytest.raises(ValueError, match=r"labels\[2, 1\] is 4, but there are 4 classes"):
        vmap(ct.cross_entropy)(normal(SIZE, 2, 4), torch.tensor([[0, 1], [2, 3], [0, 4]]))


@pytest.mark.parametrize("wrong", [{"reduction": "median"}, {"normalizer": -1.0},
                                   {"empty": "none"}])  # fmt: skip
def test_wrong_options_are_found_in_a_batch(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        vmap(lambda z: ct.cross_entropy(z, torch.tensor([0, 1]), **wrong))(normal(SIZE, 2, 4))


def test_statistics_of_a_batch():
    x, weight, bias = LAYER
    found = vmap(lambda x: tuple(ct.linear_statistics(x, weight, LABELS, bias=bias, top_k=2)))(x)
    for i in range(SIZE):
        due = ct.linear_statistics(x[i], weight, LABELS, bias=bias, top_k=2)
        for got, right in zip(found, due, strict=True):
            close(got[i], right)
