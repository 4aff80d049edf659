"""crossent on tensors: forward and backward, as a training loop calls them."""

# torch is there with the extra `bench` only
# pyright: reportMissingImports=false

from __future__ import annotations

import torch

import crossent as ce
import crossent.torch as ct

from .problems import Arrays, Calls, Problem
from .torch_adapter import numpy, set_threads, tensor

__all__ = ["NAME", "VERSION", "numpy", "set_threads"]

NAME = "crossent.torch"
VERSION = ce.__version__


def cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    z, labels = tensor(arrays["logits"]).requires_grad_(), tensor(arrays["labels"])

    def call():
        loss = ct.cross_entropy(z, labels)
        return loss, torch.autograd.grad(loss, z)[0]

    return {"fresh": call}


def linear_cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    x, w = (tensor(arrays[name]).requires_grad_() for name in ("inputs", "weight"))
    labels = tensor(arrays["labels"])

    def call():
        loss = ct.linear_cross_entropy(x, w, labels)
        return loss, *torch.autograd.grad(loss, (x, w))

    return {"fresh": call}
