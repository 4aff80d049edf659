"""The network of the second note: Gaussian features, a linear layer, softmax, trained together."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from .._arguments import check_choice
from .._sparse import is_sparse
from .._typing import Array, ArrayLike, Features
from ..data import ArrayBatches
from ..features import GaussianFeatures
from ..objective import NetworkLoss, NetworkObjective
from ..ops import gaussian_features
from ..sampled_objective import SampledObjective
from ..solvers import Criterion, SmallDecrease
from ._base import Solver
from ._centers import (
    chosen_centers,
    column_moments,
    column_scales,
    drawn_rows,
    feature_moments,
    few_distinct_rows,
    first_beta,
)
from ._checks import checked_flag
from ._drawn import (
    Standard,
    minibatch_solver,
    network_stream,
    penalised,
    planned_passes,
    sampled_objective,
)
from ._partial_fit import PartialFit
from ._prediction import block_rows
from ._problem import Problem
from ._stream import Stream

__all__ = ["RBFClassifier"]

_MANY_ROWS = 500
"""Rows from which on steps that see some of them are faster, and lead as far or farther."""


class RBFClassifier(PartialFit):
    """Radial basis function network: softmax of a linear layer on Gaussian features.

    Centers start from k-means and beta from their distances to each other; then W, b, the centers,
    log beta and the inputs' scales are trained together on the exact gradient of
    ``C sum_i r_i E_i + 5 v |W|^2``, v the mean variance of the features at the start: steps that
    see 128 rows each, in drawn orders, or all rows a step where there are few. Inputs are scaled
    inside.

    Parameters
    ----------
    n_centers : int or "auto", default="auto"
        Number of Gaussian features. "auto" takes 8 sqrt(N) up to 300, then 3 sqrt(N) up to 1000;
        additive ones, which are dearer, 8 sqrt(N) up to 150; 2 K at least. With fewer distinct rows
        than that, the centers are the distinct rows.
    kind : {"radial", "additive"}, default="radial"
        ``exp(-beta_j |x - c_j|^2)``, or the second note's ``sum_s exp(-beta_j (x_s - c_js)^2)``.
    centers : {"kmeans", "random"} or array_like (n, D), default="kmeans"
        Where the centers start: k-means of 2000 rows or ten for each center (by mini-batches where
        these are more), rows drawn at random, or points of the inputs' space.
    train_centers, train_beta : bool, default=True
        Whether they are trained with W and b, or stay where they start.
    train_scale : bool, default=True
        Whether the scale of each column is trained; only together with the centers.
    C : float, default=1.0
        Inverse of the penalty on W; ``inf`` for none. As v counts the features' size, the same C
        suits both kinds, and any number of centers.
    fit_intercept, class_weight, label_smoothing
        As in `SoftmaxClassifier`.
    solver : {"auto", "adam", "lbfgs"}, default="auto"
        "adam" computes in float32 and goes through the rows 15 times, or as often as makes 500
        steps, with steps that fall to zero; "lbfgs" sees all rows in every step. "auto" takes
        "lbfgs" below 500 rows.
    tol : float, default=1e-4
        Of "lbfgs": stop when an iteration lowers the objective by less than this share, on the
        mean of ten. The objective has many minima, so that no distance from the best is known.
    max_iter : int, default=1000
        Iterations of "lbfgs"; passes over the rows of "adam", which plans fewer.
    warm_start, workspace_bytes, dtype
        As in `SoftmaxClassifier`; the workspace also bounds the features and the scaled inputs held
        at once. Where it is given, the centers are chosen among as many rows, drawn at random, as
        fit in it, but 10 for each center at least.
    random_state : int, RandomState or None, default=None
        Of the centers' choice, the rows' order and the rows held out.
    verbose, callback
        As in `SoftmaxClassifier`; of "adam", after every pass.
    early_stopping, validation_fraction, n_iter_no_change
        As in `SoftmaxClassifier`; an iteration of "adam" is a pass.

    Attributes
    ----------
    coef_ : ndarray (K, n), or (1, n) for two classes
    intercept_ : ndarray (K,) or (1,)
    centers_ : ndarray (n, D)
        In scaled inputs ``(X - mean_) / scale_``.
    beta_ : ndarray (n,)
    mean_, scale_ : ndarray (D,)
    classes_, n_features_in_, feature_names_in_, n_iter_, converged_, stopping_reason_, result_
        As in `SoftmaxClassifier`.

    Examples
    --------
    >>> from crossent import RBFClassifier
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["edge", "middle", "middle", "edge"]
    >>> RBFClassifier(random_state=0).fit(X, y).predict([[0.1], [1.5], [2.9]])
    array(['edge', 'middle', 'edge'], dtype='<U6')
    """

    _tensor_names = ("coef_", "intercept_", "centers_", "beta_", "mean_", "scale_")
    _kept_names = ("kind",)
    _remedy = "raise max_iter (or, with lbfgs, tol), or lower C"

    def __init__(
        self,
        n_centers: int | str = "auto",
        *,
        kind: str = "radial",
        centers: str | ArrayLike = "kmeans",
        train_centers: bool = True,
        train_beta: bool = True,
        train_scale: bool = True,
        C: float = 1.0,
        fit_intercept: bool = True,
        class_weight: Mapping[Any, float] | str | None = None,
        label_smoothing: float = 0.0,
        solver: str = "auto",
        tol: float = 1e-4,
        max_iter: int = 1000,
        warm_start: bool = False,
        workspace_bytes: int | None = None,
        dtype: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
        callback: Callable[[Any], object] | None = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
    ) -> None:
        self.n_centers = n_centers
        self.kind = kind
        self.centers = centers
        self.train_centers = train_centers
        self.train_beta = train_beta
        self.train_scale = train_scale
        self.C = C
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.workspace_bytes = workspace_bytes
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose
        self.callback = callback
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change

    def _check_kind_of_rows(self, X: Any) -> None:
        if is_sparse(X):
            raise TypeError(
                f"RBFClassifier needs dense rows, got a sparse {type(X).__name__}: distances to "
                "centers have no zeros to skip. Put sklearn.decomposition.TruncatedSVD before it "
                "in a pipeline, or pass X.toarray() where the columns are few"
            )

    def _check_own_parameters(self) -> None:
        number = self.n_centers
        if isinstance(number, str):
            wrong = number != "auto"
        else:
            whole = isinstance(number, numbers.Integral) and not isinstance(number, bool)
            wrong = not whole or number < 1
        if wrong:
            raise ValueError(f"n_centers must be 'auto' or a positive integer, got {number!r}")
        check_choice(self.kind, ("radial", "additive"), "kind")
        checked_flag(self.train_centers, "train_centers")
        checked_flag(self.train_beta, "train_beta")
        checked_flag(self.train_scale, "train_scale")
        if isinstance(self.centers, str):
            check_choice(self.centers, ("kmeans", "random"), "centers")

    def _features(self, problem: Problem) -> tuple[Features, Array]:
        self._place(problem)
        if self._draws(problem):
            features = self._gaussian(np.dtype(np.float32), 1.0)
        else:
            full_step = 1.0 if self.kind == "additive" else float(np.sqrt(self.n_features_in_))
            features = self._gaussian(problem.inputs.dtype, full_step)
        return features, features.start()

    def _place(self, problem: Problem) -> None:
        """Scale the columns, choose centers and beta, where the last fit's are not to be kept."""
        X, weight = problem.inputs, problem.sample_weight
        if not problem.warm:
            self.mean_, self.scale_ = column_scales(X, weight)
            self.centers_ = self._first_centers(problem)
            moments = column_moments(X, weight).scaled(self.mean_, self.scale_)
            self.beta_ = first_beta(moments, self.centers_, self.kind)
            self.kind_ = self.kind

    def _gaussian(self, dtype: np.dtype, center_scale: float) -> GaussianFeatures:
        """The features that start from the centers and beta there are."""
        return GaussianFeatures(
            self.centers_.astype(dtype),
            self.beta_.astype(dtype),
            self.kind_,
            train_centers=self.train_centers,
            train_beta=self.train_beta,
            train_scale=self.train_scale and self.train_centers,
            center_scale=center_scale,
        )

    def _first_stream(self, problem: Problem, loss: NetworkLoss) -> Stream:
        self._place(problem)
        features = self._gaussian(np.dtype(np.float32), 1.0)
        return network_stream(
            problem,
            features,
            loss,
            Standard(self.mean_, self.scale_),
            self._block_rows(features.n_features),
            self._start_network,
            check_random_state(self.random_state),
        )

    _solvers = ("auto", "lbfgs", "adam")

    def _draws(self, problem: Problem) -> bool:
        """Whether steps see rows drawn at random, or all of them."""
        return self.solver == "adam" or (
            self.solver == "auto" and len(problem.inputs) >= _MANY_ROWS
        )

    def _objective(
        self,
        batches: ArrayBatches,
        features: Features,
        loss: NetworkLoss,
        start: Array,
        problem: Problem,
    ) -> NetworkObjective:
        if self._draws(problem):
            random = check_random_state(self.random_state)
            rows = self._block_rows(features.n_features)
            scaling = Standard(self.mean_, self.scale_)
            return sampled_objective(problem, features, start, loss, scaling, rows, random)
        _, variance = feature_moments(batches, features, start)
        loss = penalised(loss, variance)
        return NetworkObjective(batches, features, loss, start, problem.mass)

    def _solver(self, problem: Problem, n_parameters: int) -> Solver:
        if not self._draws(problem):
            return super()._solver(problem, n_parameters)
        random = check_random_state(self.random_state)
        most = self._block_rows(len(self.centers_))
        return minibatch_solver(planned_passes(len(problem.inputs), most, random))

    def _block_rows(self, n_features: int) -> int:
        return block_rows(self.workspace_bytes, self._row_bytes(n_features))

    def _first_centers(self, problem: Problem) -> Array:
        X = problem.inputs
        if not isinstance(self.centers, str):
            self._check_centers(X.shape[1])
            return self._scaled(np.asarray(self.centers, dtype=np.float64)).astype(X.dtype)
        number, random = self._wanted_centers(problem), check_random_state(self.random_state)
        few = few_distinct_rows(X, number)
        if few is not None:
            return self._scaled(few)
        weight = problem.sample_weight
        if self.workspace_bytes is not None:
            most = block_rows(self.workspace_bytes, 4 * X.shape[1] * X.dtype.itemsize)
            X, weight = drawn_rows(X, weight, max(most, 10 * number), random)
        return chosen_centers(self._scaled(X), weight, number, self.centers, random)

    def _check_centers(self, n_inputs: int) -> None:
        if isinstance(self.centers, str):
            return
        given = np.asarray(self.centers, dtype=np.float64)
        if given.ndim != 2 or given.shape[1] != n_inputs or not np.isfinite(given).all():
            raise ValueError(
                f"centers must be finite and of shape (n, {n_inputs}), "
                f"one column an input, got shape {given.shape}"
            )

    def _wanted_centers(self, problem: Problem) -> int:
        """How many centers are asked for."""
        if not isinstance(self.centers, str):
            return len(np.asarray(self.centers))
        if self.n_centers == "auto":
            root, twice = float(np.sqrt(len(problem.inputs))), 2 * len(problem.mass)
            if self.kind == "additive":
                return max(int(min(8.0 * root, 150.0)), twice)
            return max(int(min(max(min(8.0 * root, 300.0), 3.0 * root), 1000.0)), twice)
        return int(self.n_centers)

    def _fits_on(self, problem: Problem) -> bool:
        X, wanted = problem.inputs, self._wanted_centers(problem)
        if self.kind_ != self.kind or self.centers_.dtype != X.dtype:
            return False
        if len(self.centers_) == wanted:
            return True
        few = few_distinct_rows(X, wanted) if isinstance(self.centers, str) else None
        return few is not None and len(few) == len(self.centers_)

    def _criterion(self, objective: NetworkObjective, start: Array) -> Criterion:
        if isinstance(objective, SampledObjective):
            return lambda progress: None
        return SmallDecrease(self.tol)

    def _keep(self, features: Features, parameters: Array) -> None:
        assert isinstance(features, GaussianFeatures)
        found, dtype = features.named(parameters), self.scale_.dtype
        self.centers_, self.beta_ = found.centers.astype(dtype), found.beta.astype(dtype)
        if found.scale is not None:
            stream: Stream | None = getattr(self, "_stream", None)
            first = self.scale_
            if stream is not None and isinstance(stream.prepared, Standard):
                first = stream.prepared.scale
            self.scale_ = (first / found.scale).astype(dtype)

    def _values(self, X: Array) -> Array:
        return gaussian_features(self._scaled(X), self.centers_, self.beta_, kind=self.kind_)

    def _scaled(self, X: Array) -> Array:
        return (X - self.mean_) / self.scale_

    def _scaling(self) -> Callable[[Array], Array]:
        return self._scaled

    def _row_bytes(self, n_features: int) -> int:
        return 8 * (3 * n_features + 2 * self.n_features_in_)
