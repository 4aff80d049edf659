"""The other derivatives of a framework: forward mode, and the derivative of the derivative."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _reference
from ._compare import Failure, first_line, truths_of
from ._example import Example
from ._property import Property, floats_of
from ._recognise import benign
from ._subject import Subject

_ROUGH = 1e-3
_TANGENT = [[1.0, -0.5, 0.25, 2.0], [0.5, 1.0, -1.0, 0.0], [-1.0, 0.5, 0.5, 1.0]]


def _table(subject: Subject) -> list[Example]:
    return [benign(subject.kind, dtype) for dtype in floats_of(subject)]


def _numbered(subject: Subject, example: Example) -> tuple[Callable[[Any], Any], Any, Any]:
    """The function to one number, its point, and a tangent there."""
    variables = subject.variables(example)
    tangent = np.array(_TANGENT)[: len(example.logits), : example.logits.shape[1]]

    def number(z: Any) -> Any:
        return subject.number(subject.call({**variables, "z": z}, example), example)

    return number, variables["z"], subject.framework.to(tangent.astype(example.dtype))


def _forward(subject: Subject, example: Example) -> float:
    number, z, v = _numbered(subject, example)
    if subject.framework.name == "jax":
        import jax

        return float(jax.jvp(number, (z,), (v,))[1])
    import torch

    result: Any = torch.func.jvp(number, (z,), (v,))
    return float(result[1])


def _second(subject: Subject, example: Example) -> np.ndarray:
    """The Hessian along the tangent, by two reverse passes."""
    number, z, v = _numbered(subject, example)
    if subject.framework.name == "jax":
        import jax

        return np.asarray(jax.grad(lambda x: (jax.grad(number)(x) * v).sum())(z))
    import torch

    z = z.detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(number(z), z, create_graph=True)
    (product,) = torch.autograd.grad((slope * v).sum(), z)
    return product.numpy()


def _no_forward(subject: Subject) -> str:
    return _not_offered(subject, _forward, "forward mode")


def _no_second(subject: Subject) -> str:
    if not subject.kind.labelled or subject.kind.linear:
        return "it is judged for the cross-entropy alone"
    return _not_offered(subject, _second, "a second derivative")


def _not_offered(subject: Subject, derivative: Callable[..., Any], what: str) -> str:
    if not subject.derivative:
        return "no framework differentiates it"
    try:
        derivative(subject, _table(subject)[0])
    except Exception as error:
        return f"{what} is refused: {type(error).__name__}: {first_line(error)}"
    return ""


def _slope(subject: Subject, example: Example) -> Failure | None:
    v = np.array(_TANGENT)[: len(example.logits), : example.logits.shape[1]]
    gradient = truths_of(subject, example)[subject.outputs[-1]].truth.value
    due, got = float((gradient * v).sum()), _forward(subject, example)
    if math.isclose(due, got, rel_tol=_ROUGH, abs_tol=1e-6):
        return None
    return Failure(example, f"the tangent is {got:.9g} where {due:.9g} is due")


def _curvature(subject: Subject, example: Example) -> Failure | None:
    assert example.target is not None
    v = np.array(_TANGENT).astype(example.dtype)
    options = subject.options(example.options)
    if options["reduction"] == "none":
        options["reduction"] = "sum"
    truth = _reference.cross_entropy(example.floats, example.target, v, **options).hvp
    assert truth is not None
    due, got = truth.value.astype(float), _second(subject, example)
    if np.allclose(due, got, rtol=_ROUGH, atol=1e-6):
        return None
    entry = tuple(int(i) for i in np.unravel_index(np.argmax(abs(due - got)), due.shape))
    text = f"the product is {got[entry]:.9g} where {due[entry]:.9g} is due, at {entry}"
    return Failure(example, text)


CALCULUS = (
    Property("forward mode", "the tangent is the gradient's", _table, _slope, _no_forward),
    Property("second derivatives", "the Hessian is the function's", _table, _curvature, _no_second),
)
