"""Matrix products."""

from __future__ import annotations

import numpy as np

from ..._typing import Floating
from ._blocks import quiet

__all__ = ["matrix_product"]


@quiet
def matrix_product(
    a: Floating, b: Floating, out: Floating, start: Floating | None, in_order: bool
) -> None:
    """``out = start + a b``; a (m, c), b (c, p) of any steps, out (m, p), start the same or None.

    Asks for one order of the terms of every number; here that is left to the BLAS.
    """
    product = np.matmul(a, b)
    np.copyto(out, product if start is None else product + start)
