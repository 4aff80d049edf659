"""A judge for softmax and its relatives: the truth in mpmath, a table of cases, a gradient checker.

It shares no code with what it judges. `check_gradients` needs NumPy alone; `run` needs mpmath.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._discrepancy import Discrepancy, GradientCheck, GradientMismatch
from ._gradients import check_gradients

if TYPE_CHECKING:
    from ._run import Record, run

__all__ = [
    "Discrepancy",
    "GradientCheck",
    "GradientMismatch",
    "Record",
    "check_gradients",
    "run",
]


def __getattr__(name: str) -> Any:
    """`run` and `Record` when they are first named: they need mpmath."""
    if name not in ("Record", "run"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from . import _run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "mpmath":
            raise
        raise ModuleNotFoundError(
            f"crossent.verify.{name} needs mpmath: pip install 'crossent[verify]'", name="mpmath"
        ) from None
    return getattr(_run, name)


def __dir__() -> list[str]:
    return sorted(__all__)
