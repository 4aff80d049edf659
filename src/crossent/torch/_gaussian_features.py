"""Gaussian features of tensors."""

from __future__ import annotations

from typing import Any

import torch

from .. import ops
from ._joined import joined
from ._operator import Operator, differentiated_further, is_final, primals_of
from ._tensors import array_of, check_device, check_tensor, float_dtype, parameter_array, tensor_of

__all__ = ["gaussian_features"]

_BLOCK_ELEMENTS = 1 << 24


def gaussian_features(
    inputs: torch.Tensor, centers: torch.Tensor, beta: torch.Tensor, *, kind: str = "additive"
) -> torch.Tensor:
    """Features that say how near each input lies to each of n centers, of tensors.

    additive: ``phi_ij = sum_s exp(-beta_j (x_is - c_js)^2)``;
    radial: ``phi_ij = exp(-beta_j sum_s (x_is - c_js)^2)``.

    Parameters
    ----------
    inputs : Tensor, shape (..., D)
    centers : Tensor, shape (n, D)
    beta : Tensor, shape (n,)
        Positive: a feature narrows as its beta grows.
    kind : {"additive", "radial"}

    Returns
    -------
    Tensor, shape (..., n), dtype of ``inputs``

    Raises
    ------
    TypeError, ValueError
        As :func:`crossent.gaussian_features`.

    Notes
    -----
    Differentiable in all three, to any order. First derivatives of CPU tensors are the kernels';
    the others are formed in torch's operations with memory for all N x n x D differences.

    Examples
    --------
    >>> import torch
    >>> from crossent.torch import gaussian_features
    >>> gaussian_features(torch.zeros(1, 2), torch.zeros(1, 2), torch.ones(1))
    tensor([[2.]])
    """
    check_tensor(inputs, "inputs")
    check_device(centers, inputs, "centers")
    check_device(beta, inputs, "beta")
    return _gaussian_features(inputs, centers, beta, kind)


@Operator
class _gaussian_features:
    """phi, and what comes back from h = dE/dphi."""

    schema = "gaussian_features(Tensor inputs, Tensor centers, Tensor beta, str kind) -> Tensor"

    @staticmethod
    def compute(x: torch.Tensor, c: torch.Tensor, beta: torch.Tensor, kind: str) -> torch.Tensor:
        if x.is_cpu:
            arrays = array_of(x), parameter_array(c), parameter_array(beta)
            return tensor_of(ops.gaussian_features(*arrays, kind=kind))
        rows = x.reshape(-1, x.shape[-1])
        blocks = [_formula(block, c, beta, kind) for block in rows.split(_block_rows(c))]
        return torch.cat(blocks).to(float_dtype(x)).reshape(*x.shape[:-1], len(c))

    @staticmethod
    def fake(x: torch.Tensor, c: torch.Tensor, beta: torch.Tensor, kind: str) -> torch.Tensor:
        return x.new_empty((*x.shape[:-1], len(c)), dtype=float_dtype(x))

    @staticmethod
    def batched(operator: Operator, size: int, in_dims: Any, args: Any) -> Any:
        """Inputs of all members are rows; centers and beta of their own are not shared."""
        dim, *others = in_dims
        if any(other is not None for other in others):
            return None
        return operator(joined(args[0], dim, size), *args[1:]), 0

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        *tensors, ctx.kind = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, h: torch.Tensor | None) -> tuple[Any, ...]:
        if h is None:
            return None, None, None, None
        x, c, beta = ctx.saved_tensors
        if is_final(x, c, beta, h):
            arrays = array_of(x), parameter_array(c), parameter_array(beta), array_of(h)
            found = ops.gaussian_features_vjp(*arrays, kind=ctx.kind)
            return *(None if part is None else tensor_of(part) for part in found), None
        rows, of_rows = x.reshape(-1, x.shape[-1]), h.reshape(-1, len(c))
        step = max(1, len(rows)) if differentiated_further() else _block_rows(c)
        pairs = zip(rows.split(step), of_rows.split(step), strict=True)
        parts = (_vjp(block, c, beta, of, ctx.kind) for block, of in pairs)
        dx, dc, dbeta = zip(*parts, strict=True)
        return torch.cat(dx).reshape(x.shape), sum(dc), sum(dbeta), None

    @staticmethod
    def jvp(ctx: Any, *tangents: torch.Tensor | None) -> torch.Tensor:
        x, c, beta = primals_of(ctx)
        dx, dc, dbeta = (
            torch.zeros_like(p) if t is None else t
            for p, t in zip((x, c, beta), tangents, strict=False)
        )
        d = x.unsqueeze(-2) - c
        e = _exponentials(d, beta, ctx.kind)
        slope = d * d * dbeta.unsqueeze(-1) + 2 * d * (dx.unsqueeze(-2) - dc) * beta.unsqueeze(-1)
        return -(e * slope).sum(-1)


# The same in torch's operations, which can be differentiated to any order: d (N, n, D) are the
# differences x - c, e their exponentials, (N, n, 1) for the radial kind.


def _exponentials(d: torch.Tensor, beta: torch.Tensor, kind: str) -> torch.Tensor:
    squares = d * d if kind == "additive" else (d * d).sum(-1, keepdim=True)
    return torch.exp(-beta.unsqueeze(-1) * squares)


def _formula(x: torch.Tensor, c: torch.Tensor, beta: torch.Tensor, kind: str) -> torch.Tensor:
    return _exponentials(x.unsqueeze(-2) - c, beta, kind).sum(-1)


def _vjp(
    x: torch.Tensor, c: torch.Tensor, beta: torch.Tensor, h: torch.Tensor, kind: str
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """dx = -2 sum_j h beta d e, dc = 2 beta sum_i h d e, dbeta = -sum_i h sum_s d^2 e."""
    d = x.unsqueeze(-2) - c
    t = h.unsqueeze(-1) * _exponentials(d, beta, kind) * d
    return (
        -2 * (beta.unsqueeze(-1) * t).sum(-2),
        2 * beta.unsqueeze(-1) * t.sum(0),
        -(t * d).sum((0, 2)),
    )


def _block_rows(centers: torch.Tensor) -> int:
    return max(1, _BLOCK_ELEMENTS // max(1, centers.numel()))
