"""Arrays in memory (memory-mapped and read-only ones as well) as Batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .._sparse import row_slice
from .._typing import Array, Batch

__all__ = ["ArrayBatches"]


class ArrayBatches:
    """Rows of arrays, ``batch_rows`` at a time; without a ``transform`` every batch is a view.

    Parameters
    ----------
    inputs : float32 or float64 (N, D)
        Or a sparse matrix of SciPy's in the CSR form.
    target : int64 (N,) or floating (N, K)
        Labels 0 ... K-1, or targets.
    sample_weight : float64 (N,), optional
        One non-negative weight a row; 1 without.
    batch_rows : int, optional
        Rows a batch at most; all of them without.
    transform : callable, optional
        What each batch's inputs (B, D) go through, anew in every pass.

    Raises
    ------
    ValueError
        If the numbers of rows differ, or ``batch_rows`` is not positive.

    Examples
    --------
    >>> batches = ArrayBatches(np.zeros((5, 2)), np.zeros(5, dtype=np.int64), batch_rows=2)
    >>> [len(batch.inputs) for batch in batches]
    [2, 2, 1]
    """

    def __init__(
        self,
        inputs: Any,
        target: Array,
        sample_weight: Array | None = None,
        *,
        batch_rows: int | None = None,
        transform: Callable[[Array], Array] | None = None,
    ) -> None:
        n_samples = int(inputs.shape[0])
        weight = np.ones(n_samples) if sample_weight is None else sample_weight
        if len(target) != n_samples or weight.shape != (n_samples,):
            raise ValueError(
                f"inputs have {n_samples} rows, the target {len(target)} "
                f"and sample_weight the shape {weight.shape}: one of each is needed a row"
            )
        if batch_rows is not None and batch_rows < 1:
            raise ValueError(f"batch_rows must be 1 at least, got {batch_rows}")
        self._inputs, self._target, self._weight = inputs, target, weight
        self._batch_rows = max(1, n_samples) if batch_rows is None else batch_rows
        self._transform = transform

    @property
    def n_samples(self) -> int:
        """Number of rows N."""
        return int(self._inputs.shape[0])

    @property
    def n_inputs(self) -> int:
        """Number of columns D."""
        return int(self._inputs.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """What is computed in."""
        return self._inputs.dtype

    @property
    def is_sparse(self) -> bool:
        """Whether the inputs are a sparse matrix."""
        return not isinstance(self._inputs, np.ndarray)

    def thinned(self, n_rows: int) -> ArrayBatches:
        """About ``n_rows`` of the rows, taken evenly from all; all where there are not more."""
        step = max(1, self.n_samples // max(1, n_rows))
        if step == 1:
            return self
        return ArrayBatches(
            self._inputs[::step],
            self._target[::step],
            self._weight[::step],
            batch_rows=self._batch_rows,
            transform=self._transform,
        )

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, self.n_samples, self._batch_rows):
            yield self.take(slice(start, start + self._batch_rows))

    def take(self, rows: Array | slice) -> Batch:
        """The batch of these rows: a slice of them, or their numbers."""
        if self.is_sparse and isinstance(rows, slice):
            inputs = row_slice(self._inputs, rows)
        else:
            inputs = self._inputs[rows]
        if self._transform is not None:
            inputs = self._transform(inputs)
        return Batch(inputs, self._target[rows], self._weight[rows])
