"""torch's own fused linear layer and loss, in chunks of rows, with its default options."""

# torch is there with the extra `bench` only
# pyright: reportMissingImports=false

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from .problems import Arrays, Call, Calls, Problem
from .torch_adapter import numpy, set_threads, tensor

__all__ = ["NAME", "VERSION", "numpy", "set_threads"]

NAME = "torch fused"
VERSION = torch.__version__


def linear_cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    return {"fresh": fused(arrays, nn.LinearCrossEntropyOptions())}


def fused(arrays: Arrays, options: Any) -> Call:
    """Return the call that computes loss and gradients with these options."""
    x, w = (tensor(arrays[name]).requires_grad_() for name in ("inputs", "weight"))
    labels = tensor(arrays["labels"])

    def call():
        loss = functional.linear_cross_entropy(x, w, labels, options=options)
        return loss, *torch.autograd.grad(loss, (x, w))

    return call
