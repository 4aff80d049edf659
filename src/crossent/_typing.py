"""Aliases of array types, and the Protocols that name what one part expects of another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Array",
    "ArrayLike",
    "Batch",
    "Batches",
    "Features",
    "Floating",
    "Labels",
    "Objective",
]

Array: TypeAlias = NDArray[Any]
"""An array of any dtype."""

Floating: TypeAlias = NDArray[np.floating[Any]]
"""An array of float16, bfloat16, float32 or float64."""

Labels: TypeAlias = NDArray[np.int64]
"""Class numbers 0 ... K-1, one a row."""


class Batch(NamedTuple):
    """Some rows of data: inputs (B, D), labels (B,) or targets (B, K), and row weights (B,).

    The inputs may be a sparse matrix of SciPy's in the CSR form.
    """

    inputs: Any
    target: Array
    sample_weight: Array


class Batches(Protocol):
    """Data that can be gone through again and again, some rows at a time."""

    @property
    def n_samples(self) -> int: ...

    @property
    def n_inputs(self) -> int: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def is_sparse(self) -> bool: ...

    def thinned(self, n_rows: int) -> Batches:
        """About so many of the rows, taken evenly from all; all where there are not more."""
        ...

    def __iter__(self) -> Iterator[Batch]: ...


class Features(Protocol):
    """A map from inputs (B, D) to features (B, n) whose parameters are one flat vector (P,)."""

    @property
    def n_features(self) -> int: ...

    @property
    def n_parameters(self) -> int: ...

    def values(self, parameters: Array, inputs: Array) -> Array:
        """The features (B, n) of a batch."""
        ...

    def forward(self, parameters: Array, inputs: Array) -> tuple[Array, Callable[[Array], Array]]:
        """The features, and what takes dE/dfeatures (B, n) back to the parameters (P,)."""
        ...

    def inputs_vjp(self, parameters: Array, inputs: Array, cotangent: Array) -> Array:
        """What comes back from dE/dfeatures (B, n) to the inputs, (B, D)."""
        ...


class Objective(Protocol):
    """A function of one flat vector, float64 (P,), to be made small."""

    def value_and_grad(self, parameters: Array) -> tuple[float, Array]:
        """The value, and the gradient float64 (P,)."""
        ...
