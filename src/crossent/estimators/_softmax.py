"""Softmax regression: multinomial logistic regression with scikit-learn's meaning of C."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .._sparse import is_sparse
from .._typing import Array, Features
from ..curved_objective import CurvedObjective
from ..data import ArrayBatches
from ..features import LinearFeatures, column_coordinates
from ..objective import Network, NetworkLoss, NetworkObjective
from ..solvers import Criterion, RelativeGap, SmallGradient
from ._certificate import Certificate
from ._partial_fit import PartialFit
from ._problem import Problem
from ._stream import Steps, Stream

__all__ = ["SoftmaxClassifier"]

# Of 32 to 256 rows and steps of 0.05 to 0.4, one pass over the pendigits ended within half a point
# of the best, 94.9 %, at 64 rows and 0.2; the digits do not tell them apart. Of sparse rows a step
# sees more, as it goes through all parameters.
_STEPS, _SPARSE_STEPS = Steps(64, 0.2, 50), Steps(4096, 0.2, 50)


class SoftmaxClassifier(PartialFit):
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
        L-BFGS, whose coordinates follow the Hessian up to P = 1000 (3000 with fewer than 50
        classes), so that it ends in Newton's steps, and beyond the mean curvature among the
        classes where there are 4 P rows.
    tol : float, default=1e-4
        Bound of ``(f - f*) / f*`` at which to stop, certified by a duality gap. With ``C=inf``
        there is no such certificate, and the gradient decides.
    max_iter : int, default=1000
    warm_start : bool, default=False
        Start from the last fit's weights where the classes and columns are the same.
    workspace_bytes : int, optional
        Memory for a block of rows, in fit and in predict: one for its inputs or features, one for
        its logits; 64 MiB by default. Rows of X are not copied, unless some have weight 0. On top
        come a few numbers for each row (labels and weights), the parameters, and three P x P
        matrices where the Hessian is measured. With 1 MiB and X of 19 MB, ``fit`` was measured to
        hold 3.4 MiB beyond X.
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

    def _objective(
        self,
        batches: ArrayBatches,
        features: Features,
        loss: NetworkLoss,
        start: Array,
        problem: Problem,
    ) -> NetworkObjective:
        objective = CurvedObjective(batches, features, loss, start, problem.mass)
        objective.newton = self.solver == "newton"
        return objective

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _first_stream(self, problem: Problem, loss: NetworkLoss) -> Stream:
        inputs, (features, nothing) = problem.inputs, self._features(problem)
        n_rows = 1 if loss.one_logit else loss.n_classes
        zero = Network(np.zeros((n_rows, inputs.shape[1])), np.zeros(n_rows), nothing)
        return Stream(
            loss,
            features,
            column_coordinates(inputs, centred=loss.fit_intercept),
            self._start_network(zero, problem),
            _SPARSE_STEPS if is_sparse(inputs) else _STEPS,
        )

    def _keep(self, features: Features, parameters: Array) -> None:
        """Nothing but W and b."""

    def _values(self, X: Array) -> Array:
        return X
