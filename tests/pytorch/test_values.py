"""Tensors give what arrays give, to the last bit: every dtype, axis, layout and option."""

import numpy as np
import pytest
import torch

import crossent as ce
import crossent.torch as ct
from crossent.torch._tensors import array_of, empty_like, tensor_of
from tests.pytorch.operations import (
    BENT,
    CASES,
    LINEAR,
    LOSSES,
    TENSORS,
    WEIGHTED,
    as_arrays,
    names,
)  # fmt: skip

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype)[6:])


BITWISE = [case for case in CASES if case not in LINEAR]  # all but what passes through a BLAS


def same(tensor, array):
    """Compare bits: dtype, shape and every value."""
    array = np.asarray(array)
    assert str(tensor.dtype)[6:] == array.dtype.name
    assert tuple(tensor.shape) == array.shape
    np.testing.assert_array_equal(array_of(tensor), array)


@each_dtype
@pytest.mark.parametrize("case", BITWISE, ids=names(BITWISE))
def test_values_are_those_of_arrays(case, dtype):
    tensors = [tensor.detach().to(dtype) for tensor in case.tensors]
    same(case(*tensors), case.on_arrays(*map(array_of, tensors)))
    asking = [tensor.clone().requires_grad_() for tensor in tensors]
    same(case(*asking), case.on_arrays(*map(array_of, tensors)))


@each_dtype
@pytest.mark.parametrize("case", LOSSES, ids=names(LOSSES))
def test_gradients_are_those_of_arrays(case, dtype):
    (z,) = (tensor.detach().to(dtype).requires_grad_() for tensor in case.tensors)
    value_and_grad = getattr(ce, case.operation + "_value_and_grad")
    arguments = as_arrays(case.arguments)
    _, due = value_and_grad(array_of(z.detach()), **arguments)
    case(z).sum().backward()
    same(z.grad, due)


TOLERANCE = {torch.float64: 1e-14, torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 1e-2}


@each_dtype
@pytest.mark.parametrize("case", LINEAR, ids=names(LINEAR))
def test_the_linear_layer_is_that_of_arrays(case, dtype):
    """Loss and gradients, whether they are computed in the forward or the backward pass."""
    tensors = [tensor.detach().to(dtype).requires_grad_() for tensor in case.tensors]
    arguments = as_arrays(case.arguments)
    arrays = [array_of(tensor) for tensor in tensors]
    if len(arrays) == 3:
        arguments["bias"] = arrays.pop()
    if arguments.get("reduction") == "none":
        arguments["cotangent"] = np.ones((3, 2))
    due, gradients = ce.linear_cross_entropy_value_and_grad(*arrays, **arguments)
    loss = case(*tensors)
    loss.sum().backward()
    tolerance = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    torch.testing.assert_close(loss.detach(), tensor_of(due), **tolerance)
    for tensor, gradient in zip(tensors, gradients, strict=False):
        torch.testing.assert_close(tensor.grad, tensor_of(gradient), **tolerance)


def test_fixed_bits_are_those_of_arrays():
    """For any workspace: with the product that arrays have."""
    case = next(case for case in LINEAR if case.name == "linear, fixed bits")
    arrays = [tensor.detach().numpy() for tensor in case.tensors]
    *given, bias = arrays
    due, gradients = ce.linear_cross_entropy_value_and_grad(
        *given, **as_arrays(case.arguments), bias=bias
    )
    loss = case(*(tensors := case.tensors))
    loss.backward()
    same(loss.detach(), due)
    for tensor, gradient in zip(tensors, gradients, strict=True):
        same(tensor.grad, gradient)


def test_fixed_bits_are_refused_where_they_cannot_be():
    x = torch.zeros(2, 3, device="meta")
    with pytest.raises(NotImplementedError, match="but got device meta"):
        ct.linear_cross_entropy(x, x, torch.tensor([0, 1]), deterministic=True)
    with pytest.raises(NotImplementedError, match="but got process_group"):
        ct.linear_cross_entropy(
            torch.zeros(2, 3), torch.zeros(2, 3), torch.tensor([0, 1]), deterministic=True,
            process_group=object(),
        )  # fmt: skip


