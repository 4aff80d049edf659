"""What a fitted classifier can be written as: a model file, and ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

__all__ = ["WrittenModel"]


class WrittenModel:
    """A classifier that can be written, and read again by its class."""

    def save(self, path: str | Path) -> None:
        """Write the fitted classifier to a .safetensors file; see `save_model`.

        Parameters
        ----------
        path : path
        """
        from ._model_file import save_model

        model: Any = self
        save_model(path, model)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a classifier of this class from a file; see `load_model`.

        Parameters
        ----------
        path : path

        Raises
        ------
        ModelFileError
            If the file cannot be read, or holds another kind of model.
        """
        from ._model_file import ModelFileError, load_model

        estimator: Any = load_model(path)[0]
        if not isinstance(estimator, cls):
            raise ModelFileError(
                f"{path} holds a {type(estimator).__name__}, not a {cls.__name__}: "
                "load it with crossent.estimators.load_model"
            )
        return estimator

    def to_onnx(self) -> Any:
        """The fitted classifier as an ONNX model; see `crossent.estimators.to_onnx`.

        Returns
        -------
        onnx.ModelProto
        """
        from ._onnx import to_onnx

        return to_onnx(self)
