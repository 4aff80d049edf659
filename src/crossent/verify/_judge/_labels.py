"""The properties of labels: what is out of range, and which integers they may be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ._compare import Failure, attempt, compared, gross
from ._example import Example
from ._limit import OutOfTime
from ._options import no_labels
from ._property import Property, floats_of
from ._recognise import LABELS, benign
from ._subject import Subject


def _strange(subject: Subject) -> list[Example]:
    example = benign(subject.kind, floats_of(subject)[0])
    k = len(example.weight) if example.weight is not None else example.logits.shape[1]
    return [
        replace(example, target=np.array([LABELS[0], strange, LABELS[2]]), name=f"label {strange}")
        for strange in (-1, k)
    ]


def _refused(subject: Subject, example: Example) -> Failure | None:
    """An error, or a loss that is NaN (with a gradient that is): never a number."""
    variables = subject.variables(example)
    try:
        found = subject.named(subject.call(variables, example))
        slopes = subject.results(example) if subject.derivative else found
    except OutOfTime as error:
        return Failure(example, str(error))
    except Exception:  # whatever it says: it says so
        return None
    strange = int(example.target[1]) if example.target is not None else 0
    for name, array in {**found, **slopes}.items():
        part = array[1] if array.ndim and len(array) == len(example.logits) else array
        if not np.isnan(part).any():
            text = f"label {strange} of {_classes(example)} classes gives {name} {_shown(part)}"
            return Failure(example, text)
    return None


def _classes(example: Example) -> int:
    return len(example.weight) if example.weight is not None else example.logits.shape[1]


def _shown(part: np.ndarray) -> str:
    return np.array2string(np.asarray(part), precision=4, separator=", ").replace("\n", "")


def _integers(subject: Subject) -> list[Example]:
    example = benign(subject.kind, floats_of(subject)[0])
    return [
        replace(example, target=LABELS.astype(dtype), name=f"labels in {dtype}")
        for dtype in ("int32", "int8", "uint8", "uint64", "int16")
    ]


def _understood(subject: Subject, example: Example) -> Failure | None:
    found = attempt(subject, example)
    return found if isinstance(found, Failure) else compared(subject, example, gross)


LABEL_PROPERTIES = (
    Property(
        "label range",
        "a label below 0 or beyond the last class is an error, or NaN",
        _strange,
        _refused,
        no_labels,
        numeric=False,
        shrinks=False,
    ),
    Property(
        "label dtypes",
        "labels may be of any integer dtype",
        _integers,
        _understood,
        no_labels,
        required=False,
    ),
)
