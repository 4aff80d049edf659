"""The network of the second note: Gaussian features, a linear layer, softmax, trained together."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from .._arguments import check_choice
from .._typing import Array, ArrayLike, Features
from ..features import GaussianFeatures
from ..objective import NetworkObjective
from ..ops import gaussian_features
from ..solvers import Criterion, SmallDecrease
from ._base import NetworkClassifier
from ._centers import (
    chosen_centers,
    column_moments,
    column_scales,
    drawn_rows,
    few_distinct_rows,
    first_beta,
)
from ._checks import checked_flag
from ._prediction import block_rows
from ._problem import Problem

__all__ = ["RBFClassifier"]


class RBFClassifier(NetworkClassifier):
    """Radial basis function network: softmax of a linear layer on Gaussian features.

    Centers start from k-means and beta from the distances to them; then W, b, the centers and
    log beta are trained together on the exact gradient of
    ``C sum_i r_i E_i + |W|^2 / 2``. Inputs are scaled inside.

    Parameters
    ----------
    n_centers : int or "auto", default="auto"
        Number of Gaussian features; "auto" takes 8 sqrt(N), but 2 K at least and 500 at most. With
        fewer distinct rows than that, the centers are the distinct rows.
    kind : {"radial", "additive"}, default="radial"
        ``exp(-beta_j |x - c_j|^2)``, or the second note's ``sum_s exp(-beta_j (x_s - c_js)^2)``.
    centers : {"kmeans", "random"} or array_like (n, D), default="kmeans"
        Where the centers start: k-means, rows drawn at random, or points of the inputs' space.
    train_centers, train_beta : bool, default=True
        Whether they are trained with W and b, or stay where they start.
    C : float, default=10.0
        Inverse of the penalty on W; ``inf`` for none. Additive features are up to D times as large
        as radial ones, and 0.1 to 1 often suits them better.
    fit_intercept, class_weight, label_smoothing, solver
        As in `SoftmaxClassifier`.
    tol : float, default=1e-3
        Stop when an iteration lowers the objective by less than this share, on the mean of ten.
        The objective has many minima, so that no distance from the best is known.
    max_iter, warm_start, workspace_bytes, dtype
        As in `SoftmaxClassifier`; the workspace also bounds the features and the scaled inputs held
        at once. Where it is given, the centers are chosen among as many rows, drawn at random, as
        fit in it, but 10 for each center at least.
    random_state : int, RandomState or None, default=None
        Of the centers' choice.
    verbose, callback
        As in `SoftmaxClassifier`.

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
    _remedy = "raise max_iter or tol, or lower C"

    def __init__(
        self,
        n_centers: int | str = "auto",
        *,
        kind: str = "radial",
        centers: str | ArrayLike = "kmeans",
        train_centers: bool = True,
        train_beta: bool = True,
        C: float = 10.0,
        fit_intercept: bool = True,
        class_weight: Mapping[Any, float] | str | None = None,
        label_smoothing: float = 0.0,
        solver: str = "auto",
        tol: float = 1e-3,
        max_iter: int = 1000,
        warm_start: bool = False,
        workspace_bytes: int | None = None,
        dtype: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
        callback: Callable[[Any], object] | None = None,
    ) -> None:
        self.n_centers = n_centers
        self.kind = kind
        self.centers = centers
        self.train_centers = train_centers
        self.train_beta = train_beta
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

    def _check_own_parameters(self) -> None:
        number = self.n_centers
        if isinstance(number, str):
            check_choice(number, ("auto",), "n_centers")
        elif not isinstance(number, numbers.Integral) or isinstance(number, bool) or number < 1:
            raise ValueError(f"n_centers must be 'auto' or a positive integer, got {number!r}")
        check_choice(self.kind, ("radial", "additive"), "kind")
        checked_flag(self.train_centers, "train_centers")
        checked_flag(self.train_beta, "train_beta")
        if isinstance(self.centers, str):
            check_choice(self.centers, ("kmeans", "random"), "centers")

    def _features(self, problem: Problem) -> tuple[Features, Array]:
        X, weight = problem.inputs, problem.sample_weight
        if not problem.warm:
            self.mean_, self.scale_ = column_scales(X, weight)
            self.centers_ = self._first_centers(problem)
            moments = column_moments(X, weight).scaled(self.mean_, self.scale_)
            self.beta_ = first_beta(moments, self.centers_, self.kind)
        self.kind_ = self.kind
        features = GaussianFeatures(
            self.centers_,
            self.beta_,
            self.kind,
            train_centers=self.train_centers,
            train_beta=self.train_beta,
            center_scale=np.sqrt(X.shape[1]) if self.kind == "radial" else 1.0,
        )
        return features, features.start()

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
            wanted = max(2 * len(problem.mass), int(8.0 * np.sqrt(len(problem.inputs))))
            return min(500, wanted)
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
        return SmallDecrease(self.tol)

    def _keep(self, features: Features, parameters: Array) -> None:
        assert isinstance(features, GaussianFeatures)
        self.centers_, self.beta_, _ = features.named(parameters)

    def _values(self, X: Array) -> Array:
        return gaussian_features(self._scaled(X), self.centers_, self.beta_, kind=self.kind_)

    def _scaled(self, X: Array) -> Array:
        return (X - self.mean_) / self.scale_

    def _scaling(self) -> Callable[[Array], Array]:
        return self._scaled

    def _row_bytes(self, n_features: int) -> int:
        return 8 * (3 * n_features + 2 * self.n_features_in_)
