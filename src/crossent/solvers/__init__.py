"""Ways to lower an objective, one a file, and the rules that say when it is low enough."""

from __future__ import annotations

from ._adam import Adam, Cosine
from ._lbfgs import lbfgs
from ._minibatch import Passes, Sampled, minibatch
from ._result import Callback, Criterion, Progress, Result, Stop
from ._stopping import RelativeGap, SmallDecrease, SmallGradient

__all__ = [
    "Adam",
    "Callback",
    "Cosine",
    "Criterion",
    "Passes",
    "Progress",
    "RelativeGap",
    "Result",
    "Sampled",
    "SmallDecrease",
    "SmallGradient",
    "Stop",
    "lbfgs",
    "minibatch",
]
