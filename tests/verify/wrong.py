"""Wrong implementations as people write them, each with the property that must name the fault.

`WRONG` gives for each: the function, what it is, the property it fails, and a word its message has.
"""

import numpy as np


def textbook(z):
    """Right: what the faults below are made of."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def log_textbook(z):
    shifted = z - z.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def floats(z):
    """Logits as floats: whole numbers as float64."""
    return z.astype(float) if z.dtype.kind in "iub" else z


def checked(z, t):
    """Labels, or an error."""
    if t.size and not ((t >= 0) & (t < z.shape[1])).all():
        raise ValueError("a label is out of range")
    return np.eye(z.shape[1], dtype=floats(z).dtype)[t]


def surprise(z, y):
    """Right: each row's loss for targets y."""
    return -np.where(y > 0, y * log_textbook(floats(z)), 0).sum(axis=1)


# ------------------------------------------------------------ softmax


def no_shift(z):
    e = np.exp(floats(z))
    return e / e.sum(axis=-1, keepdims=True)


def shift_by_mean(z):
    z = floats(z)
    e = np.exp(z - z.mean(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def one_shift_for_all(z):
    z = floats(z)
    e = np.exp(z - z.max(initial=-np.inf))
    return e / e.sum(axis=-1, keepdims=True)


def clipped(z):
    return textbook(np.clip(floats(z), -20, 20))


def with_epsilon(z):
    e = np.exp(floats(z))
    return e / (e.sum(axis=-1, keepdims=True) + 1e-6)


def in_float32(z):
    return textbook(floats(z).astype(np.float32)).astype(floats(z).dtype)


def flushed(z):
    p = textbook(floats(z))
    return np.where(p < np.finfo(p.dtype).tiny, 0 * p, p)


def swallowed_nan(z):
    return textbook(np.nan_to_num(floats(z), nan=0.0, posinf=np.inf, neginf=-np.inf))


def nan_everywhere(z):
    p = textbook(floats(z))
    return p * np.nan if np.isnan(p).any() else p


def floor_at_minus_infinity(z):
    z = floats(z)
    return textbook(np.where(np.isneginf(z), z[np.isfinite(z)].min(initial=0) - 3, z))


def in_place(z):
    if z.dtype.kind in "iu":
        raise TypeError("floats, please")
    z -= z.max(axis=-1, keepdims=True)
    return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


_buffer = {}


def shared_buffer(z):
    z = floats(z)
    out = _buffer.setdefault((z.shape, z.dtype), np.empty_like(z))
    out[...] = textbook(z)
    return out


_scratch = np.empty(10**6)


def thread_unsafe(z):
    z = floats(z)
    scratch = _scratch[: z.size].reshape(z.shape)
    scratch[...] = z - z.max(axis=-1, keepdims=True)
    scratch[...] = np.exp(scratch)
    scratch /= scratch.sum(axis=-1, keepdims=True)
    return scratch.astype(z.dtype)


_calls = [0]


def counts_calls(z):
    _calls[0] += 1
    return textbook(floats(z)) * (1 + 1e-5 * _calls[0])


_first = {}


def cached_by_shape(z):
    return _first.setdefault((z.shape, z.dtype), textbook(floats(z)))


def reseeds(z):
    np.random.seed(0)  # noqa: NPY002
    return textbook(floats(z))


def silences(z):
    np.seterr(under="raise" if np.geterr()["under"] != "raise" else "ignore")
    return textbook(floats(z))


def axis_ignored(z, axis=-1):
    return textbook(floats(z))


def strides_ignored(z):
    z = floats(z)
    step = abs(z.strides[-1]) // z.itemsize if z.size else 1
    return textbook(z) if step == 1 else textbook(np.roll(z, 1, axis=-1))


def integers_wrap(z):
    e = np.exp((z - z.max(axis=-1, keepdims=True)).astype(float))
    p = e / e.sum(axis=-1, keepdims=True)
    return p.astype(z.dtype) if z.dtype.kind == "f" else p


def integers_out(z):
    return textbook(floats(z)).astype(z.dtype)


def halves_added_in_halves(z):
    z = floats(z)
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / np.add.reduce(e, axis=-1, dtype=z.dtype, keepdims=True)


def narrow(z):
    return textbook(floats(z)).astype(np.float32)


def mask_ignored(z, where=None):
    return textbook(floats(z))


def mask_by_zero(z, where=True):
    return textbook(np.where(where, floats(z), 0)) * where


def temperature_after(z, temperature=1.0):
    p = textbook(floats(z)) ** temperature
    return p / p.sum(axis=-1, keepdims=True)


def crashes_on_nothing(z):
    if not len(z):
        raise IndexError("index 0 is out of bounds")
    return textbook(floats(z))


def of_the_batch(z):
    z = floats(z)
    return textbook(z - z.mean(axis=0) * (len(z) > 1))


def wrong_axis(z):
    z = floats(z)
    e = np.exp(z - z.max(axis=0))
    return e / e.sum(axis=0)


def out_forgotten(z, out=None):
    return textbook(floats(z))


def first_300(z):
    p = textbook(z)
    p[..., 300:] = 0
    return p


# ------------------------------------------------------------ log-softmax, logsumexp


def log_of_softmax(z):
    return np.log(textbook(floats(z)))


def shift_not_added_back(z):
    z = floats(z)
    return np.log(np.exp(z - z.max(axis=-1, keepdims=True)).sum(axis=-1))


# ------------------------------------------------------------ losses


def off_by_one(z, t):
    y = checked(z, t)
    return surprise(z, np.roll(y, -1, axis=1)).mean()


def wraps_labels(z, t):
    return -log_textbook(floats(z))[np.arange(len(t)), t].mean()


def clips_labels(z, t):
    return -log_textbook(floats(z))[np.arange(len(t)), np.clip(t, 0, z.shape[1] - 1)].mean()


def mean_for_sum(z, t, reduction="mean"):
    losses = surprise(z, checked(z, t))
    return losses if reduction == "none" else losses.mean()


def zero_times_infinity(z, y):
    return -(y * log_textbook(floats(z))).sum(axis=1).mean()


def log_of_probability(z, t):
    return -np.log((checked(z, t) * textbook(floats(z))).sum(axis=1)).mean()


def smooths_to_k_minus_1(z, t, label_smoothing=0.0):
    y, k = checked(z, t), z.shape[1]
    y = (1 - label_smoothing) * y + label_smoothing * (1 - y) / max(k - 1, 1)
    return surprise(z, y).mean()


def counts_the_ignored(z, t, ignore_index=None):
    kept = t != ignore_index
    y = checked(z, np.where(kept, t, 0)) * kept[:, None]
    return surprise(z, y).mean()


# ------------------------------------------------------------ gradients


def gradient_of_sum(z, t):
    y, z = checked(z, t), floats(z)
    return surprise(z, y).mean(), textbook(z) - y


def p_minus_y(z, y):
    z = floats(z)
    return surprise(z, y).mean(), (textbook(z) - y) / len(z)


def y_minus_p(z, t):
    y, z = checked(z, t), floats(z)
    return surprise(z, y).mean(), (y - textbook(z)) / len(z)


def diagonal_alone(p, g):
    return p * (1 - p) * g


def transposed(q, g):
    return g - (np.exp(q) * g).sum(axis=-1, keepdims=True)


def jacobian_without_products(p):
    return np.eye(p.shape[-1]) * p[..., None]


WRONG = {
    no_shift: ("softmax", "overflow", "nan"),
    first_300: ("softmax", "a thousand classes", "value is 0"),
    shift_by_mean: ("softmax", "overflow", "nan"),
    one_shift_for_all: ("softmax", "batch invariance", "alone"),
    clipped: ("softmax", "shift invariance", "plus"),
    with_epsilon: ("softmax", "shift invariance", "plus"),
    in_float32: ("softmax", "working precision", "value"),
    flushed: ("softmax", "subnormals", "ulp off"),
    swallowed_nan: ("softmax", "NaN", "where nan is due"),
    nan_everywhere: ("softmax", "NaN", "is nan where"),
    floor_at_minus_infinity: ("softmax", "minus infinity", "where 0 is due"),
    in_place: ("softmax", "input unchanged", "argument z"),
    shared_buffer: ("softmax", "aliasing", "earlier result"),
    thread_unsafe: ("softmax", "thread safety", "threads"),
    counts_calls: ("softmax", "determinism", "the same call again"),
    cached_by_shape: ("softmax", "determinism", "after another call"),
    reseeds: ("softmax", "side effects", "global random state"),
    silences: ("softmax", "side effects", "np.seterr"),
    axis_ignored: ("softmax", "axes", "value"),
    strides_ignored: ("softmax", "layouts", "memory"),
    integers_wrap: ("softmax", "integers", "value"),
    integers_out: ("softmax", "integers", "value"),
    halves_added_in_halves: ("softmax", "sixteen bits", "value"),
    narrow: ("softmax", "dtype", "float32 for logits in float64"),
    mask_ignored: ("softmax", "masks", "where 0 is due"),
    mask_by_zero: ("softmax", "masks", "value"),
    temperature_after: ("softmax", "temperature", "value"),
    crashes_on_nothing: ("softmax", "empty batch", "IndexError"),
    of_the_batch: ("softmax", "rows at once", "right for single rows"),
    wrong_axis: ("softmax", "rows at once", "the other axis"),
    out_forgotten: ("softmax", "out", "a new array as out"),
    log_of_softmax: ("log_softmax", "underflow", "-inf where"),
    shift_not_added_back: ("logsumexp", "values", "maximum not added back"),
    off_by_one: ("cross_entropy", "values", "labels counted from 1"),
    wraps_labels: ("cross_entropy", "label range", "label -1 of 4 classes gives loss"),
    clips_labels: ("cross_entropy", "label range", "label -1 of 4 classes gives loss"),
    mean_for_sum: ("cross_entropy", "reduction", "loss"),
    zero_times_infinity: ("cross_entropy", "certain targets", "nan"),
    log_of_probability: ("cross_entropy", "underflow", "inf"),
    smooths_to_k_minus_1: ("cross_entropy", "label smoothing", "loss"),
    counts_the_ignored: ("cross_entropy", "ignored labels", "loss"),
    gradient_of_sum: ("cross_entropy_value_and_grad", "derivatives", "gradient of the sum"),
    p_minus_y: ("cross_entropy_value_and_grad", "targets", "gradient"),
    y_minus_p: ("cross_entropy_value_and_grad", "derivatives", "sign turned"),
    diagonal_alone: ("softmax_vjp", "derivatives", "diagonal of the Jacobian alone"),
    transposed: ("log_softmax_vjp", "derivatives", "transposed"),
    jacobian_without_products: ("softmax_jacobian", "derivatives", "without p p^T"),
}
