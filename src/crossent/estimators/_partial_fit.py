"""Learning from rows that come a part at a time: what both classifiers do with each part."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import validate_data

from .._typing import Array, ArrayLike
from ..data import ArrayBatches, class_mass, class_weights
from ..objective import NetworkLoss
from ._base import NetworkClassifier
from ._checks import Options, checked_options, checked_truth, checked_weight
from ._problem import Problem
from ._stream import Stream
from ._whole import wholly

__all__ = ["PartialFit"]

_OF_A_FIT = ("result_", "converged_", "stopping_reason_", "gap_", "gradient_norm_")


class PartialFit(NetworkClassifier):
    """A classifier with ``partial_fit``; a subclass says where its stream starts."""

    @abstractmethod
    def _first_stream(self, problem: Problem, loss: NetworkLoss) -> Stream:
        """The stream that begins with these rows, from the last fit's network where it is warm."""

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Learn from some rows and go on with others in the next call; each row is seen once.

        True softmax and its exact gradient, by Adam's steps of some rows each: 64 of
        `SoftmaxClassifier`'s (sparse: 4096), in columns scaled as the first rows show them; 32 of
        `RBFClassifier`'s, whose centers are chosen among the first rows. Kept are means of the
        steps, later ones counting more. The penalty is that of C for all rows seen so far. Memory
        does not grow with the rows.

        Parameters
        ----------
        X : array_like or, for softmax regression, sparse matrix (N, D)
            A first part of some hundred rows or more tells the columns' scales well, and of some
            thousand where centers are.
        y : array_like (N,) or (N, K)
            Class names, or target probabilities.
        classes : array_like (K,)
            All class names; needed in the first call.
        sample_weight : array_like (N,), optional

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As `fit`; also if the first call names no classes, or a later one others.

        Notes
        -----
        After `fit`, its weights are where to start. ``tol``, ``max_iter``, ``solver``,
        ``early_stopping`` and ``callback`` play no part; ``class_weight="balanced"`` counts the
        rows seen so far.

        Examples
        --------
        >>> from crossent import SoftmaxClassifier
        >>> model = SoftmaxClassifier()
        >>> for _ in range(200):
        ...     part = model.partial_fit([[0.0], [1.0], [3.0]], ["a", "a", "b"], classes=["a", "b"])
        >>> model.predict([[0.5], [2.5]])
        array(['a', 'b'], dtype='<U1')
        """
        return wholly(type(self)._train_on_part, self, X, y, classes, sample_weight)

    def _train_on_part(
        self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None, sample_weight: ArrayLike | None
    ) -> None:
        options, known = checked_options(self), hasattr(self, "coef_")
        self._check_own_parameters()
        if not known and classes is None:
            raise ValueError(
                "the first call of partial_fit must name all classes, as later rows may bring new "
                "ones: partial_fit(X, y, classes=[...])"
            )
        self._check_kind_of_rows(X)
        dtypes = self.coef_.dtype if known else options.dtypes
        rows, y = validate_data(
            self,
            X,
            y,
            dtype=dtypes,
            multi_output=True,
            accept_sparse=self._accept_sparse,
            reset=not known,
        )
        truth = checked_truth(y, self.classes_ if classes is None else classes)
        if known and not np.array_equal(truth.classes, self.classes_):
            raise ValueError(
                f"classes are {truth.classes.tolist()}, but the calls before had "
                f"{self.classes_.tolist()}: they must stay the same"
            )
        weight = checked_weight(sample_weight, rows.shape[0])
        weight = np.ones(rows.shape[0]) if weight is None else weight
        self.classes_ = truth.classes
        self._see(rows, truth.target, weight, options)

    def _see(self, rows: Any, target: Array, weight: Array, options: Options) -> None:
        """The steps of checked rows, and the network they lead to."""
        n_classes = len(self.classes_)
        stream: Stream | None = getattr(self, "_stream", None)
        mass = class_mass(ArrayBatches(rows, target, weight), n_classes)
        seen = mass if stream is None else mass + stream.mass
        loss = NetworkLoss(
            n_classes,
            n_classes == 2,
            options.C,
            self.fit_intercept,
            class_weights(self.class_weight, self.classes_, seen),
            options.label_smoothing,
            self.workspace_bytes,
        )
        problem = Problem(rows, target, weight, seen, np.arange(n_classes), n_classes == 2)
        if stream is None:
            problem = problem._replace(warm=hasattr(self, "coef_"))
            stream = self._first_stream(problem, loss)
        self._stream = stream.see(loss, rows, target, weight)
        found = stream.network()
        self._keep_linear(found, problem, n_classes)
        self._keep(stream.features, found.features)
        self.n_iter_ = stream.n_steps
        for name in _OF_A_FIT:
            self.__dict__.pop(name, None)
