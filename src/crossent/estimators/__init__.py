"""Classifiers with scikit-learn's interface, and their model files."""

from __future__ import annotations

from ._model_file import ModelFileError, load_model, save_model
from ._onnx import to_onnx
from ._rbf import RBFClassifier
from ._softmax import SoftmaxClassifier
from ._temperature import TemperatureScaling

__all__ = [
    "ModelFileError",
    "RBFClassifier",
    "SoftmaxClassifier",
    "TemperatureScaling",
    "load_model",
    "save_model",
    "to_onnx",
]
