"""Linear layer and cross-entropy as one: z = phi W^T + b, its loss and every derivative.

The logits exist for one block of rows at a time. ``_problem`` checks a call, ``_layout`` divides
its workspace, ``_heuristics`` says by which measurements, ``_products`` multiplies, ``_logits``
and ``_sums`` go there and back.
"""

from __future__ import annotations

from ._hvp import linear_cross_entropy_hvp
from ._jvp import linear_cross_entropy_jvp
from ._problem import LinearGradients
from ._statistics import LinearStatistics, linear_statistics
from ._value_and_grad import linear_cross_entropy, linear_cross_entropy_value_and_grad

__all__ = [
    "LinearGradients",
    "LinearStatistics",
    "linear_cross_entropy",
    "linear_cross_entropy_hvp",
    "linear_cross_entropy_jvp",
    "linear_cross_entropy_value_and_grad",
    "linear_statistics",
]