def test_few_targets_are_refused_for_one_logit_a_row():
    target = ce.TopKTargets(torch.tensor([[0]]), torch.tensor([[1.0]]))
    with pytest.raises(TypeError, match="one logit a row has none"):
        ct.binary_cross_entropy(torch.zeros(1), target)
    with pytest.raises(ValueError, match=r"probabilities\.detach\(\)"):
        ct.cross_entropy(
            torch.zeros(1, 2), target._replace(probabilities=torch.ones(1, 1, requires_grad=True))
        )


def test_a_layer_of_two_dtypes_is_computed_in_the_wider():
    x, weight = torch.randn(3, 4).bfloat16(), torch.randn(5, 4, requires_grad=True)
    labels = torch.tensor([0, 1, 4])
    loss = ct.linear_cross_entropy(x, weight, labels)
    assert loss == ct.linear_cross_entropy(x.float(), weight, labels)
    loss.backward()
    assert weight.grad.dtype == torch.float32


@pytest.mark.parametrize("integers", [torch.int8, torch.uint8, torch.int16, torch.int32,
                                      torch.int64, torch.uint32])  # fmt: skip
def test_labels_of_any_integer_dtype(integers):
    z = torch.tensor([[1.0, 2.0, 0.5], [0.0, 1.0, 3.0]])
    due = ct.cross_entropy(z, torch.tensor([2, 1]))
    assert ct.cross_entropy(z, torch.tensor([2, 1]).to(integers)) == due
    assert ct.cross_entropy(z, [2, 1]) == due


def test_integer_logits_are_computed_in_float64():
    z = torch.tensor([[100, 0, 101]], dtype=torch.int8)
    assert ct.softmax(z).dtype == torch.float64
    same(ct.softmax(z), ce.softmax(z.numpy()))
    same(ct.cross_entropy(z, torch.tensor([1])), ce.cross_entropy(z.numpy(), [1]))


@pytest.mark.parametrize("layout", ["transposed", "strided", "channels last", "expanded"])
def test_any_layout(layout):
    z = torch.from_numpy(TENSORS["logits"])
    z = {
        "transposed": z.transpose(0, 2),
        "strided": z[:, ::2],
        "channels last": z[..., None].to(memory_format=torch.channels_last)[..., 0],
        "expanded": z[:1].expand(3, -1, -1),
    }[layout]
    same(ct.log_softmax(z, axis=1), ce.log_softmax(np.ascontiguousarray(z.numpy()), axis=1))


def test_no_rows_follow_the_policy():
    z, labels = torch.empty(0, 3, requires_grad=True), torch.empty(0, dtype=torch.int64)
    assert ct.cross_entropy(z, labels).isnan()
    assert ct.cross_entropy(z, labels, empty="zero") == 0
    assert ct.cross_entropy(z, labels, reduction="none").shape == (0,)
    with pytest.raises(ValueError, match="the mean is over no rows"):
        ct.cross_entropy(z, labels, empty="raise")
    ct.cross_entropy(z, labels, reduction="sum").backward()
    assert z.grad.shape == (0, 3)


@pytest.mark.parametrize("array", [[[1.0, 2.0]], np.ones((1, 2))], ids=["list", "array"])
def test_what_is_no_tensor_is_refused_with_a_way_out(array):
    label, weight = torch.tensor([0]), torch.ones(3, 2)
    calls = [
        ("logits", lambda: ct.softmax(array)),
        ("logits", lambda: ct.log_softmax(array)),
        ("logits", lambda: ct.logsumexp(array)),
        ("logits", lambda: ct.cross_entropy(array, label)),
        ("logits", lambda: ct.binary_cross_entropy(array, torch.ones(1, 2))),
        ("inputs", lambda: ct.linear_cross_entropy(array, weight, label)),
        ("weight", lambda: ct.linear_cross_entropy(torch.ones(1, 2), array, label)),
        ("inputs", lambda: ct.linear_statistics(array, weight)),
        ("inputs", lambda: ct.gaussian_features(array, weight, torch.ones(3))),
        ("centers", lambda: ct.gaussian_features(weight, array, torch.ones(1))),
    ]
    for name, call in calls:
        words = rf"{name} must be a torch.Tensor, got .*: pass torch.as_tensor\({name}\)"
        with pytest.raises(TypeError, match=words):
            call()


