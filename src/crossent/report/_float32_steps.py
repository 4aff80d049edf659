"""The steps of a derivation in float32: the formula as it stands, and crossent's own functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._typing import Array
from ..ops import cross_entropy_value_and_grad, log_softmax, softmax
from ._exact_steps import Row

__all__ = ["crossent_steps", "formula_steps", "rounded"]

_DIFFERENCE = 2.0**-8  # near the cube root of the precision, where a central difference is best


def rounded(row: Row) -> Row:
    """The same row as float32 holds it."""

    def nearest(values: Any) -> Any:
        return np.asarray(values, np.float32).astype(float).tolist()

    targets = None if row.targets is None else nearest(row.targets)
    return Row(nearest(row.logits), targets, nearest(row.temperature), nearest(row.smoothing))


def formula_steps(row: Row, classes: Sequence[int]) -> dict[str, Array]:
    """Every step by name, in NumPy as the formula stands; inf and NaN are results."""
    z, temperature = np.array(row.logits, np.float32), np.float32(row.temperature)
    shown = list(classes)
    with np.errstate(all="ignore"):
        u = z / temperature
        shift = u - u.max()
        exponentials = np.exp(shift)
        total = exponentials.sum()
        p = exponentials / total
        columns = -np.outer(p, p[shown])  # dp_j/du_k, for the classes k shown
        columns[shown, range(len(shown))] += p[shown]
        each = {"logits": z, "tempered": u, "shift": shift, "exponentials": exponentials}
        steps = {name: values[shown] for name, values in each.items()}
        steps |= {"sum": total, "probabilities": p[shown], "jacobian": columns[shown]}
        if row.targets is None:
            return steps
        y = _smoothed(row)
        q = shift - np.log(total)
        by_probability = -y / p
        return steps | {
            "targets": y[shown],
            "log_probabilities": q[shown],
            "loss": -(y * q).sum(),
            "loss_by_probabilities": by_probability[shown],
            "chain_rule": columns.T @ by_probability / temperature,
            "gradient": (y.sum() * p - y)[shown] / temperature,
            "central_difference": np.array([_central(z, y, temperature, k) for k in shown]),
        }


def _smoothed(row: Row) -> Array:
    y, e = np.array(row.targets, np.float32), np.float32(row.smoothing)
    return (1 - e) * y + e * (y.sum() / np.float32(len(y)))


def _loss(z: Array, y: Array, temperature: np.float32) -> Any:
    shift = z / temperature - (z / temperature).max()
    return -(y * (shift - np.log(np.exp(shift).sum()))).sum()


def _central(z: Array, y: Array, temperature: np.float32, k: int) -> Any:
    h = np.float32(_DIFFERENCE) * np.maximum(np.float32(1), np.exp2(np.floor(np.log2(abs(z[k])))))
    ahead, behind = z.copy(), z.copy()
    ahead[k] += h
    behind[k] -= h
    return (_loss(ahead, y, temperature) - _loss(behind, y, temperature)) / (ahead[k] - behind[k])


def crossent_steps(row: Row, classes: Sequence[int]) -> dict[str, Array]:
    """The steps that are functions of crossent, on the same float32 numbers."""
    z, temperature = np.array(row.logits, np.float32), row.temperature
    shown = list(classes)
    with np.errstate(all="ignore"):  # z / T may be beyond float32
        u = z / np.float32(temperature)
    steps = {"probabilities": softmax(u)[shown]}
    if row.targets is None:
        return steps
    loss, gradient = cross_entropy_value_and_grad(
        z, np.array(row.targets, np.float32), temperature=temperature, label_smoothing=row.smoothing
    )
    return steps | {
        "log_probabilities": log_softmax(u)[shown],
        "loss": loss,
        "gradient": gradient[shown],
    }
