"""From a fitted linear layer on features to logits, classes, probabilities, by blocks of rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from .._typing import Array, ArrayLike
from ..ops import log_softmax, softmax

__all__ = ["Prediction", "block_rows"]

_WORKSPACE_BYTES = 64 << 20


def block_rows(workspace_bytes: int | None, row_bytes: int) -> int:
    """Rows that a block of the workspace holds, one at least."""
    budget = _WORKSPACE_BYTES if workspace_bytes is None else workspace_bytes
    return max(1, int(budget) // row_bytes)


class Prediction:
    """What any classifier with ``coef_``, ``intercept_`` and ``classes_`` can say of new rows."""

    coef_: Array
    intercept_: Array
    classes_: Array
    workspace_bytes: int | None

    @abstractmethod
    def _values(self, X: Array) -> Array:
        """The features (B, n) of checked inputs, from what is stored."""

    def decision_function(self, X: ArrayLike) -> Array:
        """Logits: (N, K), or for two classes (N,), the second's.

        Parameters
        ----------
        X : array_like (N, D)
        """
        logits = self._logits(X)
        return logits[:, 0] if len(self.coef_) == 1 else logits

    def predict(self, X: ArrayLike) -> Array:
        """The most probable class name of each row, (N,).

        Parameters
        ----------
        X : array_like (N, D)
        """
        rows = self._checked_rows(X)
        labels = np.empty(len(rows), dtype=np.int64)
        for part, logits in self._logit_blocks(rows):
            labels[part] = logits[:, 0] > 0.0 if logits.shape[1] == 1 else logits.argmax(axis=1)
        return self.classes_[labels]

    def predict_proba(self, X: ArrayLike) -> Array:
        """Probabilities of the classes in the order of ``classes_``, (N, K).

        Parameters
        ----------
        X : array_like (N, D)
        """
        return softmax(self._all_logits(X))

    def predict_log_proba(self, X: ArrayLike) -> Array:
        """Logarithms of the probabilities, which do not underflow where these do, (N, K).

        Parameters
        ----------
        X : array_like (N, D)
        """
        return log_softmax(self._all_logits(X))

    def _all_logits(self, X: ArrayLike) -> Array:
        logits = self._logits(X)
        return np.hstack([np.zeros_like(logits), logits]) if len(self.coef_) == 1 else logits

    def _logits(self, X: ArrayLike) -> Array:
        rows = self._checked_rows(X)
        result = np.empty((len(rows), len(self.coef_)), dtype=self.coef_.dtype)
        for part, logits in self._logit_blocks(rows):
            result[part] = logits
        return result

    def _logit_blocks(self, rows: Array) -> Iterator[tuple[slice, Array]]:
        """Slices of rows with their logits, within the workspace."""
        numbers = sum(self.coef_.shape) + 2 * rows.shape[1]  # logits, features, scaled inputs
        block = block_rows(self.workspace_bytes, numbers * self.coef_.dtype.itemsize)
        for start in range(0, len(rows), block):
            part = slice(start, start + block)
            logits = self._values(rows[part]) @ self.coef_.T
            logits += self.intercept_
            yield part, logits

    def _checked_rows(self, X: ArrayLike) -> Array:
        check_is_fitted(self)
        return validate_data(self, X, reset=False, dtype=self.coef_.dtype)
