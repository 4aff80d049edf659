"""The steps of a derivation in mpmath: what float32 is held against.

Each is written without a difference of nearly equal numbers: 1 - p_k as the sum of the other
probabilities, log(sum) as log1p of the other exponentials. With 100 digits and more nothing that is
shown is rounded visibly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import mpmath

__all__ = ["Row", "decimal", "exact_steps", "ulp_error", "working_digits"]

_SHOWN_DIGITS = 25
_DIGITS, _MOST_DIGITS = 100, 2000  # of the arithmetic; more where probabilities are very small
_STEP = "1e-20"  # of the central difference
_PRECISION, _SMALLEST = 24, -149  # of float32: bits, exponent of the smallest number

Number = Any  # mpmath is untyped


class Row(NamedTuple):
    """What a derivation starts from; without targets it ends at the Jacobian."""

    logits: Sequence[float]
    targets: Sequence[float] | None
    temperature: float
    smoothing: float


def working_digits(row: Row) -> int:
    """The digits that a central difference needs to see the smallest probability."""
    spread = (max(row.logits) - min(row.logits)) / row.temperature / 2.3
    return _DIGITS + int(min(spread, _MOST_DIGITS))


def exact_steps(row: Row, classes: Sequence[int], *, difference: bool = True) -> dict[str, Any]:
    """Every step by name, for the classes shown; the central difference where it is asked for."""
    z = [mpmath.mpf(number) for number in row.logits]
    temperature = mpmath.mpf(row.temperature)
    u = [number / temperature for number in z]
    largest = max(u)
    shift = [number - largest for number in u]
    exponentials = [mpmath.exp(number) for number in shift]
    total = mpmath.fsum(exponentials)
    p = [number / total for number in exponentials]
    shown = {"logits": z, "tempered": u, "shift": shift, "exponentials": exponentials}
    steps: dict[str, Any] = {name: _chosen(values, classes) for name, values in shown.items()}
    steps["sum"] = total
    steps["probabilities"] = _chosen(p, classes)
    steps["jacobian"] = [[_jacobian(p, j, k) for k in classes] for j in classes]
    if row.targets is None:
        return steps
    y = _smoothed(row)
    top = max(range(len(u)), key=u.__getitem__)
    log_sum = mpmath.log1p(_others(exponentials, top))
    q = [number - log_sum for number in shift]
    steps["targets"] = _chosen(y, classes)
    steps["log_probabilities"] = _chosen(q, classes)
    steps["loss"] = -mpmath.fdot(y, q)
    by_probability = [-y_k / p_k for y_k, p_k in zip(y, p, strict=True)]
    steps["loss_by_probabilities"] = _chosen(by_probability, classes)
    steps["chain_rule"] = [_chain(p, by_probability, k) / temperature for k in classes]
    steps["gradient"] = [_gradient(p, y, k) / temperature for k in classes]
    if difference:
        central = [_central(exponentials, y, temperature, k) for k in classes]
        steps["central_difference"] = central
    return steps


def _chosen(values: Sequence[Number], classes: Sequence[int]) -> list[Number]:
    return [values[k] for k in classes]


def _others(values: Sequence[Number], k: int) -> Number:
    return mpmath.fsum(value for c, value in enumerate(values) if c != k)


def _jacobian(p: Sequence[Number], j: int, k: int) -> Number:
    """dp_j/du_k = p_j (1 - p_j) on the diagonal, -p_j p_k off it."""
    return p[j] * _others(p, j) if j == k else -p[j] * p[k]


def _smoothed(row: Row) -> list[Number]:
    """(1 - e) y + e s / K."""
    y = [mpmath.mpf(number) for number in row.targets or ()]
    e, share = mpmath.mpf(row.smoothing), mpmath.fsum(y) / len(y)
    return [(1 - e) * number + e * share for number in y]


def _chain(p: Sequence[Number], by_probability: Sequence[Number], k: int) -> Number:
    """sum_j dp_j/du_k dE/dp_j."""
    return _settled([_jacobian(p, j, k) * g for j, g in enumerate(by_probability)])


def _gradient(p: Sequence[Number], y: Sequence[Number], k: int) -> Number:
    """s p_k - y_k, as p_k times the other targets minus y_k times the other probabilities."""
    return _settled([p[k] * _others(y, k), -y[k] * _others(p, k)])


def _central(
    exponentials: Sequence[Number], y: Sequence[Number], temperature: Number, k: int
) -> Number:
    """(E(z + h) - E(z - h)) / 2h for E = s log(sum) - <y, shift>: z_k alone moves, a stays."""
    h = mpmath.mpf(_STEP)
    others, own, s = _others(exponentials, k), exponentials[k], mpmath.fsum(y)
    ahead, behind = (mpmath.log(others + own * mpmath.exp(d / temperature)) for d in (h, -h))
    return _settled([s * ahead, -s * behind, -2 * h * y[k] / temperature]) / (2 * h)


def _settled(terms: Sequence[Number]) -> Number:
    """Give the sum of the terms; 0 where only their rounding is left of it."""
    total = mpmath.fsum(terms)
    noise = mpmath.mpf(10) ** (12 - mpmath.mp.dps) * max(abs(term) for term in terms)
    return total if abs(total) > noise else mpmath.mpf(0)


def decimal(value: Number) -> str:
    """Spell a number with 25 digits."""
    return mpmath.nstr(value, _SHOWN_DIGITS) if value else "0.0"


def ulp_error(got: float, exact: Number) -> float:
    """|got - exact| in units of the last place of the float32 numbers around `exact`.

    Examples
    --------
    >>> ulp_error(1.0 + 2**-23, mpmath.mpf(1))
    1.0
    """
    if not mpmath.isfinite(got):
        return float("inf")
    exponent = int(mpmath.frexp(exact)[1]) - _PRECISION if exact else _SMALLEST
    return float(abs(mpmath.mpf(got) - exact) / mpmath.ldexp(1, max(exponent, _SMALLEST)))
