"""What a comparison of derivatives found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Discrepancy:
    """Two numbers that should agree: where, what was expected and what came.

    `error` is relative to the largest expected entry of the same array; `tolerance` is what was
    allowed, the measured uncertainty of the differences included.
    """

    check: str
    index: tuple[int, ...]
    expected: float
    got: float
    error: float
    tolerance: float

    @property
    def excess(self) -> float:
        """Error over tolerance: above 1 is a failure; infinite for a NaN or a wrong shape."""
        return self.error / self.tolerance if np.isfinite(self.error) else np.inf

    def __str__(self) -> str:
        place = f" at entry {self.index}" if self.index else ""
        return (
            f"{self.check}{place}: expected {self.expected:.9g}, got {self.got:.9g} "
            f"(relative error {self.error:.2g}, tolerance {self.tolerance:.2g})"
        )


@dataclass(frozen=True)
class GradientCheck:
    """What `check_gradients` found: every comparison's worst entry, the worst of all first."""

    discrepancies: tuple[Discrepancy, ...]

    @property
    def passed(self) -> bool:
        """Whether every comparison was within its tolerance."""
        return self.worst.excess <= 1

    @property
    def worst(self) -> Discrepancy:
        """The comparison furthest beyond (or nearest to) its tolerance."""
        return self.discrepancies[0]

    def __str__(self) -> str:
        failed = [d for d in self.discrepancies if d.excess > 1]
        if not failed:
            return f"{len(self.discrepancies)} comparisons agree; the worst: {self.worst}"
        lines = "\n  ".join(str(d) for d in failed[:5])
        return f"{len(failed)} of {len(self.discrepancies)} comparisons disagree:\n  {lines}"


class GradientMismatch(AssertionError):
    """A derivative that is not the function's. `check` is the whole `GradientCheck`."""

    def __init__(self, check: GradientCheck) -> None:
        super().__init__(str(check))
        self.check = check
