"""Every operation and derivative on a CUDA device, against the same on the CPU."""

import pytest
import torch
import torch.nn.functional as F

import crossent.torch as ct
from crossent.torch import nn
from tests.pytorch.operations import FEATURES, LINEAR, LOSSES, SOFTMAXES, names
from tests.pytorch.test_device import on

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")

# "fixed bits" asks for an order of sums that only the CPU keeps
CASES = [
    case
    for case in [*SOFTMAXES, *LOSSES, *LINEAR, *FEATURES]
    if not case.arguments.get("deterministic")
]
FORMATS = {torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 2e-2}


def derivatives(case, device):
    """Return value, gradients and second derivatives."""
    case, tensors = on(case, device)
    value = case(*tensors)
    g = torch.linspace(-1, 1, value.numel(), dtype=value.dtype, device=device).reshape(value.shape)
    gradients = torch.autograd.grad(value, tensors, g, create_graph=True)
    directions = [torch.cos(tensor.detach()) for tensor in tensors]
    return [value, *gradients, *torch.autograd.grad(gradients, tensors, directions)]


def close(got, due, rtol=1e-12, atol=1e-13):
    for a, b in zip(got, due, strict=True):
        assert a.is_cuda
        torch.testing.assert_close(a.cpu(), b.cpu(), rtol=rtol, atol=atol)


@pytest.mark.parametrize("case", CASES, ids=names(CASES))
def test_every_derivative_is_that_of_the_cpu(case):
    close(derivatives(case, "cuda"), derivatives(case, "cpu"))


@pytest.mark.parametrize("case", CASES, ids=names(CASES))
def test_forward_mode_is_that_of_the_cpu(case):
    def along(device):
        placed, tensors = on(case, device)
        tensors = [tensor.detach() for tensor in tensors]
        return torch.func.jvp(placed, tuple(tensors), tuple(torch.cos(t) for t in tensors))

    close(along("cuda"), along("cpu"))


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("dtype", FORMATS)
def test_every_format(dtype, reduction):
    generator = torch.Generator().manual_seed(1)
    x, w = torch.randn(64, 24, generator=generator), torch.randn(300, 24, generator=generator)
    labels = torch.randint(0, 300, (64,), generator=generator)
    x, w = x.to(dtype), w.to(dtype)
    given = [t.cuda().requires_grad_() for t in (x, w)]
    loss = ct.linear_cross_entropy(*given, labels.cuda(), reduction=reduction)
    got = [loss, *torch.autograd.grad(loss, given, torch.ones_like(loss))]
    wide = [t.double().requires_grad_() for t in (x, w)]
    value = F.cross_entropy(F.linear(*wide), labels, reduction=reduction)
    due = [value, *torch.autograd.grad(value, wide, torch.ones_like(value))]
    for a, b in zip(got, due, strict=True):
        error = (a.cpu().double() - b).abs().max() / b.abs().max()
        assert error < FORMATS[dtype]
    assert [g.dtype for g in got[1:]] == [dtype, dtype]


@pytest.mark.parametrize("dtype", FORMATS)
def test_second_derivatives_in_every_format(dtype):
    generator = torch.Generator().manual_seed(6)
    x, w, v = (torch.randn(n, 24, generator=generator).to(dtype) for n in (64, 300, 300))
    labels = torch.randint(0, 300, (64,), generator=generator)

    def hessian_product(loss, x, w, v, labels):
        w = w.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(x, w, labels), w, create_graph=True)
        return torch.autograd.grad(gradient, w, v)[0]

    got = hessian_product(ct.linear_cross_entropy, *(t.cuda() for t in (x, w, v, labels)))
    wide = (t.double() for t in (x, w, v))
    due = hessian_product(lambda x, w, t: F.cross_entropy(F.linear(x, w), t), *wide, labels)
    assert got.dtype == dtype
    assert (got.cpu().double() - due).abs().max() < 2 * FORMATS[dtype] * due.abs().max()


