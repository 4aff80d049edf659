"""How well probabilities fit labels: pure functions of class numbers and rows of scores."""

from __future__ import annotations

from ._metrics._calibration import (
    ErrorInterval,
    calibration_error_interval,
    expected_calibration_error,
)
from ._metrics._reliability import ReliabilityBin, reliability_table
from ._metrics._scores import (
    ClassScores,
    accuracy,
    brier_score,
    class_scores,
    confusion_matrix,
    log_loss,
)

__all__ = [
    "ClassScores",
    "ErrorInterval",
    "ReliabilityBin",
    "accuracy",
    "brier_score",
    "calibration_error_interval",
    "class_scores",
    "confusion_matrix",
    "expected_calibration_error",
    "log_loss",
    "reliability_table",
]
