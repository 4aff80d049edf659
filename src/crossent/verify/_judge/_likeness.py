"""What wrong results look like: the slips that people make, tried on three ordinary rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..._typing import Array
from ._compare import Failure, attempt
from ._recognise import COTANGENT, LABELS, LOGITS, benign
from ._subject import Subject

_Slip = tuple[str, Array | np.floating]


def likeness(subject: Subject, name: str) -> str:
    """A sentence on the slip that gives these very results, or nothing."""
    found = attempt(subject, benign(subject.kind))
    if isinstance(found, Failure) or subject.kind.linear:
        return ""
    kind = subject.kind
    output = "gradient" if name == "derivatives" and "gradient" in found else kind.outputs[0]
    slips: Callable[[Subject], Iterator[_Slip]] = _SLIPS.get(
        "gradient" if output == "gradient" and kind.labelled else kind.name, _none
    )
    for text, value in slips(subject):
        if found[output].shape == np.shape(value) and np.allclose(
            found[output].astype(float), value, rtol=1e-4, atol=1e-5
        ):
            return f"; it looks like {text}"
    return ""


def _none(subject: Subject) -> Iterator[_Slip]:
    yield from ()


def _p(z: Array, axis: int | None = 1) -> Array:
    e = np.exp(z)
    return e / e.sum(axis=axis, keepdims=True)


def _softmax(subject: Subject) -> Iterator[_Slip]:
    yield "classes along the other axis", _p(LOGITS, 0)
    yield "one sum for all rows", _p(LOGITS, None)
    yield "logits with their sign turned", _p(-LOGITS)
    yield "exponentials that nothing divides", np.exp(LOGITS)
    yield "exponentials that nothing divides", np.exp(LOGITS - LOGITS.max(axis=1, keepdims=True))
    yield "powers of 2 in the place of e", _p(LOGITS * np.log(2))
    yield "a sigmoid of each logit", 1 / (1 + np.exp(-LOGITS))
    yield "log-softmax", np.log(_p(LOGITS))


def _log_softmax(subject: Subject) -> Iterator[_Slip]:
    for text, p in _softmax(subject):
        if text != "log-softmax":
            yield text, np.log(p)
    yield "softmax", _p(LOGITS)
    yield "logarithms to the base 2", np.log2(_p(LOGITS))
    yield "logarithms to the base 10", np.log10(_p(LOGITS))


def _logsumexp(subject: Subject) -> Iterator[_Slip]:
    e = np.exp(LOGITS)
    yield "the maximum not added back", np.log(e.sum(axis=1)) - LOGITS.max(axis=1)
    yield "classes along the other axis", np.log(e.sum(axis=0))
    yield "a sum without its logarithm", e.sum(axis=1)
    yield "the logarithm of the mean", np.log(e.mean(axis=1))


def _loss(subject: Subject) -> Iterator[_Slip]:
    rows = np.arange(len(LABELS))
    q = np.log(_p(LOGITS))
    reduce = {"mean": np.mean, "sum": np.sum, "none": np.asarray}[subject.reduction]
    for text, label in (
        ("labels counted from 1", LABELS - 1),
        ("labels one too large", LABELS + 1),
    ):
        yield text, reduce(-q[rows, label])
    yield "the sign turned", reduce(q[rows, LABELS])
    yield "logarithms to the base 2", reduce(-q[rows, LABELS]) / np.log(2)
    yield "a probability without its logarithm", reduce(1 - np.exp(q[rows, LABELS]))
    yield "softmax taken twice", reduce(-np.log(_p(np.exp(q)))[rows, LABELS])
    yield "a mean over rows and classes", np.mean(-q[rows, LABELS]) / LOGITS.shape[1]


def _gradient(subject: Subject) -> Iterator[_Slip]:
    p, y, n = _p(LOGITS), np.eye(LOGITS.shape[1])[LABELS], len(LABELS)
    factor = 1 / n if subject.reduction == "mean" else 1.0
    yield "the gradient of the sum beside the mean", p - y
    yield "the gradient of the mean beside the sum", (p - y) / n
    yield "the sign turned: y - p", factor * (y - p)
    yield "probabilities, from which no label is subtracted", factor * p
    yield "the derivative of the labelled probability's logarithm alone", factor * y * (p - 1)
    yield "labels counted from 1", factor * (p - np.eye(LOGITS.shape[1])[LABELS - 1])
    yield "labels one too large", factor * (p - np.eye(LOGITS.shape[1])[LABELS + 1])


def _softmax_vjp(subject: Subject) -> Iterator[_Slip]:
    p, g = _p(LOGITS), COTANGENT
    inner = (p * g).sum(axis=1, keepdims=True)
    yield "the diagonal of the Jacobian alone: p (1 - p) g", p * (1 - p) * g
    yield "the sign turned", -p * (g - inner)
    yield "the Jacobian of log-softmax", g - p * g.sum(axis=1, keepdims=True)
    yield "a mean of g that p does not weigh", p * (g - g.mean(axis=1, keepdims=True))
    yield "a sum of g that p does not weigh", p * (g - g.sum(axis=1, keepdims=True))
    yield "<p, g> forgotten", p * g


def _log_softmax_vjp(subject: Subject) -> Iterator[_Slip]:
    p, g = _p(LOGITS), COTANGENT
    yield "the Jacobian transposed: g - <p, g>", g - (p * g).sum(axis=1, keepdims=True)
    yield "the Jacobian of softmax", p * (g - (p * g).sum(axis=1, keepdims=True))
    yield "the sign turned", p * g.sum(axis=1, keepdims=True) - g
    yield "the mean of g in the place of its sum", g - p * g.mean(axis=1, keepdims=True)


def _jacobian(subject: Subject) -> Iterator[_Slip]:
    p = _p(LOGITS)
    eye, outer = np.eye(p.shape[1]), p[:, :, None] * p[:, None, :]
    yield "the diagonal alone, off-diagonal missing", eye * (p[:, :, None] - outer)
    yield "diag(p) without p p^T", eye * p[:, :, None]
    yield "the sign turned", outer - eye * p[:, :, None]
    yield "off-diagonal with the wrong sign", eye * (p[:, :, None] - 2 * outer) + outer


_SLIPS: dict[str, Callable[[Subject], Iterator[_Slip]]] = {
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "logsumexp": _logsumexp,
    "cross_entropy": _loss,
    "cross_entropy_value_and_grad": _loss,
    "gradient": _gradient,
    "softmax_vjp": _softmax_vjp,
    "log_softmax_vjp": _log_softmax_vjp,
    "softmax_jacobian": _jacobian,
}