@pytest.mark.parametrize("dtypes", [(torch.float64,) * 2, (torch.bfloat16, torch.float32)])
def test_statistics_are_those_of_the_cpu(dtypes):
    generator = torch.Generator().manual_seed(7)
    sizes = zip((50, 30), dtypes, strict=True)
    given = [torch.randn(n, 8, generator=generator).to(dtype) for n, dtype in sizes]
    labels = torch.randint(0, 30, (50,), generator=generator)
    due = ct.linear_statistics(*given, labels, top_k=3)
    got = ct.linear_statistics(*(t.cuda() for t in given), labels.cuda(), top_k=3)
    for a, b in zip(got, due, strict=True):
        assert a.is_cuda
        rtol = {torch.float64: 1e-12, torch.bfloat16: 2e-2}.get(b.dtype, 1e-5)
        torch.testing.assert_close(a.cpu(), b, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("linear", [False, True], ids=["logits", "layer"])
def test_compiled(linear):
    torch.manual_seed(2)
    x = torch.randn(32, 16, device="cuda", requires_grad=True)
    w = torch.randn(40, 16, device="cuda", requires_grad=True)
    labels = torch.randint(0, 40, (32,), device="cuda")

    def loss(x, w):
        return (
            ct.linear_cross_entropy(x, w, labels) if linear else ct.cross_entropy(x @ w.T, labels)
        )

    due = loss(x, w)
    got = torch.compile(loss, fullgraph=True)(x, w)
    close(
        [got, *torch.autograd.grad(got, (x, w))],
        [due, *torch.autograd.grad(due, (x, w))],
        rtol=1e-5,
        atol=1e-6,
    )


def test_training_under_autocast_with_a_scaler_is_that_of_torch():
    def trained(criterion):
        torch.manual_seed(3)
        model = torch.nn.Sequential(
            torch.nn.Linear(12, 32), torch.nn.Tanh(), torch.nn.Linear(32, 9)
        )
        model = model.cuda()
        generator = torch.Generator().manual_seed(4)
        x = torch.randn(256, 12, generator=generator).cuda()
        labels = torch.randint(0, 9, (256,), generator=generator).cuda()
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        scaler = torch.amp.GradScaler("cuda")
        losses = []
        for _ in range(20):
            optimizer.zero_grad()
            with torch.autocast("cuda", dtype=torch.float16):
                value = criterion(model(x), labels)
            scaler.scale(value).backward()
            scaler.step(optimizer)
            scaler.update()
            losses.append(value.detach())
        return torch.stack(losses)

    ours, theirs = trained(nn.CrossEntropyLoss()), trained(torch.nn.CrossEntropyLoss())
    torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=1e-3)
    assert ours[-1] < ours[0]


def test_the_logits_of_a_layer_are_never_there():
    """32768 x 8192 float32 logits would be 1 GiB, and eager torch holds them three times."""
    x = torch.randn(32768, 64, device="cuda", requires_grad=True)
    w = torch.randn(8192, 64, device="cuda", requires_grad=True)
    labels = torch.randint(0, 8192, (32768,), device="cuda")
    ct.linear_cross_entropy(x[:8], w, labels[:8]).backward()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    ct.linear_cross_entropy(x, w, labels).backward()
    assert torch.cuda.max_memory_allocated() - before < 512 << 20


def test_work_on_another_stream_is_awaited():
    stream = torch.cuda.Stream()
    z, labels = torch.randn(4096, 512), torch.randint(0, 512, (4096,))
    due = ct.cross_entropy(z, labels)
    with torch.cuda.stream(stream):
        got = ct.cross_entropy(z.cuda(), labels.cuda())
    torch.cuda.current_stream().wait_stream(stream)
    torch.testing.assert_close(got.cpu(), due, rtol=1e-5, atol=1e-6)


def test_tensors_on_two_devices_are_refused():
    z, labels = torch.zeros(3, 4, device="cuda"), torch.tensor([0, 1, 2])
    with pytest.raises(ValueError, match=r"is on device cpu"):
        ct.cross_entropy(z, labels)


def test_errors_name_row_and_value():
    z, labels = torch.zeros(3, 4, device="cuda"), torch.tensor([0, 4, 1], device="cuda")
    with pytest.raises(ValueError, match=r"labels\[1\] is 4, but there are 4 classes"):
        ct.cross_entropy(z, labels)
