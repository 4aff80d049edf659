"""Training that fails leaves an estimator as it was."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, TypeVar

__all__ = ["wholly"]

_Estimator = TypeVar("_Estimator")


def wholly(train: Callable[..., None], estimator: _Estimator, *args: Any) -> _Estimator:
    """The estimator after ``train(estimator, *args)``; unchanged where that raises.

    What is trained is a copy, whose attributes the estimator takes over at the end.
    """
    trained = copy(estimator)
    train(trained, *args)
    estimator.__dict__ = trained.__dict__
    return estimator
