"""What can be chosen on the command line, by name, and the error of a call that makes no sense."""

from __future__ import annotations

from enum import StrEnum

import typer

__all__ = ["CallError", "Kind", "Missing", "Model"]


class Model(StrEnum):
    """The model that is trained."""

    softmax = "softmax"
    rbf = "rbf"


class Kind(StrEnum):
    """How a Gaussian feature sees the inputs: one distance, or each input for itself."""

    radial = "radial"
    additive = "additive"


class Missing(StrEnum):
    """What becomes of a row with a missing value."""

    error = "error"
    drop = "drop"
    mean = "mean"


class CallError(typer.BadParameter):
    """Options that do not fit together, or an impossible value: the call was wrong."""

    def format_message(self) -> str:
        """Give the text as it is."""
        return self.message
