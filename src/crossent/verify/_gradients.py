"""Derivatives checked against central differences, and against one another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .._typing import Array, ArrayLike
from ._discrepancy import Discrepancy, GradientCheck, GradientMismatch

Function = Callable[[Array], Any]
Product = Callable[[Array, Array], Any]

_LEVELS = 7  # steps h, h/2, ..., h/64, extrapolated
_RANDOM_DIRECTIONS = 3
_COORDINATES = 64


def check_gradients(
    f: Function,
    x: ArrayLike | None = None,
    *,
    vjp: Product | None = None,
    jvp: Product | None = None,
    hvp: Product | None = None,
    rtol: float = 1e-7,
    step: float = 0.05,
    seed: int = 0,
    raises: bool = True,
) -> GradientCheck:
    """Compare the derivatives of a NumPy function with central differences of the function.

    ``(f(x + h v) - f(x - h v)) / 2h``, extrapolated to h = 0 from seven steps.

    Along coordinate directions (64 at most, drawn at random from more) and random ones; and the
    derivatives among themselves: ``<w, J v> = <J^T w, v>`` and ``<u, H v> = <v, H u>``.

    Parameters
    ----------
    f : callable
        f(x) for an array of the shape of `x` gives an array or a number.
    x : array_like of float64, optional
        Where to check: by default three rows of five normal numbers. Keep away from kinks, and from
        values where f is flat.
    vjp : callable, optional
        vjp(x, cotangent), the cotangent of f(x)'s shape, gives J^T cotangent, of x's shape.
        For a loss with gradient g it is ``lambda x, w: w * g(x)``.
    jvp : callable, optional
        jvp(x, tangent) gives J tangent, of f(x)'s shape.
    hvp : callable, optional
        hvp(x, tangent) gives the Hessian times tangent, for an f that gives one number. Compared
        with differences of the gradient where `vjp` is given, else with second differences of f.
    rtol : float
        What is allowed relative to the largest entry; the uncertainty of the differences is added.
    step : float
        The largest step, relative to the size of `x` (to 1 where x is smaller).
    seed : int
        Of the random directions.
    raises : bool
        Raise `GradientMismatch` on failure; False only returns the record.

    Returns
    -------
    GradientCheck
        With `passed`, `worst` (entry, expected, got) and all comparisons.

    Raises
    ------
    GradientMismatch
        Where a derivative is wrong, has another shape, or is not finite; and where f is too rough
        for differences to settle.
    TypeError
        If x is not float64: differences in less precision judge nothing.
    ValueError
        If there is nothing to check, x is empty or not finite, or hvp is given for an f of many
        numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from crossent.verify import check_gradients
    >>> check_gradients(np.sin, [0.0, 1.0], vjp=lambda x, w: np.cos(x) * w).passed
    True
    >>> check_gradients(np.sin, [0.5], vjp=lambda x, w: -np.cos(x) * w)
    Traceback (most recent call last):
        ...
    crossent.verify._discrepancy.GradientMismatch: 4 of 4 comparisons disagree:...
    """
    if x is None:
        x = np.random.default_rng(seed).standard_normal((3, 5))
    point = _checked_point(x, (vjp, jvp, hvp))
    checker = _Checker(f, point, rtol, step, np.random.default_rng(seed))
    found: list[Discrepancy] = []
    if vjp is not None:
        found += checker.vjp(vjp)
    if jvp is not None:
        found += checker.jvp(jvp)
    if vjp is not None and jvp is not None:
        found += checker.transpose(vjp, jvp)
    if hvp is not None:
        found += checker.hvp(hvp, vjp)
    check = GradientCheck(tuple(sorted(found, key=lambda d: -d.excess)))
    if raises and not check.passed:
        raise GradientMismatch(check)
    return check


def _checked_point(x: ArrayLike, products: tuple[Product | None, ...]) -> Array:
    point = np.array(x)
    if point.dtype != np.float64:
        raise TypeError(f"x must be float64 for differences to judge by, got {point.dtype}")
    if all(product is None for product in products):
        raise ValueError("nothing to check: pass vjp, jvp or hvp")
    if not point.size or not np.isfinite(point).all():
        raise ValueError("x must have one entry at least, and all of them finite")
    return point


class _Checker:
    """The function at the point, and the comparisons made there."""

    def __init__(
        self, f: Function, x: Array, rtol: float, step: float, rng: np.random.Generator
    ) -> None:
        self.f, self.x, self.rtol, self.rng = f, x, rtol, rng
        self.step = step * max(1.0, float(np.abs(x).max()))
        self.value = np.asarray(f(x.copy()), np.float64)

    def directions(self) -> Iterator[tuple[str, Array]]:
        """Random directions, then coordinates (named by their index)."""
        for i in range(_RANDOM_DIRECTIONS):
            yield f"random direction {i}", self.rng.standard_normal(self.x.shape)
        chosen = np.arange(self.x.size)
        if self.x.size > _COORDINATES:
            chosen = np.sort(self.rng.choice(self.x.size, _COORDINATES, replace=False))
        for i in chosen:
            unit = np.zeros(self.x.shape)
            unit.flat[i] = 1
            yield f"x{list(map(int, np.unravel_index(i, self.x.shape)))}", unit

    def slope(self, f: Function, v: Array) -> tuple[Array, float]:
        """The derivative of f along v and its uncertainty, by extrapolated central differences."""
        size = float(np.abs(v).max())
        h = self.step / size

        def quotient(h: float) -> Array:
            ahead, behind = f(self.x + h * v), f(self.x - h * v)
            return (np.asarray(ahead, np.float64) - np.asarray(behind, np.float64)) / (2 * h)

        return _extrapolated(quotient, h)

    def curvature(self, v: Array) -> tuple[Array, float]:
        """The second derivative of f along v and its uncertainty."""

        def quotient(h: float) -> Array:
            ahead, behind = self.f(self.x + h * v), self.f(self.x - h * v)
            return (np.asarray(ahead, np.float64) - 2 * self.value + behind) / h**2

        return _extrapolated(quotient, 2 * self.step / float(np.abs(v).max()))

    def compare(
        self, check: str, expected: Any, got: Any, uncertainty: float = 0.0, scale: float = 0.0
    ) -> Discrepancy:
        """The worst entry of two arrays that should agree."""
        expected, got = np.asarray(expected, np.float64), np.asarray(got, np.float64)
        if expected.shape != got.shape:
            text = f"{check}: shape {got.shape} where {expected.shape} is due"
            return Discrepancy(text, (), np.nan, np.nan, np.inf, self.rtol)
        scale = max(scale, float(np.abs(expected).max(initial=0.0))) or 1.0
        errors = np.nan_to_num(np.abs(expected - got), nan=np.inf) / scale
        worst = np.unravel_index(int(errors.argmax()), errors.shape) if errors.size else ()
        spread = uncertainty / scale
        if not spread < 1e-3:
            check = f"{check} (differences do not settle: is f smooth and finite here?)"
            spread, errors = 0.0, np.full(errors.shape, np.inf)
        index = tuple(int(i) for i in worst)
        return Discrepancy(
            check, index, float(expected[worst]), float(got[worst]),
            float(errors[worst]), self.rtol + 4 * spread,
        )  # fmt: skip

    def vjp(self, vjp: Product) -> Iterator[Discrepancy]:
        w = self.rng.standard_normal(self.value.shape)
        back = np.asarray(vjp(self.x.copy(), w.copy()), np.float64)
        if back.shape != self.x.shape:
            yield self.compare("vjp", self.x, back)
            return
        scale = float(np.abs(back).max())
        for name, v in self.directions():
            slope, uncertainty = self.slope(self.f, v)
            expected = np.sum(w * slope)
            uncertainty *= float(np.abs(w).sum())
            reach = max(scale, float(np.abs(w * slope).sum()))
            yield self.compare(f"vjp along {name}", expected, np.sum(back * v), uncertainty, reach)

    def jvp(self, jvp: Product) -> Iterator[Discrepancy]:
        for name, v in self.directions():
            slope, uncertainty = self.slope(self.f, v)
            yield self.compare(f"jvp along {name}", slope, jvp(self.x.copy(), v), uncertainty)

    def transpose(self, vjp: Product, jvp: Product) -> Iterator[Discrepancy]:
        for i in range(_RANDOM_DIRECTIONS):
            v = self.rng.standard_normal(self.x.shape)
            w = self.rng.standard_normal(self.value.shape)
            forward = np.asarray(jvp(self.x.copy(), v), np.float64)
            back = np.asarray(vjp(self.x.copy(), w), np.float64)
            if forward.shape != w.shape or back.shape != v.shape:
                return  # reported by the comparison with differences
            scale = float(np.abs(w * forward).sum())
            name = f"<w, J v> = <J^T w, v>, pair {i}"
            yield self.compare(name, np.sum(w * forward), np.sum(back * v), scale=scale)

    def hvp(self, hvp: Product, vjp: Product | None) -> Iterator[Discrepancy]:
        if self.value.size != 1:
            shape = self.value.shape
            raise ValueError(f"hvp needs an f that gives one number; this gives shape {shape}")

        def gradient(x: Array) -> Any:
            return vjp(x, np.ones(self.value.shape)) if vjp is not None else None

        products = []
        for name, v in self.directions():
            product = np.asarray(hvp(self.x.copy(), v), np.float64)
            if product.shape != self.x.shape:
                yield self.compare("hvp", self.x, product)
                return
            products.append((v, product))
            if vjp is None:
                expected, uncertainty = self.curvature(v)
                got = np.sum(product * v).reshape(np.shape(expected))
                scale = float(np.abs(product * v).sum())
            else:
                expected, uncertainty = self.slope(gradient, v)
                got, scale = product, 0.0
            yield self.compare(f"hvp along {name}", expected, got, uncertainty, scale)
        (u, hu), *others = products
        for v, hv in others:
            scale = float(np.abs(u * hv).sum())
            yield self.compare("<u, H v> = <v, H u>", np.sum(u * hv), np.sum(v * hu), scale=scale)


def _extrapolated(quotient: Callable[[float], Array], h: float) -> tuple[Array, float]:
    """The limit of a quotient even in h, from steps h, h/2, ..., and how far it is settled.

    Neville's scheme on h^2; the entry of the scheme that differs least from its parents is taken.
    """
    row: list[Array] = []
    best, least = np.asarray(np.nan), np.inf
    with np.errstate(all="ignore"):
        for level in range(_LEVELS):
            new = [quotient(h / 2**level)]
            for i, previous in enumerate(row):
                factor = 4.0 ** (i + 1)
                new.append((factor * new[i] - previous) / (factor - 1))
                change = max(_largest(new[-1] - new[i]), _largest(new[-1] - previous))
                if change < least:
                    best, least = new[-1], change
            row = new
    return best, least


def _largest(values: Array) -> float:
    return float(np.abs(values).max(initial=0.0))
