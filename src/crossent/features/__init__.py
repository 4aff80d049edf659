"""What the linear layer sees: the inputs themselves, or Gaussian features of them."""

from __future__ import annotations

from ._coordinates import Coordinates, column_coordinates, whitened
from ._gaussian import GaussianFeatures
from ._linear import LinearFeatures

__all__ = [
    "Coordinates",
    "GaussianFeatures",
    "LinearFeatures",
    "column_coordinates",
    "whitened",
]
