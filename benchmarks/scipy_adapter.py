"""scipy.special: softmax, log_softmax and logsumexp; it has no `out=`."""

from __future__ import annotations

import scipy
from scipy import special

from .problems import Arrays, Calls, Problem

NAME = "SciPy"
VERSION = scipy.__version__


def softmax(problem: Problem, arrays: Arrays) -> Calls:
    return {"fresh": lambda: special.softmax(arrays["logits"], axis=problem.axis)}


def log_softmax(problem: Problem, arrays: Arrays) -> Calls:
    return {"fresh": lambda: special.log_softmax(arrays["logits"], axis=problem.axis)}


def logsumexp(problem: Problem, arrays: Arrays) -> Calls:
    return {"fresh": lambda: special.logsumexp(arrays["logits"], axis=problem.axis)}
