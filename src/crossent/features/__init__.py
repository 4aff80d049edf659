"""What the linear layer sees: the inputs themselves, or Gaussian features of them."""

from __future__ import annotations

from ._coordinates import Coordinates, column_coordinates, whitened
from ._curvature import add_class_curvature, add_curvature
from ._gaussian import GaussianFeatures
from ._linear import LinearFeatures

__all__ = [
    "Coordinates",
    "GaussianFeatures",
    "LinearFeatures",
    "add_class_curvature",
    "add_curvature",
    "column_coordinates",
    "whitened",
]
