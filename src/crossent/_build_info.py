"""Which kernels are in use, and on how many threads."""

from __future__ import annotations

from typing import TypedDict

from . import _kernels
from ._arguments import as_thread_count
from ._version import __version__

__all__ = ["BuildInfo", "build_info", "get_num_threads", "set_num_threads"]


class BuildInfo(TypedDict):
    """What this installation runs on."""

    kernels: str
    isa: str
    threads: int
    version: str


def build_info() -> BuildInfo:
    """What this installation of crossent runs on.

    Returns
    -------
    dict
        ``kernels``: "native" where the C++ extension was built, "numpy" otherwise;
        ``isa``: the instruction set in use ("baseline", "avx2", "avx512"; "numpy" without native
        kernels); ``threads``: how many threads a call may use; ``version``.

    Notes
    -----
    The environment variable ``CROSSENT_KERNELS`` (numpy, baseline, avx2, avx512), read at import,
    forces one; a set that the machine or the build lacks is an error.

    Examples
    --------
    >>> import crossent as ce
    >>> sorted(ce.build_info())
    ['isa', 'kernels', 'threads', 'version']
    """
    return {
        "kernels": _kernels.KERNELS,
        "isa": _kernels.ISA,
        "threads": _kernels.get_num_threads(),
        "version": __version__,
    }


def set_num_threads(n: int) -> None:
    """Set how many threads a native kernel may use, in this process.

    Results are the same to the last bit for any number. The NumPy kernels use one thread, and
    matrix products follow the settings of NumPy's BLAS, not this one.

    Parameters
    ----------
    n : int
        At least 1. The default is the number of processors this process may run on, or the
        environment variable ``CROSSENT_NUM_THREADS``.

    Raises
    ------
    TypeError, ValueError
        Where ``n`` is not a positive integer.

    Examples
    --------
    >>> import crossent as ce
    >>> before = ce.get_num_threads()
    >>> ce.set_num_threads(1)
    >>> ce.get_num_threads()
    1
    >>> ce.set_num_threads(before)
    """
    _kernels.set_num_threads(as_thread_count(n))


def get_num_threads() -> int:
    """How many threads a native kernel may use.

    Returns
    -------
    int

    Examples
    --------
    >>> import crossent as ce
    >>> ce.get_num_threads() >= 1
    True
    """
    return _kernels.get_num_threads()
