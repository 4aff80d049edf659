"""Calls of the softmax family."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._typing import Array
from .. import _plain, _reference
from .._cases import Case
from ._call import Output, Problem, Shape, entries_of, logits_of, random


def softmax_problem(name: str, case: Case, dtype: str) -> Problem:
    """softmax, log_softmax, logsumexp."""
    given, rows, shape = logits_of(case, dtype)
    mask = None if case.where is None else case.where(given)
    kwargs: dict[str, Any] = {"axis": case.axis}
    if mask is not None:
        kwargs["where"] = shape.public(mask)
    truth, plain = getattr(_reference, name), getattr(_plain, name)
    if name == "logsumexp":
        output = Output("value", shape.batch, rows.dtype, np.ravel)
        truths = lambda: {"value": truth(rows, mask)}  # noqa: E731
    else:
        entries = entries_of(case, rows)
        output = Output("value", shape.full, rows.dtype, lambda a: shape.rows(a)[:, entries])
        truths = lambda: {"value": truth(rows, mask, entries)}  # noqa: E731
    plains = lambda: {"value": output.rows(_public(plain(rows, mask), shape))}  # noqa: E731
    return Problem((shape.public(given),), kwargs, (output,), truths, plains)


def _public(array: Array, shape: Shape) -> Array:
    return shape.public(array) if array.ndim == 2 else array


_SAVED = {
    "softmax_vjp": "softmax",
    "softmax_jvp": "softmax",
    "log_softmax_vjp": "log_softmax",
    "log_softmax_jvp": "log_softmax",
}


def derivative_problem(name: str, case: Case, dtype: str) -> Problem:
    """The VJPs and JVPs of the softmax family, on saved results made by the plain formula."""
    _, rows, shape = logits_of(case, dtype)
    rng = random(case)
    rng.standard_normal(7)
    saved = getattr(_plain, _SAVED[name])(rows) if name in _SAVED else rows
    direction = rng.standard_normal(rows.shape).astype(rows.dtype)
    if name == "logsumexp_vjp":
        direction = rng.standard_normal(len(rows)).astype(rows.dtype)
    public = direction.reshape(shape.batch) if direction.ndim == 1 else shape.public(direction)
    if name == "logsumexp_jvp":
        output = Output("value", shape.batch, rows.dtype, np.ravel)
    else:
        output = Output("value", shape.full, rows.dtype, shape.rows)
    own = "softmax_vjp" if name == "softmax_jvp" else name
    return Problem(
        (shape.public(saved), public),
        {"axis": case.axis},
        (output,),
        lambda: {"value": getattr(_reference, own)(saved, direction)},
        lambda: {"value": getattr(_plain, own)(saved, direction)},
    )


def jacobian_problem(name: str, case: Case, dtype: str) -> Problem:
    """softmax_jacobian and log_softmax_jacobian: the classes are the last axis."""
    _, rows, shape = logits_of(case, dtype)
    saved = getattr(_plain, name.removesuffix("_jacobian"))(rows)
    k = shape.k
    return Problem(
        (saved.reshape(*shape.batch, k),),
        {},
        (Output("value", (*shape.batch, k, k), rows.dtype, lambda a: a.reshape(-1, k, k)),),
        lambda: {"value": getattr(_reference, name)(saved)},
        lambda: {"value": getattr(_plain, name)(saved)},
    )
