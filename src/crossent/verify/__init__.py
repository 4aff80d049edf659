"""A judge for softmax and its relatives: the truth in mpmath, a table of cases, a gradient checker.

It shares no code with what it judges. `check_gradients` needs NumPy alone; `run` needs mpmath, and
`check` hypothesis too.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._discrepancy import Discrepancy, GradientCheck, GradientMismatch
from ._gradients import check_gradients

if TYPE_CHECKING:
    from ._judge import Finding, Rejected, Report, check
    from ._run import Record, run

__all__ = [
    "Discrepancy",
    "Finding",
    "GradientCheck",
    "GradientMismatch",
    "Record",
    "Rejected",
    "Report",
    "check",
    "check_gradients",
    "run",
]

_LATER = {
    "Record": "._run", "run": "._run",
    "Finding": "._judge", "Rejected": "._judge", "Report": "._judge", "check": "._judge",
}  # fmt: skip
_NEEDED = ("mpmath", "hypothesis")


def __getattr__(name: str) -> Any:
    """What needs mpmath or hypothesis, when it is first named."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(_LATER[name], __name__)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _NEEDED:
            raise
        raise ModuleNotFoundError(
            f"crossent.verify.{name} needs {missing}: pip install 'crossent[verify]'", name=missing
        ) from None
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
