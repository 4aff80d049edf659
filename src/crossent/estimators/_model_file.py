"""Fitted classifiers into files and back. Nothing in a file is ever run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._version import __version__
from ._base import NetworkClassifier
from ._description import described, restored
from ._rbf import RBFClassifier
from ._sealed_file import ModelFileError, read_sealed, write_sealed
from ._softmax import SoftmaxClassifier

__all__ = ["ModelFileError", "load_model", "save_model"]

_KINDS: dict[str, type[NetworkClassifier]] = {
    "SoftmaxClassifier": SoftmaxClassifier,
    "RBFClassifier": RBFClassifier,
}
_LONGEST_REASON = 300


def save_model(
    path: str | Path, estimator: NetworkClassifier, *, table: dict[str, Any] | None = None
) -> None:
    """Write a fitted classifier as one .safetensors file, whole or not at all.

    It is written beside its place under another name, flushed to disk, and moved. Not kept are
    ``callback`` and a ``random_state`` that is no integer.

    Parameters
    ----------
    path : path
    estimator : SoftmaxClassifier or RBFClassifier
        Fitted.
    table : dict, optional
        What else should come back with the model, such as the columns of the table it was
        trained on: anything JSON can say.

    Raises
    ------
    TypeError
        If a class name or ``table`` cannot be written as JSON.
    ValueError
        If it holds what `load_model` would refuse: a parameter out of its range, set after the
        fit, or numbers that are not finite.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> from crossent.estimators import SoftmaxClassifier, load_model, save_model
    >>> import tempfile, pathlib
    >>> model = SoftmaxClassifier().fit([[0.0], [1.0]], ["no", "yes"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "model.safetensors"
    ...     save_model(path, model, table={"target": "answer"})
    ...     again, table = load_model(path)
    >>> again.predict([[0.9]]), table
    (array(['yes'], dtype='<U3'), {'target': 'answer'})
    """
    check_is_fitted(estimator)
    kind = type(estimator).__name__
    if kind not in _KINDS:
        raise TypeError(f"{kind} is no kind of model this format knows: {', '.join(_KINDS)}")
    if not (table is None or isinstance(table, dict)):
        raise TypeError(f"table must be a dict or None, got {type(table).__name__}")
    tensors = {
        name.removesuffix("_"): np.ascontiguousarray(getattr(estimator, name))
        for name in estimator._tensor_names
    }
    description = {
        "crossent": __version__,
        "kind": kind,
        "table": table,
        "model": described(estimator, tensors),
    }
    write_sealed(Path(path), description, tensors)


def load_model(path: str | Path) -> tuple[NetworkClassifier, dict[str, Any] | None]:
    """Read a classifier, and what was stored with it.

    Parameters
    ----------
    path : path

    Returns
    -------
    estimator : SoftmaxClassifier or RBFClassifier
    table : dict or None

    Raises
    ------
    ModelFileError
        If the file is cut off, changed, of another origin, of a later format, or describes
        a model that no fit leaves.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> from crossent.estimators import RBFClassifier, load_model
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "model.safetensors"
    ...     RBFClassifier().fit([[0.0], [1.0]], ["no", "yes"]).save(path)
    ...     model, table = load_model(path)
    >>> model.predict([[0.9]]), table
    (array(['yes'], dtype='<U3'), None)
    """
    text, tensors = read_sealed(Path(path))
    try:
        description = json.loads(text)
        if set(description) != {"crossent", "kind", "table", "model"}:
            raise ValueError("a part is missing, or there is one too many")
        kind, table = description["kind"], description["table"]
        if kind not in _KINDS:
            raise ValueError(f"its kind {kind!r} is none of {', '.join(_KINDS)}")
        if not (table is None or isinstance(table, dict)):
            raise ValueError("its table is no JSON object")
        return restored(_KINDS[kind], description["model"], tensors), table
    except RecursionError:
        reason = "it is nested too deeply"
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:_LONGEST_REASON]
    raise ModelFileError(f"{path} does not describe a model: {reason}; train it again")
