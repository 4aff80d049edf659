"""Softmax regression: multinomial logistic regression with scikit-learn's meaning of C."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from functools import partial
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import validate_data

from .._typing import Array, ArrayLike, Features
from ..curved_objective import CurvedObjective
from ..data import ArrayBatches, class_mass, class_weights
from ..features import LinearFeatures
from ..objective import Network, NetworkLoss, NetworkObjective
from ..solvers import Criterion, RelativeGap, SmallGradient, lbfgs, newton
from ._base import NetworkClassifier, Solver
from ._certificate import Certificate
from ._checks import Options, checked_options, checked_truth, checked_weight
from ._partial_fit import Stream
from ._problem import Problem

__all__ = ["SoftmaxClassifier"]

_FEW_PARAMETERS = 1_000
_OFTEN = (4, 8, 12, 20, 32, 52, 84, 136, 220)
_RARELY = (8, 24, 72, 216)
"""Iterations after which L-BFGS measures the curvature: whole for few parameters."""

_ROWS_A_PARAMETER = 4
"""Fewer rows do not tell the curvature: measuring it was found to do harm (20000 x 100 x 1000)."""


class SoftmaxClassifier(NetworkClassifier):
    """Softmax regression: a linear layer and the cross-entropy, trained to a certified optimum.

    Minimises ``C sum_i r_i E_i + |W|^2 / 2`` over W and b, the intercept b free: the objective of
    scikit-learn's ``LogisticRegression`` with the same C. Columns of any scale are fine, as the
    solver works in whitened coordinates; the penalty is on W itself. In fit and predict, logits are
    held a block of ``workspace_bytes`` at a time.

    Parameters
    ----------
    C : float, default=1.0
        Inverse of the penalty; ``inf`` for none.
    fit_intercept : bool, default=True
    class_weight : None, "balanced" or dict, default=None
        Weights of the classes, by name; those not named have 1.
    label_smoothing : float, default=0.0
        Share of every target that is spread over all classes, in [0, 1).
    solver : {"auto", "lbfgs", "newton"}, default="auto"
        L-BFGS, or Newton's method with the whole Hessian of P = R (n + 1) parameters. "auto" is
        L-BFGS, whose coordinates follow the Hessian up to P = 1000, and beyond the mean curvature
        among the classes where there are 4 P rows.
    tol : float, default=1e-4
        Bound of ``(f - f*) / f*`` at which to stop, certified by a duality gap. With ``C=inf``
        there is no such certificate, and the gradient decides.
    max_iter : int, default=1000
    warm_start : bool, default=False
        Start from the last fit's weights where the classes and columns are the same.
    workspace_bytes : int, optional
        Memory for a block of rows, in fit and in predict: one for its inputs or features, one for
        its logits; 64 MiB by default. Rows of X are not copied, unless some have weight 0. On top
        come a few numbers for each row (labels and weights), the parameters, and the P x P
        matrices of Newton's method. With 1 MiB and X of 19 MB, ``fit`` was measured to hold
        3.4 MiB beyond X.
    dtype : {"auto", "float32", "float64"}, default="auto"
        What to compute in; "auto" keeps float32 and turns anything else into float64.
    random_state : int, RandomState or None, default=None
        Of the rows held out; the solvers draw nothing.
    verbose : int, default=0
        Above 0, a line every ten iterations on standard error.
    callback : callable, optional
        Gets a record with n_iteration, value, gradient_norm, parameters (in the solver's own
        coordinates) and gap after every iteration; returning True ends the fit.
    early_stopping : bool, default=False
        Also stop once the loss of rows held out has not fallen for ``n_iter_no_change`` iterations,
        and keep the weights of its lowest.
    validation_fraction : float, default=0.1
        Share of the rows that is held out, drawn by ``random_state``, of every class.
    n_iter_no_change : int, default=10

    Attributes
    ----------
    coef_ : ndarray (K, n), or (1, n) for two classes
    intercept_ : ndarray (K,) or (1,)
        ``-inf`` for a class without a single row.
    classes_ : ndarray (K,)
    n_features_in_ : int
    feature_names_in_ : ndarray (n,)
        Where X had names.
    n_iter_ : int
    converged_ : bool
    stopping_reason_ : str
        One sentence.
    gap_ : float
        Bound of ``(f - f*) / f*``; NaN without a penalty.
    gradient_norm_ : float
        In the solver's coordinates.
    result_ : Result
        value, gradient_norm, n_iterations, n_evaluations, converged, reason, gap.

    Examples
    --------
    >>> from crossent import SoftmaxClassifier
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
    >>> SoftmaxClassifier().fit(X, y).predict([[0.5], [2.5]])
    array(['low', 'high'], dtype='<U4')
    """

    def __init__(
        self,
        C: float = 1.0,
        *,
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

    def _features(self, problem: Problem) -> tuple[Features, Array]:
        return LinearFeatures(problem.inputs.shape[1]), np.empty(0)

    def _criterion(self, objective: NetworkObjective, start: Array) -> Criterion:
        if np.isinf(self.C):
            return SmallGradient(self.tol, objective.value_and_grad(objective.start())[0])
        return RelativeGap(Certificate(objective), self.tol)

    _solvers = ("auto", "lbfgs", "newton")
    _accept_sparse = "csr"
    _objective_type = CurvedObjective

    def _solver(self, problem: Problem, n_parameters: int) -> Solver:
        if self.solver == "newton":
            return newton
        known = problem.inputs.shape[0] >= _ROWS_A_PARAMETER * n_parameters
        few = n_parameters <= _FEW_PARAMETERS
        after = _OFTEN if few else _RARELY if known else ()
        return partial(lbfgs, refine_after=after)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Learn from some rows and go on with others in the next call; each row is seen once.

        True softmax regression by Adam's steps of 64 rows each (sparse: 4096), in columns scaled
        as the first rows show them; kept are means of the steps, later ones counting more. The
        penalty is that of C for all rows seen so far. Memory does not grow with the rows.

        Parameters
        ----------
        X : array_like or sparse matrix (N, D)
            A first part of some hundred rows or more tells the columns' scales well.
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
        trained = copy(self)
        trained._train_on_part(X, y, classes, sample_weight)
        self.__dict__ = trained.__dict__
        return self

    def _train_on_part(
        self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None, sample_weight: ArrayLike | None
    ) -> None:
        options, known = checked_options(self), hasattr(self, "coef_")
        if not known and classes is None:
            raise ValueError(
                "the first call of partial_fit must name all classes, as later rows may bring new "
                "ones: partial_fit(X, y, classes=[...])"
            )
        dtypes = self.coef_.dtype if known else options.dtypes
        rows, y = validate_data(
            self, X, y, dtype=dtypes, multi_output=True, accept_sparse="csr", reset=not known
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
        """The steps of checked rows, and the weights they lead to."""
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
        if stream is None:
            start = None
            if hasattr(self, "coef_") and np.isfinite(self.intercept_).all():
                start = Network(
                    self.coef_.astype(float), self.intercept_.astype(float), np.empty(0)
                )
            stream = Stream(loss, rows, start)
        found = stream.see(loss, rows, target, weight).network()
        problem = Problem(rows, target, weight, seen, np.arange(n_classes), n_classes == 2)
        self._keep_linear(found, problem, n_classes)
        self._stream, self.n_iter_ = stream, stream.n_steps
        for name in ("result_", "converged_", "stopping_reason_", "gap_", "gradient_norm_"):
            self.__dict__.pop(name, None)  # what a fit before had found

    def _keep(self, features: Features, parameters: Array) -> None:
        """Nothing but W and b."""

    def _values(self, X: Array) -> Array:
        return X
