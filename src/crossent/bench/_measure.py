"""How long a call takes and how much memory it needs at its highest.

It works on any callable without arguments, whosever library it calls, and is what the benchmarks
use.
"""

from __future__ import annotations

import ctypes
import pathlib
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

__all__ = ["Measurement", "measure", "measure_together", "peak_bytes"]

_CLEAR = pathlib.Path("/proc/self/clear_refs")
_STATUS = pathlib.Path("/proc/self/status")

Call = Callable[[], Any]


class Measurement(NamedTuple):
    """One call's median time in seconds, and its peak memory in bytes (None where unknown)."""

    seconds: float
    peak_bytes: int | None


def measure(function: Call, *, rounds: int = 7, round_seconds: float = 0.05) -> Measurement:
    """Time and peak memory of one call.

    Parameters
    ----------
    function : callable without arguments
        It is called once before anything is measured, so that what happens once (loading,
        compiling, the first allocation) does not count.
    rounds : int
        The median of this many rounds is the time.
    round_seconds : float
        A round repeats the call until about this time has passed, and at least once.

    Returns
    -------
    Measurement
        ``seconds`` per call, and ``peak_bytes``: by how much the process grew beyond what it
        held before the call, the results included; None where the system does not tell.

    Examples
    --------
    >>> import numpy as np
    >>> from crossent.bench import measure
    >>> seconds, peak_bytes = measure(lambda: np.ones(4_000_000), rounds=3)
    >>> seconds > 0 and (peak_bytes is None or peak_bytes > 30e6)
    True
    """
    return measure_together({"it": function}, rounds=rounds, round_seconds=round_seconds)["it"]


def measure_together(
    functions: Mapping[str, Call], *, rounds: int = 7, round_seconds: float = 0.05
) -> dict[str, Measurement]:
    """Measurements of several calls that are fair to compare: their rounds take turns.

    What disturbs the machine for a moment then disturbs all of them, and not the one that
    happened to run.

    Parameters
    ----------
    functions : mapping of str to callable
        The calls to compare, by name.
    rounds, round_seconds
        As in :func:`crossent.bench.measure`.

    Returns
    -------
    dict of str to Measurement
        By the names given.

    Examples
    --------
    >>> import numpy as np
    >>> from crossent.bench import measure_together
    >>> x = np.ones(1000)
    >>> sorted(measure_together({"exp": lambda: np.exp(x), "exp2": lambda: np.exp2(x)}, rounds=3))
    ['exp', 'exp2']
    """
    peaks = {name: peak_bytes(function) for name, function in functions.items()}
    repeats = {name: _repeats(function, round_seconds) for name, function in functions.items()}
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            times[name].append(_seconds_per_call(function, repeats[name]))
    return {name: Measurement(statistics.median(times[name]), peaks[name]) for name in functions}


def peak_bytes(function: Call) -> int | None:
    """By how much the process grows at most during one call, after a first call; Linux only.

    Parameters
    ----------
    function : callable without arguments
        Called twice; the second call is measured.

    Returns
    -------
    int or None
        None where the system does not tell.

    Examples
    --------
    >>> from crossent.bench import peak_bytes
    >>> peak = peak_bytes(lambda: bytearray(50_000_000))
    >>> peak is None or peak > 49_000_000
    True
    """
    function()
    if not _CLEAR.exists():
        return None
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of the GNU C library
    if trim is not None:
        trim(0)  # freed memory goes back to the system, so that using it again is seen
    try:
        _CLEAR.write_text("5")  # the high-water mark starts anew, from what is held now
    except OSError:
        return None
    before = _kilobytes("VmRSS")
    function()
    return max(0, _kilobytes("VmHWM") - before) * 1024


def _seconds_per_call(function: Call, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    return (time.perf_counter() - start) / repeats


def _repeats(function: Call, round_seconds: float) -> int:
    """Return how many calls fill a round; found by doubling, as one short call tells little."""
    repeats = 1
    while True:
        taken = _seconds_per_call(function, repeats) * repeats
        if taken >= round_seconds / 4 or repeats >= 1 << 20:
            return max(1, round(repeats * round_seconds / max(taken, 1e-9)))
        repeats *= 2


def _kilobytes(field: str) -> int:
    (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1])
