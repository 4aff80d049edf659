"""crossent on tensors: forward and backward, as a training loop calls them."""

# torch is there with the extra `bench` only
# pyright: reportMissingImports=false

from __future__ import annotations

import crossent as ce
import crossent.torch as ct

from .problems import Arrays, Calls, Problem
from .torch_adapter import loss_calls, numpy, set_threads, tensor

__all__ = ["NAME", "VERSION", "numpy", "set_threads"]

NAME = "crossent.torch"
VERSION = ce.__version__


def cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    z, labels = tensor(arrays["logits"]), tensor(arrays["labels"])
    return loss_calls(ct.cross_entropy, [z], labels)


def linear_cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    x, w, labels = (tensor(arrays[name]) for name in ("inputs", "weight", "labels"))
    return loss_calls(ct.linear_cross_entropy, [x, w], labels)
