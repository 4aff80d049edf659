"""torch on the CPU, as its users call it (eager), with and without `out=`."""

# torch is there with the extra `bench` only
# pyright: reportMissingImports=false

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from .problems import Arrays, Calls, Problem, blocks

NAME = "torch"
VERSION = torch.__version__

BLOCK = 64 << 20  # bytes of differences that Gaussian features may hold at once


def set_threads(n: int) -> None:
    torch.set_num_threads(n)


def tensor(array: np.ndarray) -> torch.Tensor:
    """Return the same memory as a tensor; torch reads no bfloat16 array, but its bits."""
    if array.dtype == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def numpy(result: torch.Tensor) -> np.ndarray:
    """Return a result as an array that NumPy can compute with."""
    result = result.detach()
    return (result.float() if result.dtype == torch.bfloat16 else result).numpy()


def softmax(problem: Problem, arrays: Arrays) -> Calls:
    z, axis = tensor(arrays["logits"]), problem.axis
    out = torch.empty_like(z)
    return {
        "fresh": lambda: torch.softmax(z, axis),
        "out": lambda: torch.softmax(z, axis, out=out),
    }


def log_softmax(problem: Problem, arrays: Arrays) -> Calls:
    z, axis = tensor(arrays["logits"]), problem.axis
    out = torch.empty_like(z)
    return {
        "fresh": lambda: torch.log_softmax(z, axis),
        "out": lambda: torch.log_softmax(z, axis, out=out),
    }


def logsumexp(problem: Problem, arrays: Arrays) -> Calls:
    z, axis = tensor(arrays["logits"]), problem.axis
    out = torch.logsumexp(z, axis)
    return {
        "fresh": lambda: torch.logsumexp(z, axis),
        "out": lambda: torch.logsumexp(z, axis, out=out),
    }


def softmax_vjp(problem: Problem, arrays: Arrays) -> Calls:
    p, g, axis = tensor(arrays["probabilities"]), tensor(arrays["cotangent"]), problem.axis
    out, backward = torch.empty_like(p), torch.ops.aten._softmax_backward_data
    return {
        "fresh": lambda: backward(g, p, axis, p.dtype),
        "out": lambda: backward.out(g, p, axis, p.dtype, grad_input=out),
    }


def log_softmax_vjp(problem: Problem, arrays: Arrays) -> Calls:
    q, g, axis = tensor(arrays["log_probabilities"]), tensor(arrays["cotangent"]), problem.axis
    out, backward = torch.empty_like(q), torch.ops.aten._log_softmax_backward_data
    return {
        "fresh": lambda: backward(g, q, axis, q.dtype),
        "out": lambda: backward.out(g, q, axis, q.dtype, out=out),
    }


def logsumexp_vjp(problem: Problem, arrays: Arrays) -> Calls:
    """Only the way back is timed: torch has kept the logsumexp, crossent computes it again."""
    z, g = tensor(arrays["logits"]).requires_grad_(), tensor(arrays["cotangent"])
    lse = torch.logsumexp(z, problem.axis)
    return {"fresh": lambda: torch.autograd.grad(lse, z, g, retain_graph=True)[0]}


def loss_calls(loss: Any, wanted: list[torch.Tensor], *further: torch.Tensor) -> Calls:
    """Return the call of a loss of some tensors with its gradients in them, as in training."""
    for variable in wanted:
        variable.requires_grad_()

    def call():
        value = loss(*wanted, *further)
        return value, *torch.autograd.grad(value, wanted)

    return {"fresh": call}


def cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    z, labels = tensor(arrays["logits"]), tensor(arrays["labels"])
    return loss_calls(functional.cross_entropy, [z], labels)


def binary_cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    u, y = tensor(arrays["logits"]), tensor(arrays["targets"])
    return loss_calls(functional.binary_cross_entropy_with_logits, [u], y)


def linear_cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    x, w, labels = (tensor(arrays[name]) for name in ("inputs", "weight", "labels"))
    return loss_calls(
        lambda x, w, labels: functional.cross_entropy(functional.linear(x, w), labels),
        [x, w],
        labels,
    )


def features(x: torch.Tensor, c: torch.Tensor, beta: torch.Tensor, kind: str) -> torch.Tensor:
    """Return Gaussian features of one block of rows: radial ones by a matrix product."""
    if kind == "radial":
        return torch.exp(-beta * ((x * x).sum(1)[:, None] + (c * c).sum(1) - 2 * (x @ c.T)))
    return torch.exp(-beta[:, None] * (x[:, None, :] - c) ** 2).sum(2)


def gaussian_features(problem: Problem, arrays: Arrays) -> Calls:
    return features_calls(problem, arrays, features)


def features_calls(problem: Problem, arrays: Arrays, block: Any) -> Calls:
    """Return the call that computes block by block: all differences at once fit no memory."""
    x, c, beta = (tensor(arrays[name]) for name in ("inputs", "centers", "beta"))
    parts = blocks(problem, BLOCK)
    return {"fresh": lambda: torch.cat([block(x[rows], c, beta, problem.kind) for rows in parts])}


def block_vjp(x: torch.Tensor, c: torch.Tensor, beta: torch.Tensor, h: torch.Tensor, kind: str):
    """Return the gradients of one block of rows by autograd."""
    given = [a.detach().requires_grad_() for a in (x, c, beta)]
    return torch.autograd.grad(features(*given, kind), given, h)  # pyright: ignore


def gaussian_features_vjp(problem: Problem, arrays: Arrays) -> Calls:
    return features_vjp_calls(problem, arrays, block_vjp)


def features_vjp_calls(problem: Problem, arrays: Arrays, block: Any) -> Calls:
    """Return the call that adds up the gradients of the blocks."""
    x, c, beta, h = (tensor(arrays[a]) for a in ("inputs", "centers", "beta", "cotangent"))
    parts = blocks(problem, BLOCK)

    def call():
        done = [block(x[rows], c, beta, h[rows], problem.kind) for rows in parts]
        of_x, of_c, of_beta = zip(*done, strict=True)
        return torch.cat(of_x), sum(of_c), sum(of_beta)

    return {"fresh": call}
