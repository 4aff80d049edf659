"""Models as .safetensors files: tensors, and one JSON text that describes and seals them.

The file's metadata has one key, ``crossent``: a JSON object with ``format``, ``digest`` and
``description``. The digest is a SHA-256 over the description and over name, dtype, shape and bytes
of every tensor, so that a bit flipped anywhere is found. Nothing in a file is ever run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from sklearn.utils.validation import check_is_fitted

from .. import __version__
from .._typing import Array
from ._base import NetworkClassifier
from ._description import described, restored
from ._rbf import RBFClassifier
from ._softmax import SoftmaxClassifier

__all__ = ["ModelFileError", "load_model", "save_model"]

_FORMAT = 1
_KEY = "crossent"
_KINDS: dict[str, Callable[..., NetworkClassifier]] = {
    "SoftmaxClassifier": SoftmaxClassifier,
    "RBFClassifier": RBFClassifier,
}


class ModelFileError(ValueError):
    """A model file that cannot be used; the text is one line that says why."""


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
    tensors = {
        name.removesuffix("_"): np.ascontiguousarray(getattr(estimator, name))
        for name in estimator._tensor_names
    }
    description = {
        "crossent": __version__,
        "kind": kind,
        "table": table,
        **described(estimator, tensors),
    }
    text = json.dumps(description, ensure_ascii=False, allow_nan=False, sort_keys=True)
    sealed = {"format": _FORMAT, "digest": _digest(text, tensors), "description": text}
    _write_whole(Path(path), save_tensors(tensors, {_KEY: json.dumps(sealed)}))


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
        If the file is cut off, changed, of another origin, or of a later format.
    OSError
        If it cannot be read.
    """
    data = Path(path).read_bytes()
    sealed = _sealed_part(path, data)
    try:
        tensors = load_tensors(data)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ModelFileError(f"{path} is damaged: {error}; copy or train it again") from None
    text = sealed["description"]
    if not isinstance(text, str) or sealed["digest"] != _digest(text, tensors):
        raise ModelFileError(
            f"{path} was changed after it was written (its digest does not fit): "
            "copy or train it again"
        )
    try:
        description = json.loads(text)
        estimator = restored(_KINDS[description["kind"]], description, tensors)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(f"{path} does not describe a model: {error}; train it again") from None
    return estimator, description["table"]


def _sealed_part(path: str | Path, data: bytes) -> dict[str, Any]:
    """The metadata's JSON object, of a format we read."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 2 <= length <= len(data) - 8 or data[8:9] != b"{":
        raise ModelFileError(f"{path} is no model file, or was cut off: it holds {len(data)} bytes")
    try:
        header = json.loads(data[8 : 8 + length])
        metadata = header["__metadata__"]
        sealed = json.loads(metadata[_KEY])
        newer = sealed["format"]
        complete = set(sealed) == {"format", "digest", "description"} and set(metadata) == {_KEY}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ModelFileError(
            f"{path} is no crossent model (or its header is damaged): "
            "crossent fit, or save_model, writes one"
        ) from None
    if isinstance(newer, int) and newer > _FORMAT:
        raise ModelFileError(
            f"{path} is of format {newer}, and this crossent ({__version__}) reads formats up to "
            f"{_FORMAT}: install a newer one"
        )
    if newer != _FORMAT or isinstance(newer, bool) or not complete:
        raise ModelFileError(f"{path} has a damaged header: copy or train it again")
    return sealed


def _digest(description: str, tensors: dict[str, Array]) -> str:
    """SHA-256 over the description and every tensor, each part with its length before it."""
    digest = hashlib.sha256()
    parts: list[bytes] = [str(_FORMAT).encode(), description.encode("utf-8", "surrogatepass")]
    for name in sorted(tensors):
        tensor = tensors[name]
        little = tensor.astype(tensor.dtype.newbyteorder("<"), copy=False)
        head = f"{name} {tensor.dtype.name} {tensor.shape}"
        parts += [head.encode("utf-8", "surrogatepass"), little.tobytes()]
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def _write_whole(path: Path, data: bytes) -> None:
    """Either the whole new file stands at the path, or what stood there before."""
    target = Path(os.path.realpath(path))
    beside = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        with open(beside, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
