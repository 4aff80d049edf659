"""The linear layer and its loss on CPU tensors: the functions on arrays, with torch's products."""

from __future__ import annotations

import torch

from .._typing import Array, Floating
from ..ops._linear._hvp import hvp
from ..ops._linear._jvp import jvp
from ..ops._linear._one_order import one_order
from ..ops._linear._problem import LinearGradients, LinearProblem, linear_problem
from ..ops._linear._products import best_product
from ..ops._linear._value_and_grad import value_and_grad
from ._gradients import Needs, Tensors
from ._loss import LossArguments
from ._numpy_losses import folded
from ._tensors import array_of, optional_array, parameter_array, tensor_of

__all__ = ["LinearCrossEntropy"]


class LinearCrossEntropy:
    """E, G, <G, v> and H v of inputs, weight and bias."""

    def row_shape(self, primals: Tensors, loss: LossArguments) -> tuple[int, ...]:
        """The shape of the inputs without their features."""
        assert primals[0] is not None
        return tuple(primals[0].shape[:-1])

    def value_and_grad(
        self, primals: Tensors, loss: LossArguments, needs: Needs
    ) -> tuple[torch.Tensor, Tensors]:
        """In one pass over blocks of logits; unreduced losses need their cotangent first."""
        problem = _problem(primals, loss)
        with one_order(loss.deterministic and problem.by_blas):
            value, gradients = value_and_grad(problem, _names(needs), None)
        return tensor_of(value), _tensors(gradients)

    def vjp(self, primals: Tensors, g: torch.Tensor, loss: LossArguments, needs: Needs) -> Tensors:
        """g G; the cotangents of unreduced losses enter row by row."""
        problem = _problem(primals, loss)
        reduction = problem.loss.reduction
        if loss.reduction == "mean" and reduction.empty is None:
            reduction.normalizer, g = folded(reduction.normalizer, g)
        with one_order(loss.deterministic and problem.by_blas):
            _, gradients = value_and_grad(problem, _names(needs), _cotangent(g, loss))
        return _multiplied(_tensors(gradients), g)

    def jvp(self, primals: Tensors, tangents: Tensors, loss: LossArguments) -> torch.Tensor:
        """<G, v>."""
        problem = _problem(primals, loss)
        with one_order(loss.deterministic and problem.by_blas):
            return tensor_of(jvp(problem, _directions(tangents))[1])

    def hvp(
        self,
        primals: Tensors,
        tangents: Tensors,
        g: torch.Tensor,
        loss: LossArguments,
        needs: Needs,
    ) -> Tensors:
        """g H v."""
        along, factors = _directions(tangents), _cotangent(g, loss)
        problem = _problem(primals, loss)
        with one_order(loss.deterministic and problem.by_blas):
            products = hvp(problem, along, False, _names(needs), factors)
        return _multiplied(_tensors(products), g)


def torch_product(a: Floating, b: Floating, out: Floating) -> None:
    """The matrix product of torch's BLAS, which here is often faster than NumPy's."""
    torch.mm(torch.from_numpy(a), torch.from_numpy(b), out=torch.from_numpy(out))


def _problem(primals: Tensors, loss: LossArguments) -> LinearProblem:
    inputs, weight, bias = optional_array(primals[0]), *map(parameter_array, primals[1:])
    assert inputs is not None
    assert weight is not None
    product = best_product if loss.deterministic else torch_product
    return linear_problem(
        inputs, weight, loss.truth, bias, loss.workspace_bytes, loss.options, product,
        deterministic=loss.deterministic,
    )  # fmt: skip


def _names(needs: Needs) -> tuple[str, ...]:
    return tuple(name for name, need in zip(LinearGradients._fields, needs, strict=True) if need)


def _directions(tangents: Tensors) -> LinearGradients:
    inputs, *others = map(optional_array, tangents)
    if inputs is not None:
        inputs = inputs.reshape(-1, inputs.shape[-1])
    return LinearGradients(inputs, *others)


def _cotangent(g: torch.Tensor, loss: LossArguments) -> Array | None:
    return array_of(g).reshape(-1) if loss.reduction == "none" else None


def _tensors(gradients: LinearGradients) -> Tensors:
    return tuple(None if gradient is None else tensor_of(gradient) for gradient in gradients)


def _multiplied(gradients: Tensors, g: torch.Tensor) -> Tensors:
    """Times a cotangent of the whole loss, in place."""
    if g.ndim == 0 and g.item() != 1.0:
        for gradient in gradients:
            if gradient is not None:
                gradient.mul_(g)
    return gradients
