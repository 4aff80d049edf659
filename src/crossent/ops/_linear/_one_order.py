"""Matrix products whose sums have one order: by a single BLAS thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

__all__ = ["check_one_order", "one_order"]

_lock = threading.Lock()
_calls = 0  # in progress in this process
_limit: Any = None  # restores the BLAS's own number of threads


def check_one_order() -> ModuleType:
    """The package that sets a BLAS's threads; an error where it is not installed."""
    try:
        import threadpoolctl
    except ModuleNotFoundError as error:
        raise ImportError(
            "deterministic=True needs threadpoolctl, which is not installed, to keep the matrix "
            'products to one thread: pip install "crossent[threads]"'
        ) from error
    return threadpoolctl


@contextmanager
def one_order(wanted: bool) -> Iterator[None]:
    """While this lasts every BLAS of the process has one thread, where that is wanted.

    The number is the process's, not the thread's: the first call of several at once sets it, the
    last one restores it.
    """
    global _calls, _limit
    if not wanted:
        yield
        return
    with _lock:
        _calls += 1
        if _calls == 1:
            controller = check_one_order().ThreadpoolController()
            _limit = controller.limit(limits=1, user_api="blas")
    try:
        yield
    finally:
        with _lock:
            _calls -= 1
            if _calls == 0:
                _limit.restore_original_limits()
