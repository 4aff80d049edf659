"""Where rows come from: arrays as Batches, and class names as numbers. Files are in `_tables`."""

from __future__ import annotations

from ._arrays import ArrayBatches
from ._classes import class_mass, class_weights, encode_labels, sorted_classes
from ._whole_file import whole_file

__all__ = [
    "ArrayBatches",
    "class_mass",
    "class_weights",
    "encode_labels",
    "sorted_classes",
    "whole_file",
]
