"""What was found, as records with JSON both ways, and as text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._derivation import Derivation, Float32, Step
from ._record import Calibration, ClassReport, Confusion, EvaluationReport, FitReport, Scores

if TYPE_CHECKING:
    from ._derive import derive

__all__ = [
    "Calibration",
    "ClassReport",
    "Confusion",
    "Derivation",
    "EvaluationReport",
    "FitReport",
    "Float32",
    "Scores",
    "Step",
    "derive",
]


def __getattr__(name: str) -> Any:
    """`derive` when it is first named: it needs mpmath."""
    if name != "derive":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from ._derive import derive
    except ModuleNotFoundError as error:
        if error.name != "mpmath":
            raise
        raise ModuleNotFoundError(
            "crossent.report.derive needs mpmath: pip install 'crossent[verify]'", name="mpmath"
        ) from None
    return derive
