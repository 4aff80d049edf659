"""The judge's door for Python: judge a function, and reject it where it must be."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from ._judge import judged
from ._report import Rejected, Report


def check(
    function: Callable[..., Any],
    like: str | None = None,
    *,
    strict: bool = False,
    properties: Iterable[str] | None = None,
    name: str | None = None,
    home: str | None = None,
    raises: bool = True,
) -> Report:
    """Judge a softmax, a log-softmax, a logsumexp, a cross-entropy or a derivative of one.

    Good for the tests of whoever writes such a function, in NumPy, torch or JAX: the truth comes
    from mpmath, and every property that fails is shown by three lines to run.

    Parameters
    ----------
    function : callable
        Takes logits (M, K), or single rows (K,), arrays or lists; a loss takes labels (M,) or
        one-hot rows too, in either order. What it calls its axis, mask, temperature, weights,
        smoothing, reduction and `out` is found in its signature. For any other signature judge a
        few lines around it: ``check(lambda logits: mine(logits, my_config), like="softmax")``.
        torch functions get tensors and JAX functions JAX arrays; their derivatives are taken by
        their own framework and judged too.
    like : str, optional
        What it is: "softmax", "log_softmax", "logsumexp", "cross_entropy",
        "cross_entropy_value_and_grad", "cross_entropy_gradient", "linear_cross_entropy",
        "linear_cross_entropy_value_and_grad", "softmax_vjp", "log_softmax_vjp",
        "softmax_jacobian". By default its name and three ordinary rows tell.
    strict : bool
        Require the notes too: every digit that can be kept, 16-bit sums in 32 bits, the same bits
        in any batch.
    properties : iterable of str, optional
        Judge these alone, by their names in the report.
    name : str, optional
        What to call it in the report.
    home : str, optional
        "module:name", from where the three lines import it. By default where it was defined.
    raises : bool
        Raise `Rejected` where a required property fails; False only returns the report.

    Returns
    -------
    Report
        With `passed`, `failed`, `notes`, and a `Finding` for each property; printed, it is a table.

    Raises
    ------
    Rejected
        An AssertionError with the report as its text.
    ValueError
        For a `like` or a property that does not exist, and for a function of which neither name
        nor results tell what it computes.
    ModuleNotFoundError
        Without mpmath and hypothesis: ``pip install 'crossent[verify]'``.

    Examples
    --------
    >>> import numpy as np
    >>> from crossent.verify import check
    >>> def softmax(z):
    ...     e = np.exp(z)  # nothing is subtracted
    ...     return e / e.sum(axis=-1, keepdims=True)
    >>> report = check(softmax, raises=False)
    >>> [finding.name for finding in report.failed]
    ['overflow', 'underflow', 'integers']
    >>> print(report["overflow"].message)
    value is nan where 1 is due
    """
    if not callable(function):
        raise TypeError(f"function must be callable, got {type(function).__name__}")
    called = name or getattr(function, "__name__", type(function).__name__)
    report = judged(
        function,
        name=called,
        home=home_of(function) if home is None else home,
        like=like,
        strict=strict,
        only=properties,
    )
    if raises and not report.passed:
        raise Rejected(report)
    return report


def home_of(function: Callable[..., Any]) -> str:
    """module:name where a function can be imported from, or nothing."""
    module = getattr(function, "__module__", None) or ""
    for path in (getattr(function, "__qualname__", ""), getattr(function, "__name__", "")):
        found: Any = sys.modules.get(module)
        for part in path.split("."):
            found = getattr(found, part, None)
        if found is function and module != "__main__":
            return f"{module}:{path}"
    return ""
