"""Right implementations in odd styles: none of them may be accused."""

import functools
import math

import numpy as np
from scipy import special

from tests.verify.wrong import floats, surprise, textbook


def by_generators(z):
    def rows():
        for row in floats(z):
            exponentials = np.fromiter(np.exp(row - max(row, default=0.0)), float)
            yield exponentials / math.fsum(exponentials)

    return np.array(list(rows())).reshape(z.shape).astype(floats(z).dtype)


def single_row(row):
    row = np.asarray(row)
    if row.ndim != 1:
        raise ValueError("one row at a time")
    return textbook(floats(row))


def of_lists(rows):
    if not isinstance(rows, list):
        raise TypeError("lists, please")
    return [textbook(np.array(row, float)).tolist() for row in rows]


def of_a_list(row):
    if not isinstance(row, list):
        raise TypeError("a list, please")
    top = max(row)
    exponentials = [math.exp(number - top) for number in row]
    return [e / sum(exponentials) for e in exponentials]


def of_any_row(row):
    top = max(row)  # of an array of bytes, x - top would wrap
    exponentials = [math.exp(x - top) for x in row]
    return [e / sum(exponentials) for e in exponentials]


def keyword_axis(scores, *, dim, dtype=None, mask=None):
    z = np.moveaxis(floats(scores), dim, -1)
    if mask is not None:
        z = np.where(np.moveaxis(mask, dim, -1), z, -np.inf)
    return np.moveaxis(textbook(z), -1, dim)


def mask_of_what_goes(z, mask=None):
    return textbook(floats(z) if mask is None else np.where(mask, -np.inf, floats(z)))


def always_float64(z):
    return textbook(np.asarray(z, np.float64))


def by_scipy(z, T=1.0):
    return special.softmax(floats(z) / T, axis=-1)


class Softmax:
    """A layer that remembers what it needs for its backward pass."""

    def __call__(self, x):
        p = textbook(floats(x))
        self.p = p
        return p.copy()


with_options = functools.partial(keyword_axis, dim=-1)


def truth_first(y_true, y_pred):
    if y_true.ndim == 1 and not ((y_true >= 0) & (y_true < y_pred.shape[1])).all():
        raise ValueError("a label is out of range")
    y = y_true if y_true.ndim == 2 else np.eye(y_pred.shape[1])[y_true]
    return float(surprise(y_pred, y).mean()) if len(y_pred) else float("nan")


def losses_by_row(*, labels, logits):
    for label in labels:
        if not 0 <= label < logits.shape[1]:
            raise ValueError("a label is out of range")
    z = floats(logits)
    return [-special.log_softmax(row)[label] for row, label in zip(z, labels, strict=True)]


def gradient_first(z, y, reduction="sum"):
    z, n = floats(z), len(z) if reduction == "mean" else 1
    gradient = (y.sum(axis=1, keepdims=True) * textbook(z) - y) / n
    losses = surprise(z, y)
    return gradient, losses if reduction == "none" else losses.sum() / n


def lse(z):
    return special.logsumexp(floats(z), axis=-1, keepdims=True)


RIGHT = {
    by_generators: "softmax",
    single_row: "softmax",
    of_lists: "softmax",
    of_a_list: "softmax",
    of_any_row: "softmax",
    keyword_axis: "softmax",
    mask_of_what_goes: "softmax",
    always_float64: "softmax",
    by_scipy: "softmax",
    Softmax(): "softmax",
    with_options: "softmax",
    truth_first: "cross_entropy",
    losses_by_row: "cross_entropy",
    gradient_first: "cross_entropy_value_and_grad",
    lse: "logsumexp",
}
