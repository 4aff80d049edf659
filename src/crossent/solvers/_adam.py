"""Adam: steps from gradients of a few rows each, scaled by what each parameter's were like."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .._typing import Array

__all__ = ["Adam", "Cosine"]


class Adam:
    """Parameters that are moved a step at a time, each gradient seen once.

    ``m <- m + (1 - d1) (g - m)``, ``v <- v + (1 - d2) (g^2 - v)``, and then
    ``x <- x - step_size(t) m' / (sqrt(v') + epsilon)`` with ``m' = m / (1 - d1^t)`` and
    ``v' = v / (1 - d2^t)``. (Kingma and Ba, 2015)
    A gradient times a constant gives the same steps, each about ``step_size`` at most. Gradients of
    a few rows scatter about the whole one: to come to rest, the step size has to fall.

    Parameters
    ----------
    start : float32 or float64 (P,)
        Copied; the state has its dtype. Three arrays of its size are held, and nothing is allocated
        by a step.
    step_size : float or callable
        Of every step, or from the number of steps taken before (0, 1, ...) to the next one's.
    decay : (float, float), default=(0.9, 0.999)
        d1 and d2: how much of the means is kept at a step.
    epsilon : float, default=1e-8
        Gradients much smaller than this are as good as none.

    Attributes
    ----------
    parameters : ndarray (P,)
        Where the steps have led so far; the same array all the time.
    n_steps : int

    Examples
    --------
    >>> adam = Adam(np.zeros(2), step_size=0.1)
    >>> adam.step(np.array([4.0, -0.01])).round(6)
    array([-0.1,  0.1])
    """

    def __init__(
        self,
        start: Array,
        step_size: float | Callable[[int], float],
        *,
        decay: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
    ) -> None:
        self.parameters = start.copy()
        self.n_steps = 0
        self._step_size, self._decay, self._epsilon = step_size, decay, epsilon
        self._mean, self._square = np.zeros_like(start), np.zeros_like(start)
        self._room = np.empty_like(start)

    def step(self, gradient: Array) -> Array:
        """Move on by one gradient (P,).

        Returns
        -------
        ndarray (P,)
            ``parameters``, moved in place.

        Raises
        ------
        ValueError
            For a gradient with a number that is not finite; nothing is moved then.
        """
        if not np.isfinite(gradient).all():
            raise ValueError(
                f"the gradient of step {self.n_steps + 1} is not finite: scale the data, "
                "lower the step size, or compute in float64"
            )
        size = self._step_size(self.n_steps) if callable(self._step_size) else self._step_size
        self.n_steps += 1
        room, (first, second) = self._room, self._decay
        np.subtract(gradient, self._mean, out=room)
        room *= 1.0 - first
        self._mean += room
        np.multiply(gradient, gradient, out=room)
        room -= self._square
        room *= 1.0 - second
        self._square += room
        np.sqrt(self._square, out=room)
        room /= math.sqrt(1.0 - second**self.n_steps)
        room += self._epsilon
        np.divide(self._mean, room, out=room)
        room *= size / (1.0 - first**self.n_steps)
        self.parameters -= room
        return self.parameters


class Cosine:
    """Step sizes that rise for a few steps and then fall to zero along a cosine.

    ``peak (t + 1) / n_rising`` while t < n_rising, then ``peak (1 + cos(pi u)) / 2``, where u goes
    from 0 to 1 over the steps that are left. (Loshchilov and Hutter, 2017, without restarts)

    Parameters
    ----------
    peak : float
    n_steps : int
        After these the step size is 0.
    n_rising : int, default=0

    Examples
    --------
    >>> step_size = Cosine(1.0, 4)
    >>> [round(step_size(t), 3) for t in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    def __init__(self, peak: float, n_steps: int, n_rising: int = 0) -> None:
        self._peak, self._n_steps, self._n_rising = peak, n_steps, n_rising

    def __call__(self, n_before: int) -> float:
        """The size of the step after this many."""
        if n_before < self._n_rising:
            return self._peak * (n_before + 1) / self._n_rising
        done = (n_before - self._n_rising) / max(1, self._n_steps - self._n_rising)
        return 0.5 * self._peak * (1.0 + math.cos(math.pi * min(1.0, done)))
