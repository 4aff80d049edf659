"""torch.compile on the CPU: each operation as one function, compiled for its shape."""

# torch is there with the extra `bench` only
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from . import torch_adapter as eager
from .problems import Arrays, Calls, Problem
from .torch_adapter import numpy, set_threads, tensor

__all__ = ["NAME", "VERSION", "numpy", "set_threads"]

NAME = "torch.compile"
VERSION = torch.__version__


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function compiled anew: what other problems compiled is forgotten."""
    torch.compiler.reset()
    return torch.compile(function, dynamic=False)


def _calls(function: Callable[..., Any], *given: torch.Tensor) -> Calls:
    compiled = _compiled(function)
    return {"fresh": lambda: compiled(*given)}


def softmax(problem: Problem, arrays: Arrays) -> Calls:
    return _calls(lambda z: torch.softmax(z, problem.axis), tensor(arrays["logits"]))


def log_softmax(problem: Problem, arrays: Arrays) -> Calls:
    return _calls(lambda z: torch.log_softmax(z, problem.axis), tensor(arrays["logits"]))


def logsumexp(problem: Problem, arrays: Arrays) -> Calls:
    return _calls(lambda z: torch.logsumexp(z, problem.axis), tensor(arrays["logits"]))


def softmax_vjp(problem: Problem, arrays: Arrays) -> Calls:
    given = (tensor(arrays[name]) for name in ("probabilities", "cotangent"))
    return _calls(lambda p, g: p * (g - (p * g).sum(problem.axis, keepdim=True)), *given)


def log_softmax_vjp(problem: Problem, arrays: Arrays) -> Calls:
    given = (tensor(arrays[name]) for name in ("log_probabilities", "cotangent"))
    return _calls(lambda q, g: g - torch.exp(q) * g.sum(problem.axis, keepdim=True), *given)


def logsumexp_vjp(problem: Problem, arrays: Arrays) -> Calls:
    def call(z, g):
        return g.unsqueeze(problem.axis) * torch.softmax(z, problem.axis)

    return _calls(call, tensor(arrays["logits"]), tensor(arrays["cotangent"]))


def _value_and_grad(loss: Callable[..., torch.Tensor], n: int) -> Callable[..., Any]:
    """Return (loss, its gradients in the first n arguments) as one function to compile."""

    def call(*given):
        gradients, value = torch.func.grad_and_value(loss, argnums=tuple(range(n)))(*given)
        return value, *gradients

    return call


def cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    given = (tensor(arrays[name]) for name in ("logits", "labels"))
    return _calls(_value_and_grad(functional.cross_entropy, 1), *given)


def binary_cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    given = (tensor(arrays[name]) for name in ("logits", "targets"))
    return _calls(_value_and_grad(functional.binary_cross_entropy_with_logits, 1), *given)


def linear_cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    def loss(x, w, labels):
        return functional.cross_entropy(functional.linear(x, w), labels)

    given = (tensor(arrays[name]) for name in ("inputs", "weight", "labels"))
    return _calls(_value_and_grad(loss, 2), *given)


def gaussian_features(problem: Problem, arrays: Arrays) -> Calls:
    return eager.features_calls(problem, arrays, _compiled(eager.features))


def gaussian_features_vjp(problem: Problem, arrays: Arrays) -> Calls:
    def block(x, c, beta, h, kind):
        def value(x, c, beta):
            return eager.features(x, c, beta, kind)

        return torch.func.vjp(value, x, c, beta)[1](h)

    return eager.features_vjp_calls(problem, arrays, _compiled(block))
