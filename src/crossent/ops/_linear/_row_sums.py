"""One number a row, returned as such or summed over the rows that count."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._typing import Array
from .._loss import Reduction
from ._problem import Block

__all__ = ["RowSums"]


class RowSums:
    """Losses of the rows, or their tangents: 0 where a row does not count.

    Parameters
    ----------
    reduction : Reduction
    n_rows : int
    in_order : bool
        Sum all rows at the end: however they come in blocks, the sum has the same bits.
    """

    def __init__(self, reduction: Reduction, n_rows: int, *, in_order: bool = False) -> None:
        self._reduction, self._total = reduction, 0.0
        self._rows = np.zeros(n_rows, reduction.dtype) if reduction.kind == "none" else None
        if in_order and self._rows is None:
            self._rows = np.zeros(n_rows)

    def memory(self, block: Block) -> Array | None:
        """Room for a block's numbers, where each of them is returned."""
        return None if self._rows is None else np.empty(len(block.inputs))

    def add(self, block: Block, numbers: Array | None, total: float) -> None:
        """Add a block's numbers, or only their sum."""
        if self._rows is None:
            self._total += total
        else:
            with np.errstate(over="ignore"):
                self._rows[block.rows] = numbers

    def result(self) -> Any:
        """What is returned to the caller."""
        if self._rows is None:
            return self._reduction.of_sum(self._total)
        if self._reduction.kind != "none":
            return self._reduction.of_sum(float(self._rows.sum()))
        return self._rows.reshape(self._reduction.shape)[()]
