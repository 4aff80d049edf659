"""torch's fused linear layer and loss with the chunk that was the fastest of those tried."""

# torch is there with the extra `bench` only
# pyright: reportMissingImports=false

from __future__ import annotations

from torch import nn

from .chunks import fastest
from .problems import Arrays, Call, Calls, Problem
from .torch_adapter import numpy, set_threads
from .torch_fused import VERSION, fused

__all__ = ["NAME", "VERSION", "numpy", "set_threads"]

NAME = "torch fused, best chunk"


def linear_cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    def with_chunk(rows: int) -> Call:
        options = nn.LinearCrossEntropyOptions(batch_chunk_size=rows, chunking_method=None)
        return fused(arrays, options)

    return {"fresh": fastest(problem, with_chunk)}
