"""Statistics of a linear layer: those of arrays, also in torch's operations; no derivative."""

import pytest
import torch

import crossent as ce
import crossent.torch as ct
from crossent.torch._linear_statistics import _over_ranks
from crossent.torch._loss import truth_tensors
from tests.pytorch.operations import FEW, FEW_AND_TAIL, LABELS, SOFT, TENSORS, as_arrays

X, WEIGHT, BIAS = (torch.from_numpy(TENSORS[name]) for name in ("batch", "weight", "bias"))
each_target = pytest.mark.parametrize(
    "target", [None, LABELS, SOFT.movedim(1, -1), FEW_AND_TAIL],
    ids=["none", "labels", "targets", "top-k targets"],
)  # fmt: skip


@each_target
@pytest.mark.parametrize("top_k", [0, 3])
def test_statistics_are_those_of_arrays(target, top_k):
    found = ct.linear_statistics(X, WEIGHT, target, bias=BIAS, top_k=top_k)
    truth = as_arrays({"target": target})["target"]
    due = ce.linear_statistics(X.numpy(), WEIGHT.numpy(), truth, bias=BIAS.numpy(), top_k=top_k)
    for name in ("lse", "entropy", "argmax"):
        assert (getattr(found, name).numpy() == getattr(due, name)).all()
    assert (found.log_probability is None) == (target is None)
    assert found.top_indices.shape == (3, 2, top_k)
    if top_k:
        assert (found.top_indices.numpy() == due.top_k.indices).all()
        assert (found.top_probabilities.numpy() == due.top_k.probabilities).all()
    tensors = (None, None, "zero") if target is None else truth_tensors(target, X)
    elsewhere = _over_ranks(X, WEIGHT, BIAS, *tensors, top_k, None)
    for name, value in found._asdict().items():
        if value is not None:
            torch.testing.assert_close(getattr(elsewhere, name), value, rtol=5e-15, atol=5e-15)


def test_the_operator_is_what_it_says():
    for target in ((None, None, "zero"), (LABELS, None, "zero"), truth_tensors(FEW, X)):
        arguments = (X, WEIGHT, None, *target, 2, None)
        found = torch.library.opcheck(torch.ops.crossent.linear_statistics.default, arguments)
        assert set(found.values()) == {"SUCCESS"}
    compiled = torch.compile(lambda x: ct.linear_statistics(x, WEIGHT).entropy, fullgraph=True,
                             backend="aot_eager")  # fmt: skip
    assert torch.equal(compiled(X), ct.linear_statistics(X, WEIGHT).entropy)


def test_a_derivative_is_refused():
    weight = WEIGHT.clone().requires_grad_()
    lse = ct.linear_statistics(X, weight).lse
    with pytest.raises(NotImplementedError, match="no derivative"):
        lse.sum().backward()
    with pytest.raises(NotImplementedError, match="no derivative"):
        torch.func.jvp(lambda w: ct.linear_statistics(X, w).lse, (WEIGHT,), (WEIGHT,))
    with pytest.raises(ValueError, match="top_k"):
        ct.linear_statistics(X, WEIGHT, top_k=5)
