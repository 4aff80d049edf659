"""What both classifiers share: checked data in, a linear layer on features out, prediction."""

from __future__ import annotations

import sys
import warnings
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import validate_data

from .._typing import Array, ArrayLike, Features
from ..data import ArrayBatches, class_mass, class_weights
from ..objective import Network, NetworkLoss, NetworkObjective
from ..solvers import Criterion, Progress, Result, lbfgs
from ._checks import Truth, checked_options, checked_truth, checked_weight
from ._prediction import Prediction

__all__ = ["NetworkClassifier", "Problem", "Solver"]

Solver = Callable[..., Result]


class Problem(NamedTuple):
    """Rows of positive weight, of classes that have some mass, ready to be trained on.

    ``classes`` are the numbers of those classes among all; ``one_logit`` says two classes in all.
    """

    inputs: Array
    target: Array
    sample_weight: Array | None
    mass: Array
    classes: Array
    one_logit: bool


class NetworkClassifier(Prediction, ClassifierMixin, BaseEstimator):
    """Softmax of a linear layer on features; a subclass says which features."""

    # ------------------------------------------------------------ what a subclass says

    @abstractmethod
    def _features(self, problem: Problem) -> tuple[Features, Array, Array]:
        """Features for these inputs, where their parameters start, and the inputs they take."""

    @abstractmethod
    def _criterion(self, objective: NetworkObjective, start: Array) -> Criterion:
        """When to stop."""

    @abstractmethod
    def _keep(self, features: Features, parameters: Array) -> None:
        """Store the features trained."""

    _solvers: tuple[str, ...] = ("auto", "lbfgs")

    def _solver(self, problem: Problem, n_parameters: int) -> Solver:
        """The solver for this many parameters."""
        return lbfgs

    def _start_network(self, network: Network) -> Network:
        """The cold start's network, with the last fit's W and b where they are to go on and fit."""
        if not self.warm_start or not self.__sklearn_is_fitted__():
            return network
        if self.coef_.shape != network.weight.shape or not np.isfinite(self.intercept_).all():
            return network
        return network._replace(
            weight=self.coef_.astype(np.float64), bias=self.intercept_.astype(np.float64)
        )

    # ------------------------------------------------------------ fit

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> Self:
        """Train on rows and their classes.

        Parameters
        ----------
        X : array_like (N, D)
            float32 stays float32 (``dtype="auto"``); anything else is computed in float64.
        y : array_like (N,) or (N, K)
            Class names of any sortable type; or target probabilities, whose columns ``classes``
            names.
        sample_weight : array_like (N,), optional
            One non-negative weight a row. Rows of weight 0 are left out.
        classes : array_like (K,), optional
            All class names, where ``y`` may lack some. Needed with target probabilities.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For parameters, rows, weights or classes that cannot be used; the text says why.

        Warns
        -----
        ConvergenceWarning
            If the solver ended before ``tol`` was reached.
        """
        options = checked_options(self)
        self._check_own_parameters()
        rows, y = validate_data(self, X, y, dtype=options.dtypes, multi_output=True)
        truth = checked_truth(y, classes)
        weight = checked_weight(sample_weight, np.asarray(rows))
        problem, class_weight = self._problem(np.asarray(rows), truth, weight)
        self.classes_ = truth.classes
        features, start, inputs = self._features(problem)
        loss = NetworkLoss(
            len(problem.classes),
            problem.one_logit,
            options.C,
            self.fit_intercept,
            class_weight,
            options.label_smoothing,
            self.workspace_bytes,
        )
        batches = ArrayBatches(
            inputs,
            problem.target,
            problem.sample_weight,
            batch_rows=self._batch_rows(features.n_features, inputs.dtype.itemsize),
        )
        objective = NetworkObjective(batches, features, loss, start, problem.mass)
        self._solve(objective, features, problem, len(truth.classes))
        return self

    def _problem(self, X: Array, truth: Truth, weight: Array | None) -> tuple[Problem, Any]:
        """Leave out rows without weight and classes without mass."""
        target = truth.target
        if weight is not None and (weight == 0.0).any():
            present = weight > 0.0
            if not present.any():
                raise ValueError(
                    "every sample_weight is 0: at least one row must have a positive weight"
                )
            X, target, weight = X[present], target[present], weight[present]
        n_classes = len(truth.classes)
        mass = class_mass(ArrayBatches(X, target, weight), n_classes)
        class_weight = class_weights(self.class_weight, truth.classes, mass)
        asked = mass if class_weight is None else mass * class_weight
        spread = self.label_smoothing > 0.0 or not self.fit_intercept
        classes = np.arange(n_classes) if spread else np.flatnonzero(asked > 0.0)
        if np.count_nonzero(mass > 0.0) < 2 or len(classes) < 2:
            raise ValueError(
                f"y has rows of one class only ({truth.classes[int(mass.argmax())]!r}): "
                "a classifier needs samples of at least 2 classes in the data"
            )
        if len(classes) < n_classes:
            if target.ndim == 1:
                kept = np.isin(target, classes)
                X, target = X[kept], np.searchsorted(classes, target[kept])
                weight = weight if weight is None else weight[kept]
            else:
                target = target[:, classes]
            mass = mass[classes]
            class_weight = class_weight if class_weight is None else class_weight[classes]
        return Problem(X, target, weight, mass, classes, n_classes == 2), class_weight

    def _solve(
        self, objective: NetworkObjective, features: Features, problem: Problem, n_classes: int
    ) -> None:
        """Run the solver and store what it found."""
        network = self._start_network(objective.unpack(objective.start()))
        start = objective.pack(network)
        result = self._solver(problem, len(start))(
            objective,
            start,
            self._criterion(objective, start),
            max_iter=self.max_iter,
            callback=self._observe,
            remedy=self._remedy,
        )
        found = objective.unpack(result.parameters)
        if not problem.one_logit:  # what all classes share, softmax does not see
            found = found._replace(
                weight=found.weight - found.weight.mean(axis=0),
                bias=found.bias - found.bias.mean() if self.fit_intercept else found.bias,
            )
        n_rows = 1 if problem.one_logit else n_classes
        rows = slice(None) if problem.one_logit else problem.classes
        dtype = problem.inputs.dtype
        self.coef_ = np.zeros((n_rows, features.n_features), dtype=dtype)
        self.coef_[rows] = found.weight
        self.intercept_ = np.full(n_rows, -np.inf if self.fit_intercept else 0.0, dtype=dtype)
        self.intercept_[rows] = found.bias
        self._keep(features, found.features)
        self._report(result)

    _remedy = "raise max_iter or lower C"

    def _observe(self, progress: Progress) -> bool:
        """The caller's callback, and a line now and then where verbose."""
        if self.verbose and progress.n_iteration % 10 == 0:
            print(
                f"iteration {progress.n_iteration}: objective {progress.value:.6g}, "
                f"gradient norm {progress.gradient_norm:.2e}",
                file=sys.stderr,
            )
        return self.callback is not None and self.callback(progress) is True

    def _report(self, result: Result) -> None:
        """Store how the run ended, and warn where it ended too early."""
        self.result_ = result._replace(parameters=np.empty(0))
        self.n_iter_ = result.n_iterations
        self.converged_ = result.converged
        self.stopping_reason_ = result.reason
        if self.verbose:
            print(result.reason, file=sys.stderr)
        if not result.converged and not result.stopped_by_callback:
            warnings.warn(result.reason, ConvergenceWarning, stacklevel=4)

    def _check_own_parameters(self) -> None:
        """Parameters that only the subclass has."""

    def _batch_rows(self, n_features: int, itemsize: int) -> int | None:
        """Rows whose features are held at once; None for all."""
        return None

    # ------------------------------------------------------------ model files

    def save(self, path: str | Path) -> None:
        """Write the fitted classifier to a .safetensors file; see `save_model`.

        Parameters
        ----------
        path : path
        """
        from ._model_file import save_model

        save_model(path, self)

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

        estimator, _ = load_model(path)
        if not isinstance(estimator, cls):
            raise ModelFileError(
                f"{path} holds a {type(estimator).__name__}, not a {cls.__name__}: "
                "load it with crossent.estimators.load_model"
            )
        return estimator

    _tensor_names: tuple[str, ...] = ("coef_", "intercept_")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "intercept_")
