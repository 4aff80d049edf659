"""Softmax regression: multinomial logistic regression with scikit-learn's meaning of C."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from .._typing import Array, Features
from ..curved_objective import CurvedObjective
from ..features import LinearFeatures
from ..objective import NetworkObjective
from ..solvers import Criterion, RelativeGap, SmallGradient, lbfgs, newton
from ._base import NetworkClassifier, Solver
from ._certificate import Certificate
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
        L-BFGS, or Newton's method with the whole Hessian of P = R (n + 1) parameters. "auto" takes
        Newton's up to P = 1000 where N P^2 <= 2e10.
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
        For solvers that draw; L-BFGS does not.
    verbose : int, default=0
        Above 0, a line every ten iterations on standard error.
    callback : callable, optional
        Gets a record with n_iteration, value, gradient_norm and parameters after every iteration;
        returning True ends the fit.

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

    def _keep(self, features: Features, parameters: Array) -> None:
        """Nothing but W and b."""

    def _values(self, X: Array) -> Array:
        return X
