"""Calibration: a classifier's logits scaled so that its probabilities hold on rows held out."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import check_cv
from sklearn.utils import get_tags, indexable
from sklearn.utils.metadata_routing import MetadataRouter
from sklearn.utils.validation import (
    _check_sample_weight,
    _num_samples,
    check_is_fitted,
)

from .._arguments import as_positive, as_sample_weight, check_choice
from .._typing import Array, ArrayLike
from ..data import encode_labels, sorted_classes
from ..ops import log_softmax, softmax
from ._held_out import check_possible, checked_folds, checked_names, logits_of, out_of_fold_logits
from ._routing import metadata_router, routed
from ._scaling import HeldOut, Scaling, best_scaling, best_temperature
from ._whole import wholly
from ._written import WrittenModel

__all__ = ["TemperatureScaling"]


class TemperatureScaling(WrittenModel, ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A classifier whose probabilities are scaled to be right on rows it was not trained on.

    Temperature scaling (Guo et al. 2017) divides the logits by one number T, the one of the least
    cross-entropy on held-out rows: probabilities of an overconfident classifier (T > 1) move
    towards each other, and the most probable class stays. Vector scaling has a factor and an
    intercept for each class, matrix scaling a whole linear map; both are drawn towards temperature
    scaling by a penalty.

    Parameters
    ----------
    estimator : classifier
        With ``decision_function`` (one logit for two classes, one a class for more), or else
        ``predict_log_proba`` or ``predict_proba``, whose logarithms are the logits.
    method : {"temperature", "vector", "matrix"}, default="temperature"
        ``z / T``; or, with z less its row's mean, ``coef_ * z + intercept_``; or
        ``coef_ @ z + intercept_``. With two classes, vector and matrix scaling are Platt's.
    cv : None, int, splitter, iterable of splits, or "prefit", default=None
        Who is held out. Clones are trained without each fold and score it; the scaling is fitted
        to these scores, and the estimator to all rows. None is 5 stratified folds, or fewer where
        a class has fewer rows. "prefit", or an estimator in scikit-learn's ``FrozenEstimator``: it
        is fitted already, and the rows given to ``fit`` are the ones held out. (scikit-learn's
        ``clone`` unfits a "prefit" estimator, but no frozen one.)
    C : float, default=0.01
        Inverse of the penalty of vector and matrix scaling: with s for the factors in units of
        ``1 / T`` they minimise ``C sum_i r_i E_i + (|s - 1|^2 + |intercept_|^2) / 2``.
        A temperature has no penalty.
    n_jobs : int, optional
        Folds trained at once, by joblib.

    Attributes
    ----------
    temperature_ : float
        T.
    coef_ : ndarray (K,) or (K, K), or None
        Of vector and matrix scaling.
    intercept_ : ndarray (K,), or None
    estimator_ : classifier
        Fitted.
    stopping_reason_ : str
        How the scaling was found, one sentence.
    classes_ : ndarray (K,)
    n_features_in_, feature_names_in_
        Where the estimator has them.

    Notes
    -----
    The loss is convex in 1 / T, and Newton's method finds its least value in a few steps, with the
    first and second derivative from a JVP and an HVP of the cross-entropy along the logits.
    Kull et al. (2019) penalise what is off a matrix's diagonal; here the whole difference from
    temperature scaling is, so that few rows or a small C lead back to it.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural networks", 2017.
    M. Kull et al., "Beyond temperature scaling", 2019. J. Platt, "Probabilistic outputs for
    support vector machines", 1999.

    Examples
    --------
    >>> from crossent import SoftmaxClassifier, TemperatureScaling
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = TemperatureScaling(SoftmaxClassifier(C=1e-3)).fit(X, y)
    >>> model.temperature_ < 1.0  # so strong a penalty makes it too cautious
    True
    >>> model.predict(X[:2])
    array([0, 0])
    """

    def __init__(
        self,
        estimator: Any,
        *,
        method: str = "temperature",
        cv: Any = None,
        C: float = 0.01,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.method = method
        self.cv = cv
        self.C = C
        self.n_jobs = n_jobs

    # ------------------------------------------------------------ fit

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        **fit_params: Any,
    ) -> Self:
        """Train the estimator, unless it is fitted already, and scale its logits on held-out rows.

        Parameters
        ----------
        X : what the estimator takes, (N, D)
        y : array_like (N,)
            Class names.
        sample_weight : array_like (N,), optional
            For the scaling, and for the estimator's ``fit`` if it knows the word.
        **fit_params
            For the estimator's ``fit``.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For parameters, classes or weights that cannot be used; the text says why.

        Warns
        -----
        ConvergenceWarning
            If held-out rows are predicted no better than by chance, or the solver of vector or
            matrix scaling ended early.
        """
        return wholly(type(self)._train, self, X, y, sample_weight, fit_params)

    def _train(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None, params: dict[str, Any]
    ) -> None:
        """What `fit` says, step by step."""
        check_choice(self.method, ("temperature", "vector", "matrix"), "method")
        as_positive(self.C, "C")
        X, y = indexable(X, y)
        names = checked_names(y)
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
            weight = as_sample_weight(weight, (_num_samples(X),))
        if self._is_prefit():
            logits, rows = self._prefit_logits(X), np.arange(_num_samples(X))
        else:
            logits, rows = self._held_out_logits(X, names, weight, params)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        weight = np.ones(len(names)) if weight is None else weight
        present = weight[rows] > 0.0
        if not present.any():
            raise ValueError("no held-out row has a positive weight: there is nothing to scale to")
        rows, logits = rows[present], logits[present].astype(np.float64)
        self._scale(HeldOut(logits, encode_labels(names[rows], self.classes_), weight[rows]))

    def _is_prefit(self) -> bool:
        if isinstance(self.cv, str):
            check_choice(self.cv, ("prefit",), "cv")
        return isinstance(self.cv, str) or isinstance(self.estimator, FrozenEstimator)

    def _prefit_logits(self, X: ArrayLike) -> Array:
        check_is_fitted(self.estimator)
        logits = logits_of(self.estimator, X)
        self.estimator_, self.classes_ = self.estimator, self.estimator.classes_
        return logits

    def _held_out_logits(
        self, X: ArrayLike, names: Array, weight: Array | None, params: dict[str, Any]
    ) -> tuple[Array, Array]:
        """Logits of the folds and their row numbers; the estimator is fitted to all rows."""
        self.classes_ = sorted_classes(names)
        fit_params, split_params = routed(self, self.estimator, weight, params)
        folds = checked_folds(self.cv, names, self.classes_)
        cv = check_cv(folds, names, classifier=True)
        logits, rows = out_of_fold_logits(
            self.estimator,
            X,
            names,
            self.classes_,
            cv.split(X, names, **split_params),
            params=fit_params,
            n_jobs=self.n_jobs,
        )
        self.estimator_ = clone(self.estimator).fit(X, names, **fit_params)
        return logits, rows

    def _scale(self, held: HeldOut) -> None:
        """Find the scaling and store it."""
        check_possible(held, self.classes_)
        temperature, reason = best_temperature(held)
        scaling, converged = Scaling(temperature), reason.startswith("converged")
        if self.method != "temperature":
            scaling, result = best_scaling(
                held, temperature, matrix=self.method == "matrix", C=float(self.C)
            )
            reason = result.reason if converged else f"{reason}; {result.reason}"
            converged &= result.converged
        self.temperature_, self.coef_, self.intercept_ = scaling
        self.stopping_reason_ = reason
        if not converged:
            warnings.warn(reason, ConvergenceWarning, stacklevel=5)

    # ------------------------------------------------------------ prediction

    def decision_function(self, X: ArrayLike) -> Array:
        """Scaled logits: (N, K), or for two classes (N,), the second's less the first's.

        Parameters
        ----------
        X : what the estimator takes, (N, D)
        """
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict(self, X: ArrayLike) -> Array:
        """The most probable class name of each row, (N,).

        Parameters
        ----------
        X : what the estimator takes, (N, D)
        """
        logits = self._logits(X)
        return self.classes_[logits.argmax(axis=1)]

    def predict_proba(self, X: ArrayLike) -> Array:
        """Probabilities of the classes in the order of ``classes_``, (N, K).

        Parameters
        ----------
        X : what the estimator takes, (N, D)
        """
        return softmax(self._logits(X))

    def predict_log_proba(self, X: ArrayLike) -> Array:
        """Logarithms of the probabilities, which do not underflow where these do, (N, K).

        Parameters
        ----------
        X : what the estimator takes, (N, D)
        """
        return log_softmax(self._logits(X))

    def _logits(self, X: ArrayLike) -> Array:
        check_is_fitted(self)
        return self._scaling.scaled(logits_of(self.estimator_, X))

    @property
    def _scaling(self) -> Scaling:
        return Scaling(self.temperature_, self.coef_, self.intercept_)

    # ------------------------------------------------------------ as one of scikit-learn's

    def get_metadata_routing(self) -> MetadataRouter:
        """Who takes which metadata: this, the estimator's ``fit`` and the splitter's ``split``."""
        return metadata_router(self, self.estimator, self.cv)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator).input_tags
        tags.input_tags.sparse, tags.input_tags.pairwise = inner.sparse, inner.pairwise
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "temperature_")