@pytest.mark.parametrize("bad", [{"reduction": "median"}, {"label_smoothing": 2.0},
                                 {"temperature": 0.0}, {"normalizer": -1.0},
                                 {"class_weight": torch.ones(3)}])  # fmt: skip
def test_errors_are_those_of_arrays(bad):
    z, labels = torch.zeros(2, 4), torch.tensor([0, 3])
    with pytest.raises(ValueError) as ours:  # noqa: PT011
        ct.cross_entropy(z, labels, **bad)
    arrays = as_arrays(bad)
    with pytest.raises(ValueError) as theirs:  # noqa: PT011
        ce.cross_entropy(z.numpy(), labels.numpy(), **arrays)
    assert str(ours.value) == str(theirs.value)


def test_float16_gradients_of_a_scaled_mean_do_not_underflow():
    """1e-8 is nothing in float16; a scaler's 2^16 must come in before the rounding."""
    n, scale = 4096, 2.0**16
    z = torch.zeros(n, 1000, dtype=torch.float16, requires_grad=True)
    labels = torch.zeros(n, dtype=torch.int64)
    for sign in (1.0, -1.0):
        (gradient,) = torch.autograd.grad(ct.cross_entropy(z, labels) * scale * sign, z)
        due = torch.tensor(sign * scale / n / 1000, dtype=torch.float16)
        assert (gradient[:, 1:] == due).all()
    assert (torch.autograd.grad(ct.cross_entropy(z, labels), z)[0][:, 1:] < 1e-6).all()


def test_memory_is_shared_both_ways():
    for dtype in DTYPES:
        tensor = torch.ones(3, dtype=dtype)
        array = array_of(tensor)
        array[0] = 5
        assert tensor[0] == 5
        again = tensor_of(array)
        assert again.data_ptr() == tensor.data_ptr()
        assert again.dtype == dtype
        assert empty_like(tensor).dtype == dtype


def test_a_tensor_is_read_where_it_lies(monkeypatch):
    from crossent import ops

    seen = []
    real = ops.cross_entropy_value_and_grad

    def spy(logits, *args, **kwargs):
        seen.append(logits)
        return real(logits, *args, **kwargs)

    monkeypatch.setattr(ops, "cross_entropy_value_and_grad", spy)
    z = torch.zeros(3, 4, requires_grad=True)
    ct.cross_entropy(z, torch.tensor([0, 1, 2])).backward()
    assert [array.ctypes.data for array in seen] == [z.data_ptr()]


def test_the_gradient_of_a_loss_is_not_copied_for_a_cotangent_of_one():
    z = torch.zeros(3, 4, requires_grad=True)
    same_memory = []
    z.register_hook(lambda gradient: same_memory.append(gradient.data_ptr()))
    loss = ct.cross_entropy(z, torch.tensor([0, 1, 2]))
    saved = [t.data_ptr() for t in loss.grad_fn.saved_tensors if t is not None]
    loss.backward()
    assert same_memory[0] in saved


def test_options_may_be_arrays():
    z = torch.from_numpy(TENSORS["logits"])
    arguments = BENT | WEIGHTED
    arrays = as_arrays(arguments)
    labels = torch.zeros(3, 2, dtype=torch.int64)
    arguments["where"] = arrays["where"] = None
    assert ct.cross_entropy(z, labels, axis=1, **arguments) == ct.cross_entropy(
        z, labels.numpy(), axis=1, **arrays
    )
