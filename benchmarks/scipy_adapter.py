"""scipy.special: softmax, log_softmax and logsumexp."""

from __future__ import annotations

import scipy
from scipy import special

from .problems import Arrays

NAME = "SciPy"
VERSION = scipy.__version__


def softmax(arrays: Arrays):
    return lambda: special.softmax(arrays["logits"], axis=1)


def log_softmax(arrays: Arrays):
    return lambda: special.log_softmax(arrays["logits"], axis=1)


def logsumexp(arrays: Arrays):
    return lambda: special.logsumexp(arrays["logits"], axis=1)
