"""Numbers spelled: how many of what, and decimal ones made short enough to read."""

from __future__ import annotations

import math

__all__ = ["counted", "short", "short_ulp"]


def counted(count: int, thing: str) -> str:
    """Say how many things.

    Examples
    --------
    >>> counted(1, "class"), counted(2, "class"), counted(0, "row")
    ('1 class', '2 classes', '0 rows')
    """
    plural = thing + ("es" if thing.endswith("s") else "s")
    return f"{count} {thing if count == 1 else plural}"


def short(number: str | float, digits: int) -> str:
    """Spell a number with so many digits, however small or large it is.

    Examples
    --------
    >>> short("0.09003057317038045799802210", 6), short("1.859079210053814608e-14766012", 6)
    ('0.0900306', '1.85908e-14766012')
    """
    value = float(number)
    if not isinstance(number, str) or (math.isfinite(value) and value):
        return f"{value:.{digits}g}"
    mantissa, _, exponent = number.partition("e")
    return f"{float(mantissa):.{digits}g}e{exponent}" if exponent else "0"


def short_ulp(error: float) -> str:
    """Spell an error in ulp: two digits, none after the point where it is large.

    Examples
    --------
    >>> short_ulp(0.3191), short_ulp(1010.98), short_ulp(9282610.7)
    ('0.32', '1011', '9.3e+06')
    """
    if not math.isfinite(error):
        return str(error)
    return f"{error:.2f}" if error < 100 else f"{error:.0f}" if error < 1e6 else f"{error:.1e}"
