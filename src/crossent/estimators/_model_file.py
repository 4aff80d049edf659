"""Fitted classifiers into files and back. Nothing in a file is ever run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sklearn.utils.validation import check_is_fitted

from .._typing import Array
from .._version import __version__
from ._base import NetworkClassifier
from ._calibration_file import described_calibration, restored_calibration
from ._description import described, restored
from ._rbf import RBFClassifier
from ._sealed_file import ModelFileError, read_sealed, write_sealed
from ._softmax import SoftmaxClassifier
from ._temperature import TemperatureScaling

__all__ = ["ModelFileError", "load_model", "save_model"]

_KINDS: dict[str, type[NetworkClassifier]] = {
    "SoftmaxClassifier": SoftmaxClassifier,
    "RBFClassifier": RBFClassifier,
}
_CALIBRATED = "TemperatureScaling"
_LONGEST_REASON = 300

Saved = NetworkClassifier | TemperatureScaling


def save_model(path: str | Path, estimator: Saved, *, table: dict[str, Any] | None = None) -> None:
    """Write a fitted classifier as one .safetensors file, whole or not at all.

    It is written beside its place under another name, flushed to disk, and moved. Not kept are
    ``callback``, a ``random_state`` that is no integer, and a ``cv`` that is no number or word.

    Parameters
    ----------
    path : path
    estimator : SoftmaxClassifier, RBFClassifier, or TemperatureScaling of one of them
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
    if kind not in (*_KINDS, _CALIBRATED):
        known = ", ".join((*_KINDS, _CALIBRATED))
        raise TypeError(f"{kind} is no kind of model this format knows: {known}")
    if not (table is None or isinstance(table, dict)):
        raise TypeError(f"table must be a dict or None, got {type(table).__name__}")
    tensors: dict[str, Array] = {}
    if isinstance(estimator, TemperatureScaling):
        model = described_calibration(estimator, _KINDS, tensors)
    else:
        model = described(estimator, tensors)
    description = {"crossent": __version__, "kind": kind, "table": table, "model": model}
    write_sealed(Path(path), description, tensors)


def load_model(path: str | Path) -> tuple[Saved, dict[str, Any] | None]:
    """Read a classifier, and what was stored with it.

    Parameters
    ----------
    path : path

    Returns
    -------
    estimator : SoftmaxClassifier, RBFClassifier or TemperatureScaling
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
        if kind not in (*_KINDS, _CALIBRATED):
            raise ValueError(f"its kind {kind!r} is none of {', '.join((*_KINDS, _CALIBRATED))}")
        if not (table is None or isinstance(table, dict)):
            raise ValueError("its table is no JSON object")
        if kind == _CALIBRATED:
            return restored_calibration(_KINDS, description["model"], tensors), table
        return restored(_KINDS[kind], description["model"], tensors), table
    except RecursionError:
        reason = "it is nested too deeply"
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:_LONGEST_REASON]
    raise ModelFileError(f"{path} does not describe a model: {reason}; train it again")
