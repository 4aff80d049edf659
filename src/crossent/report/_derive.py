"""A row of logits and a target become a derivation: checked, then computed three times over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import mpmath
import numpy as np

from ._derivation import MOST_SHOWN, Derivation, Float32, Step
from ._exact_steps import Row, decimal, exact_steps, ulp_error, working_digits
from ._float32_steps import crossent_steps, formula_steps, rounded

__all__ = ["derive"]

_LARGEST, _SMALLEST = float(np.finfo(np.float32).max), float(np.finfo(np.float32).tiny)

_STEPS = {
    "logits": ("The logits", "z"),
    "tempered": ("Divided by the temperature", "u = z / T"),
    "shift": ("Shifted by the largest, a", "u_k - a"),
    "exponentials": ("Exponentials", "e_k = exp(u_k - a)"),
    "sum": ("Their sum", "S = Σ_c e_c"),
    "probabilities": ("Probabilities", "p_k = e_k / S"),
    "jacobian": ("Jacobian of softmax", "∂p_j/∂u_k = p_j (δ_jk - p_k)"),
    "targets": ("The target", "y"),
    "log_probabilities": ("Log-probabilities", "q_k = (u_k - a) - log S"),
    "loss": ("Cross-entropy", "E = -Σ_k y_k q_k"),
    "loss_by_probabilities": ("Back into the probabilities", "∂E/∂p_k = -y_k / p_k"),
    "chain_rule": ("Gradient by the chain rule", "∂E/∂z_k = 1/T Σ_j ∂p_j/∂u_k ∂E/∂p_j"),
    "gradient": ("Gradient by the short formula", "∂E/∂z_k = (s p_k - y_k) / T, s = Σ_c y_c"),
    "central_difference": (
        "Gradient by a central difference",
        "(E(z_k + h) - E(z_k - h)) / 2h",
    ),
}
_SMOOTHED = ("The target, smoothed", "y'_k = (1 - e) y_k + e s / K")
_SHORTER = "∂E/∂z_k = p_k - y_k"  # one label at T = 1


def derive(
    logits: Sequence[float],
    *,
    label: int | None = None,
    targets: Sequence[float] | None = None,
    temperature: float = 1.0,
    smoothing: float = 0.0,
) -> Derivation:
    """Derive softmax, cross-entropy and its gradient with these numbers.

    Parameters
    ----------
    logits : sequence of float
        K finite numbers, two or more.
    label : int, optional
        The right class, 0 ... K-1.
    targets : sequence of float, optional
        K non-negative numbers instead of a label. With neither, the Jacobian is the end.
    temperature : float
        Divides the logits; positive.
    smoothing : float
        The share of the target that is spread over all classes, in [0, 1].

    Returns
    -------
    Derivation
        Exact numbers are those of the arguments as double precision holds them.

    Raises
    ------
    ValueError
        If an argument is none of this, before anything is computed.

    Examples
    --------
    >>> derivation = derive([1.0, 2.0, 3.0], label=2)
    >>> derivation.step("gradient").exact[2]
    '-0.3347590442251781104709817'
    >>> derivation.step("chain_rule").exact == derivation.step("gradient").exact
    True
    """
    z = _finite(logits, "logits")
    if len(z) < 2:
        raise ValueError(f"softmax needs at least two logits, one for each class, got {len(z)}")
    if not _SMALLEST <= temperature <= _LARGEST:
        raise ValueError(
            f"temperature must be positive, {_SMALLEST:.2g} ... {_LARGEST:.2g}, got {temperature}"
        )
    y = _target(label, targets, smoothing, len(z))
    row = Row(z, y, temperature, smoothing)
    classes = _shown(z, y)
    with mpmath.workdps(working_digits(row)):
        exact = exact_steps(row, classes)
        steps = _steps(row, classes, exact)
        notes = _notes(row, classes, exact)
    return Derivation(
        logits=tuple(z),
        label=label,
        targets=None if targets is None or y is None else tuple(y),
        temperature=float(temperature),
        smoothing=float(smoothing),
        n_classes=len(z),
        classes=classes,
        steps=tuple(steps),
        notes=tuple(notes),
    )


def _finite(numbers: Sequence[float], name: str) -> list[float]:
    values = [float(number) for number in numbers]
    for i, value in enumerate(values):
        if not math.isfinite(value):
            raise ValueError(f"{name}[{i}] is {value}: give finite numbers")
        if abs(value) > _LARGEST:
            raise ValueError(
                f"{name}[{i}] is {value:g}, but float32, which is shown beside the exact numbers, "
                f"ends at {_LARGEST:.2g}: give a smaller number"
            )
    return values


def _target(
    label: int | None, targets: Sequence[float] | None, smoothing: float, n_classes: int
) -> list[float] | None:
    """Check what is to be predicted, and give it as one number for each class."""
    if not 0.0 <= smoothing <= 1.0:
        raise ValueError(f"smoothing must be in [0, 1], got {smoothing}")
    if label is None and targets is None:
        if smoothing:
            raise ValueError("smoothing changes the target: give a label or targets with it")
        return None
    if targets is None:
        if label not in range(n_classes):
            raise ValueError(
                f"label is {label}, but there are {n_classes} classes (0 ... {n_classes - 1})"
            )
        return [float(k == label) for k in range(n_classes)]
    if label is not None:
        raise ValueError("give a label or targets, not both")
    values = _finite(targets, "targets")
    if len(values) != n_classes:
        raise ValueError(
            f"targets need one number for each of the {n_classes} logits, got {len(values)}"
        )
    for k, value in enumerate(values):
        if value < 0:
            raise ValueError(f"targets[{k}] is {value:g}: targets must not be negative")
    return values


def _shown(logits: Sequence[float], targets: Sequence[float] | None) -> tuple[int, ...]:
    """All classes, or of more than can be read, the largest targets (three) and logits."""
    every = range(len(logits))
    if len(every) <= MOST_SHOWN:
        return tuple(every)
    wanted = sorted(every, key=lambda k: -targets[k])[:3] if targets else []
    kept = [k for k in wanted if targets and targets[k] > 0]
    for k in sorted(every, key=lambda k: -logits[k]):
        if len(kept) < MOST_SHOWN and k not in kept:
            kept.append(k)
    return tuple(sorted(kept))


def _steps(row: Row, classes: Sequence[int], exact: dict[str, Any]) -> list[Step]:
    held = rounded(row)
    reference = exact_steps(held, classes, difference=False)
    if row.targets is not None:  # the difference means to be the derivative
        reference["central_difference"] = reference["gradient"]
    formula, ours = formula_steps(held, classes), crossent_steps(held, classes)
    one_label = row.targets is not None and row.temperature == 1 and sum(row.targets) == 1
    steps = []
    for name, (title, text) in _STEPS.items():
        if name not in exact or (name == "tempered" and row.temperature == 1):
            continue
        if name == "targets" and row.smoothing:
            title, text = _SMOOTHED
        if name == "gradient" and one_label:
            text = _SHORTER
        compared = _float32(formula[name], reference[name])
        our_own = _float32(ours[name], reference[name]) if name in ours else None
        steps.append(Step(name, title, text, _nested(decimal, exact[name]), compared, our_own))
    return steps


def _float32(value: Any, exact: Any) -> Float32:
    values = value.tolist()
    return Float32(_nested(_shortest, values), _nested(ulp_error, values, exact))


def _shortest(value: float) -> float:
    """The number of fewest digits that is this float32; 0 has no sign."""
    return float(str(np.float32(value))) + 0.0


def _nested(function: Any, *values: Any) -> Any:
    """Apply a function to corresponding numbers of nested lists; tuples come back."""
    if isinstance(values[0], list):
        return tuple(_nested(function, *entries) for entries in zip(*values, strict=True))
    return function(*values)


def _notes(row: Row, classes: Sequence[int], exact: dict[str, Any]) -> list[str]:
    """What a reader would ask about these numbers."""
    notes = []
    held = rounded(row)
    moved = [k for k in classes if held.logits[k] != row.logits[k]]
    if moved:
        notes.append(
            f"Float32 rounds {len(moved)} of the logits shown; an error counts from the exact "
            "result of the numbers that float32 holds."
        )
    if len(classes) < len(row.logits):
        notes.append(
            f"{len(classes)} of {len(row.logits)} classes are shown: the largest logits and "
            "targets. The sums go over all."
        )
    if row.targets is None:
        return [*notes, "Without a label or targets there is no loss: the Jacobian is the end."]
    chain, central = (
        max(abs(a - b) for a, b in zip(exact[name], exact["gradient"], strict=True))
        for name in ("chain_rule", "central_difference")
    )
    notes.append(
        "In exact numbers the three gradients are one: the chain rule differs from the short "
        f"formula by at most {mpmath.nstr(chain, 1)}, the central difference (h = 1e-20) by "
        f"{mpmath.nstr(central, 1)}."
    )
    return notes
