"""Every operation judged: which cases it meets, and how a case becomes a call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .. import _cases
from .._cases import Case
from ._call import Output, Problem, dtype_named, laid_out
from ._cross_entropy import cross_entropy_problem
from ._network import binary_problem, gaussian_problem, linear_problem, sigmoid_problem
from ._softmax import derivative_problem, jacobian_problem, softmax_problem

__all__ = ["OPERATIONS", "Operation", "Output", "Problem", "dtype_named", "laid_out"]


@dataclass(frozen=True, eq=False)
class Operation:
    """A function by its public name, its cases, and the call that a case in a dtype becomes."""

    name: str
    cases: tuple[Case, ...]
    build: Callable[[str, Case, str], Problem]

    def problem(self, case: Case, dtype: str) -> Problem:
        return self.build(self.name, case, dtype)


def _operations() -> tuple[Operation, ...]:
    families: tuple[tuple[tuple[str, ...], tuple[Case, ...], Callable], ...] = (
        (("softmax", "log_softmax", "logsumexp"), _cases.SOFTMAX, softmax_problem),
        (
            (
                "softmax_vjp",
                "softmax_jvp",
                "log_softmax_vjp",
                "log_softmax_jvp",
                "logsumexp_vjp",
                "logsumexp_jvp",
            ),
            _cases.DERIVATIVES,
            derivative_problem,
        ),
        (("softmax_jacobian", "log_softmax_jacobian"), _cases.JACOBIANS, jacobian_problem),
        (
            ("cross_entropy", "cross_entropy_value_and_grad"),
            _cases.CROSS_ENTROPY,
            cross_entropy_problem,
        ),
        (("cross_entropy_jvp",), _cases.CURVATURE, cross_entropy_problem),
        (("cross_entropy_hvp",), _cases.HVP, cross_entropy_problem),
        (("sigmoid",), _cases.SIGMOID, sigmoid_problem),
        (
            ("binary_cross_entropy", "binary_cross_entropy_value_and_grad"),
            _cases.BINARY,
            binary_problem,
        ),
        (("gaussian_features", "gaussian_features_vjp"), _cases.GAUSSIAN, gaussian_problem),
        (
            (
                "linear_cross_entropy",
                "linear_cross_entropy_value_and_grad",
                "linear_cross_entropy_jvp",
            ),
            _cases.LINEAR,
            linear_problem,
        ),
        (("linear_cross_entropy_hvp",), _cases.LINEAR_HVP, linear_problem),
    )
    return tuple(Operation(n, cases, build) for names, cases, build in families for n in names)


OPERATIONS = _operations()
