"""From a fitted linear layer on features to logits, classes, probabilities, by blocks of rows."""

from __future__ import annotations

import numbers
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from .._arguments import as_output
from .._sparse import is_sparse, logits_of, row_slice, turned
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
    _accept_sparse: str | bool = False

    @abstractmethod
    def _values(self, X: Array) -> Array:
        """The features (B, n) of checked inputs, from what is stored."""

    def decision_function(self, X: ArrayLike) -> Array:
        """Logits: (N, K), or for two classes (N,), the second's.

        Parameters
        ----------
        X : array_like or sparse matrix (N, D)
        """
        rows = self._checked_rows(X)
        result = np.empty((rows.shape[0], len(self.coef_)), dtype=self.coef_.dtype)
        for part, logits in self._logit_blocks(rows):
            result[part] = logits
        return result[:, 0] if len(self.coef_) == 1 else result

    def predict(self, X: ArrayLike) -> Array:
        """The most probable class name of each row, (N,); logits of a block of rows at a time.

        Parameters
        ----------
        X : array_like or sparse matrix (N, D)
        """
        rows = self._checked_rows(X)
        labels = np.empty(rows.shape[0], dtype=np.int64)
        for part, logits in self._logit_blocks(rows):
            labels[part] = logits[:, 0] > 0.0 if logits.shape[1] == 1 else logits.argmax(axis=1)
        return self.classes_[labels]

    def predict_proba(self, X: ArrayLike, out: Array | None = None) -> Array:
        """Probabilities of the classes in the order of ``classes_``, (N, K).

        Parameters
        ----------
        X : array_like or sparse matrix (N, D)
        out : ndarray (N, K), optional
            Where to write them; of the dtype of ``coef_``.

        Returns
        -------
        ndarray (N, K)
            ``out`` itself, where given.

        Raises
        ------
        TypeError, ValueError
            If ``out`` has another shape or dtype, or cannot be written to.
        """
        return self._by_blocks(softmax, X, out)

    def predict_log_proba(self, X: ArrayLike, out: Array | None = None) -> Array:
        """Logarithms of the probabilities, which do not underflow where these do, (N, K).

        Parameters
        ----------
        X : array_like or sparse matrix (N, D)
        out : ndarray (N, K), optional
            As in `predict_proba`.
        """
        return self._by_blocks(log_softmax, X, out)

    def predict_top_k(self, X: ArrayLike, k: int) -> tuple[Array, Array]:
        """The ``k`` most probable class names of each row, and their probabilities, best first.

        Parameters
        ----------
        X : array_like or sparse matrix (N, D)
        k : int
            From 1 to K.

        Returns
        -------
        names : ndarray (N, k)
        probabilities : ndarray (N, k)

        Raises
        ------
        ValueError
            If there are not so many classes.

        Examples
        --------
        >>> from crossent import SoftmaxClassifier
        >>> model = SoftmaxClassifier().fit([[0.0], [1.0], [2.0]], ["a", "b", "c"])
        >>> model.predict_top_k([[9.0]], 2)[0]
        array([['c', 'b']], dtype='<U1')
        """
        check_is_fitted(self)
        n_classes = len(self.classes_)
        if not isinstance(k, numbers.Integral) or isinstance(k, bool) or not 1 <= k <= n_classes:
            raise ValueError(f"k must be an integer from 1 to the {n_classes} classes, got {k!r}")
        rows = self._checked_rows(X)
        labels = np.empty((rows.shape[0], int(k)), dtype=np.int64)
        found = np.empty(labels.shape, dtype=self.coef_.dtype)
        for part, logits in self._logit_blocks(rows):
            z = _of_all_classes(logits)
            top = np.argpartition(-z, int(k) - 1, axis=1)[:, :k] if k < n_classes else None
            top = np.broadcast_to(np.arange(n_classes), z.shape) if top is None else top
            order = np.argsort(-np.take_along_axis(z, top, axis=1), axis=1, kind="stable")
            labels[part] = np.take_along_axis(top, order, axis=1)
            found[part] = np.take_along_axis(softmax(z, out=z), labels[part], axis=1)
        return self.classes_[labels], found

    def _by_blocks(self, function: Any, X: ArrayLike, out: Array | None) -> Array:
        """A function of the logits, block by block."""
        rows = self._checked_rows(X)
        shape, dtype = (rows.shape[0], len(self.classes_)), self.coef_.dtype
        if out is None:
            out = np.empty(shape, dtype)
        else:
            as_output(out, shape, dtype)
        for part, logits in self._logit_blocks(rows):
            function(_of_all_classes(logits), out=out[part])
        return out

    def _logit_blocks(self, rows: Any) -> Iterator[tuple[slice, Array]]:
        """Slices of rows with their logits, within the workspace."""
        sparse = is_sparse(rows)
        numbers_a_row = 2 * len(self.coef_) if sparse else sum(self.coef_.shape) + 2 * rows.shape[1]
        block = block_rows(self.workspace_bytes, numbers_a_row * self.coef_.dtype.itemsize)
        weight_t = turned(self.coef_) if sparse else self.coef_.T
        for start in range(0, rows.shape[0], block):
            part = slice(start, min(start + block, rows.shape[0]))
            if sparse:
                logits = logits_of(row_slice(rows, part), weight_t, self.intercept_)
            else:
                logits = self._values(rows[part]) @ weight_t
                logits += self.intercept_
            yield part, logits

    def _checked_rows(self, X: ArrayLike) -> Any:
        check_is_fitted(self)
        return validate_data(
            self, X, reset=False, dtype=self.coef_.dtype, accept_sparse=self._accept_sparse
        )


def _of_all_classes(logits: Array) -> Array:
    """Of two classes that have one logit: (0, u)."""
    return np.hstack([np.zeros_like(logits), logits]) if logits.shape[1] == 1 else logits
