"""The container of a model: a .safetensors file whose metadata describe and seal its tensors.

The metadata have one key, ``crossent``: a JSON object with ``format``, ``digest`` and
``description``. The digest is a SHA-256 over the description and over name, dtype, shape and bytes
of every tensor, so that a bit flipped anywhere is found. It is no signature: whoever can write
a file can seal it, and what it describes is checked all the same.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from .._typing import Array
from .._version import __version__
from ..data import whole_file

__all__ = ["ModelFileError", "read_sealed", "write_sealed"]

_FORMAT = 1
_KEY = "crossent"
_LONGEST_HEADER = 100_000_000
"""The format's own limit."""


class ModelFileError(ValueError):
    """A model file that cannot be used; the text is one line that says why."""


def write_sealed(path: Path, description: dict[str, Any], tensors: dict[str, Array]) -> None:
    """Write description and tensors as one file, whole or not at all."""
    text = json.dumps(description, ensure_ascii=False, allow_nan=False, sort_keys=True)
    sealed = {"format": _FORMAT, "digest": _digest(text, tensors), "description": text}
    data = save_tensors(tensors, {_KEY: json.dumps(sealed)})
    with whole_file(path) as beside:
        beside.write_bytes(data)


def read_sealed(path: Path) -> tuple[str, dict[str, Array]]:
    """The description's text and the tensors, of a file whose digest fits both.

    Raises
    ------
    ModelFileError
        If the file is no model, cut off, changed, or of a later format.
    OSError
        If it cannot be read.
    """
    data, header = _read(path)
    sealed = _sealed_part(path, header)
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
    return text, tensors


def _read(path: Path) -> tuple[bytes, bytes]:
    """The whole file and its header; nothing is read that the lengths do not bear out."""
    if path.exists() and not path.is_file():
        raise ModelFileError(f"{path} is no model file, but a folder, a device or a pipe")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        first = file.read(8)
        length = int.from_bytes(first, "little")
        if len(first) < 8 or not 2 <= length <= min(size - 8, _LONGEST_HEADER):
            raise ModelFileError(f"{path} is no model file, or was cut off: it holds {size} bytes")
        header = file.read(length)
        if header[:1] != b"{":
            raise ModelFileError(f"{path} is no model file: it does not begin like one")
        tensor_bytes = _tensor_bytes(path, header)
        if size != 8 + length + tensor_bytes:
            raise ModelFileError(
                f"{path} is no whole model file: it holds {size} bytes, and its header tells of "
                f"{8 + length + tensor_bytes}"
            )
        data = first + header + file.read(tensor_bytes)
    return data, header


def _tensor_bytes(path: Path, header: bytes) -> int:
    """How many bytes of tensors a header tells of: where the last one ends."""
    try:
        entries = json.loads(header)
        ends = [entry["data_offsets"][1] for name, entry in entries.items() if name[:2] != "__"]
        return max([0, *(end for end in ends if isinstance(end, int))])
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        raise _no_model(path) from None


def _sealed_part(path: Path, header: bytes) -> dict[str, Any]:
    """The metadata's JSON object, of a format we read."""
    try:
        metadata = json.loads(header)["__metadata__"]
        sealed = json.loads(metadata[_KEY])
        newer = sealed["format"]
        complete = set(sealed) == {"format", "digest", "description"} and set(metadata) == {_KEY}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _no_model(path) from None
    if isinstance(newer, int) and newer > _FORMAT:
        raise ModelFileError(
            f"{path} is of format {newer}, and this crossent ({__version__}) reads formats up to "
            f"{_FORMAT}: install a newer one"
        )
    if newer != _FORMAT or isinstance(newer, bool) or not complete:
        raise ModelFileError(f"{path} has a damaged header: copy or train it again")
    return sealed


def _no_model(path: Path) -> ModelFileError:
    return ModelFileError(
        f"{path} is no crossent model (or its header is damaged): "
        "crossent fit, or save_model, writes one"
    )


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
