"""The choice of a floor, made once at import.

``CROSSENT_KERNELS`` (numpy, baseline, avx2, avx512) forces one; without it the best one that this
build and this machine have is used. A forced floor that cannot be had is an error, never a silent
fallback. ``CROSSENT_NUM_THREADS`` is the number of threads to begin with.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import TYPE_CHECKING

from .._arguments import as_thread_count
from . import _numpy

__all__ = ["ISA", "KERNELS", "floor", "get_num_threads", "set_num_threads"]

_FLOORS = ("numpy", "baseline", "avx2", "avx512")


def _compiled() -> ModuleType | None:
    """The compiled kernels, or None where the installation has none."""
    name = f"{__package__}._native"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise  # it is there and cannot be loaded: to hide that would be a silent fallback
        return None


def _choose() -> tuple[ModuleType, str]:
    """The floor asked for, or the best there is, and its instruction set."""
    wanted = os.environ.get("CROSSENT_KERNELS", "")
    if wanted and wanted not in _FLOORS:
        raise ImportError(f"CROSSENT_KERNELS must be one of {', '.join(_FLOORS)}, got {wanted!r}")
    native = _compiled() if wanted != "numpy" else None
    if native is None:
        if wanted not in ("", "numpy"):
            raise ImportError(
                f"CROSSENT_KERNELS is {wanted!r}, but this installation has no compiled kernels: "
                "install crossent where a C++ compiler is, or unset CROSSENT_KERNELS"
            )
        return _numpy, "numpy"
    available: tuple[str, ...] = native.available_isas()
    if wanted and wanted not in available:
        raise ImportError(
            f"CROSSENT_KERNELS is {wanted!r}, but this build on this processor has only "
            f"{', '.join(('numpy', *available))}"
        )
    isa = wanted or available[0]
    native.use(isa)
    return native, isa


def _threads_to_begin_with() -> int | None:
    """The number in ``CROSSENT_NUM_THREADS``, or None."""
    text = os.environ.get("CROSSENT_NUM_THREADS", "")
    if not text:
        return None
    try:
        return as_thread_count(int(text))
    except ValueError:
        raise ImportError(
            f"CROSSENT_NUM_THREADS must be a positive integer, got {text!r}"
        ) from None


if TYPE_CHECKING:
    floor = _numpy  # both have the same names and signatures
    ISA = "numpy"
else:
    floor, ISA = _choose()
KERNELS = "numpy" if ISA == "numpy" else "native"

_numpy_threads = 1


def set_num_threads(n: int) -> None:
    """Set how many threads a compiled kernel may use; NumPy's remember the number and use one."""
    global _numpy_threads
    _numpy_threads = n
    if KERNELS == "native":
        floor.set_num_threads(n)  # pyright: ignore[reportAttributeAccessIssue]


def get_num_threads() -> int:
    """How many threads a kernel may use."""
    if KERNELS == "native":
        return floor.get_num_threads()  # pyright: ignore[reportAttributeAccessIssue]
    return _numpy_threads


if (_threads := _threads_to_begin_with()) is not None:
    set_num_threads(_threads)
