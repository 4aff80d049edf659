"""What both classifiers share: checked data in, a linear layer on features out, prediction."""

from __future__ import annotations

import sys
import warnings
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import validate_data

from .._sparse import is_sparse
from .._typing import Array, ArrayLike, Features
from ..data import ArrayBatches
from ..objective import Network, NetworkLoss, NetworkObjective
from ..solvers import Criterion, Progress, Result, lbfgs
from ._checks import checked_options, checked_truth, checked_weight
from ._early_stopping import HeldOut, held_out
from ._prediction import Prediction, block_rows
from ._problem import Problem, problem_of
from ._whole import wholly
from ._written import WrittenModel

__all__ = ["NetworkClassifier", "Solver"]

Solver = Callable[..., Result]


class NetworkClassifier(Prediction, WrittenModel, ClassifierMixin, BaseEstimator):
    """Softmax of a linear layer on features; a subclass says which features."""

    # ------------------------------------------------------------ what a subclass says

    @abstractmethod
    def _features(self, problem: Problem) -> tuple[Features, Array]:
        """Features for these inputs, and where their parameters start."""

    @abstractmethod
    def _criterion(self, objective: NetworkObjective, start: Array) -> Criterion:
        """When to stop."""

    @abstractmethod
    def _keep(self, features: Features, parameters: Array) -> None:
        """Store the features trained."""

    def _objective(
        self,
        batches: ArrayBatches,
        features: Features,
        loss: NetworkLoss,
        start: Array,
        problem: Problem,
    ) -> NetworkObjective:
        """What is lowered."""
        return NetworkObjective(batches, features, loss, start, problem.mass)

    _solvers: tuple[str, ...] = ("auto", "lbfgs")

    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: int = 10
    """Of a subclass without these parameters."""

    def _solver(self, problem: Problem, n_parameters: int) -> Solver:
        """The solver for this many parameters."""
        return lbfgs

    def _fits_on(self, problem: Problem) -> bool:
        """Whether the last fit's features are those that these rows would be given."""
        return True

    def _start_network(self, network: Network, problem: Problem) -> Network:
        """The cold start's network, or, for a warm start, with the last fit's W and b."""
        rows = slice(None) if problem.one_logit else problem.classes
        if not problem.warm or not np.isfinite(self.intercept_[rows]).all():
            return network
        return network._replace(
            weight=self.coef_[rows].astype(np.float64), bias=self.intercept_[rows].astype(float)
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
        return wholly(type(self)._train, self, X, y, sample_weight, classes)

    def _train(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        classes: ArrayLike | None,
    ) -> None:
        """What `fit` says, attribute by attribute."""
        options = checked_options(self)
        self._check_own_parameters()
        self._check_kind_of_rows(X)
        self.__dict__.pop("_stream", None)
        last = dict(vars(self))
        rows, y = validate_data(
            self, X, y, dtype=options.dtypes, multi_output=True, accept_sparse=self._accept_sparse
        )
        truth = checked_truth(y, classes)
        weight = checked_weight(sample_weight, rows.shape[0])
        problem, class_weight = problem_of(self, rows, truth, weight)
        warm = self.warm_start and self._same_table(last, truth.classes) and self._fits_on(problem)
        problem = problem._replace(warm=bool(warm))
        if self.early_stopping:
            problem = held_out(problem, self.validation_fraction, self.random_state)
        self.classes_ = truth.classes
        features, start = self._features(problem)
        loss = NetworkLoss(
            len(problem.classes),
            problem.one_logit,
            options.C,
            self.fit_intercept,
            class_weight,
            options.label_smoothing,
            self.workspace_bytes,
        )
        batches = self._batches(problem, features)
        objective = self._objective(batches, features, loss, start, problem)
        self._solve(objective, features, problem, len(truth.classes))

    def _batches(self, problem: Problem, features: Features) -> ArrayBatches:
        """The rows, as many at a time as the workspace holds."""
        of_logits = 8 * (4 * len(problem.classes) + 8)  # blocks of sparse rows have all of theirs
        sparse = is_sparse(problem.inputs)
        row_bytes = of_logits if sparse else self._row_bytes(features.n_features)
        return ArrayBatches(
            problem.inputs,
            problem.target,
            problem.sample_weight,
            batch_rows=block_rows(self.workspace_bytes, row_bytes),
            transform=self._scaling(),
        )

    def _same_table(self, last: dict[str, Any], classes: Array) -> bool:
        """Whether the last fit, if there was one, had the same classes and columns."""
        if "coef_" not in last or not np.array_equal(last["classes_"], classes):
            return False
        names = [list(fit.get("feature_names_in_", ())) for fit in (last, vars(self))]
        return names[0] == names[1] and last["n_features_in_"] == self.n_features_in_

    def _solve(
        self, objective: NetworkObjective, features: Features, problem: Problem, n_classes: int
    ) -> None:
        """Run the solver and store what it found."""
        start = objective.pack(self._start_network(objective.start_network(), problem))
        criterion = self._criterion(objective, start)
        if problem.held is not None:
            held = NetworkObjective(
                self._batches(problem.held, features),
                features,
                objective.loss,
                objective.features_start,
                problem.held.mass,
                coordinates=objective.coordinates,
            )
            criterion = HeldOut(criterion, objective, held, self.n_iter_no_change)
        result = self._solver(problem, len(start))(
            objective,
            start,
            criterion,
            max_iter=self.max_iter,
            callback=self._observe,
            remedy=self._remedy,
        )
        found = objective.unpack(result.parameters)
        if isinstance(criterion, HeldOut) and criterion.best is not None:
            found = criterion.best
        self._keep_linear(found, problem, n_classes)
        self._keep(features, found.features)
        self._report(result)

    def _keep_linear(self, found: Network, problem: Problem, n_classes: int) -> None:
        """Store W and b, of all classes."""
        if not problem.one_logit:  # what all classes share, softmax does not see
            found = found._replace(
                weight=found.weight - found.weight.mean(axis=0),
                bias=found.bias - found.bias.mean() if self.fit_intercept else found.bias,
            )
        n_rows = 1 if problem.one_logit else n_classes
        rows = slice(None) if problem.one_logit else problem.classes
        dtype = problem.inputs.dtype
        self.coef_ = np.zeros((n_rows, found.weight.shape[1]), dtype=dtype)
        self.coef_[rows] = found.weight
        self.intercept_ = np.full(n_rows, -np.inf if self.fit_intercept else 0.0, dtype=dtype)
        self.intercept_[rows] = found.bias

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
        self._note_result(result._replace(parameters=np.empty(0)))
        if self.verbose:
            print(result.reason, file=sys.stderr)
        if not result.converged and not result.stopped_by_callback:
            warnings.warn(result.reason, ConvergenceWarning, stacklevel=6)

    def _note_result(self, result: Result) -> None:
        self.result_ = result
        self.n_iter_ = result.n_iterations
        self.converged_ = result.converged
        self.stopping_reason_ = result.reason
        self.gap_ = result.gap
        self.gradient_norm_ = result.gradient_norm

    def _check_own_parameters(self) -> None:
        """Parameters that only the subclass has."""

    def _check_kind_of_rows(self, X: Any) -> None:
        """Whether the subclass takes rows of this kind."""

    def _check_centers(self, n_inputs: int) -> None:
        """Centers given as a parameter, against the number of columns."""

    def _scaling(self) -> Callable[[Array], Array] | None:
        """What is done to a block of inputs before the features see it."""
        return None

    def _row_bytes(self, n_features: int) -> int:
        """Bytes that training holds at once for a row: its features, and what is made of them."""
        return 3 * 8 * n_features

    _tensor_names: tuple[str, ...] = ("coef_", "intercept_")
    _kept_names: tuple[str, ...] = ()
    """Parameters that prediction needs as they were in the fit: kept as ``<name>_``."""

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "intercept_")
