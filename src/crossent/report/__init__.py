"""What was found, as records with JSON both ways, and as text for a terminal."""

from ._record import ClassReport, Confusion, EvaluationReport, FitReport, Scores

__all__ = ["ClassReport", "Confusion", "EvaluationReport", "FitReport", "Scores"]
