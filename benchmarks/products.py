"""What bounds the linear layer: its own matrix products, and a large square one.

The products of one call are recorded with the memory they read and write, the thread that made
them and the threads that BLAS was allowed, and made again just so, with nothing between them. Few
classes go through one kernel: what bounds it is a copy of the inputs.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import threadpoolctl

from crossent import _kernels
from crossent.ops._linear._heuristics import FEW_CLASSES

from . import copy_limit, crossent_adapter
from .problems import Arrays, Call, Calls, Problem

NAME = "its products"
VERSION = np.__version__
LIMIT = True

SQUARE = 4096


class Product(NamedTuple):
    """One product with the arrays it was made of."""

    a: np.ndarray
    b: np.ndarray
    out: np.ndarray | None
    more: tuple[Any, ...] | None  # of the compiled kernel: start, in_order; None: by NumPy's BLAS

    @property
    def operations(self) -> int:
        return 2 * self.a.shape[0] * self.a.shape[1] * self.b.shape[1]


class Recorded(NamedTuple):
    """The products of one call, by the Python thread that made them.

    ``blas_threads`` is how many threads BLAS was limited to; None where nothing limited it.
    """

    of_threads: list[list[Product]]
    blas_threads: int | None

    @property
    def operations(self) -> int:
        return sum(product.operations for made in self.of_threads for product in made)


def linear_cross_entropy(problem: Problem, arrays: Arrays) -> Calls:
    recorded = record(crossent_adapter.linear_cross_entropy(problem, arrays)["fresh"])
    n_samples, n_features, n_classes = problem.shape
    due = 6 * n_samples * n_features * n_classes
    if not recorded.operations and goes_by_rows(problem):
        return copy_limit.linear_cross_entropy(problem, arrays)
    if recorded.operations != due:
        raise ValueError(f"{recorded.operations} operations in matrix products, but {due} are due")
    return {"fresh": lambda: again(recorded)}


def goes_by_rows(problem: Problem) -> bool:
    """Whether one kernel makes the products itself, and memory is its limit."""
    return not _numpy() and problem.shape[2] <= FEW_CLASSES


def record(call: Call) -> Recorded:
    """Return the products that one call makes by the compiled kernel and by np.matmul."""
    made: dict[int, list[Product]] = {}
    allowed: set[int] = set()

    def watched(a: Any, b: Any, out: Any = None, **more: Any) -> Any:
        allowed.update(_blas_threads())
        result = matmul(a, b, out=out, **more)
        made.setdefault(threading.get_ident(), []).append(Product(a, b, out, None))
        return result

    def kernel_watched(a: Any, b: Any, out: Any, *more: Any) -> None:
        allowed.update(_blas_threads())
        kernel(a, b, out, *more)
        made.setdefault(threading.get_ident(), []).append(Product(a, b, out, more))

    matmul, kernel = np.matmul, _kernels.matrix_product
    call()
    # the NumPy floor's product is an np.matmul itself
    with (
        _replaced(np, "matmul", watched),
        _replaced(_kernels, "matrix_product", kernel if _numpy() else kernel_watched),
    ):
        call()
    limited = allowed != set(_blas_threads())
    return Recorded(list(made.values()), max(allowed, default=1) if limited else None)


def _numpy() -> bool:
    return _kernels.KERNELS == "numpy"


@contextmanager
def _replaced(module: Any, name: str, function: Any) -> Iterator[None]:
    own = getattr(module, name)
    setattr(module, name, function)
    try:
        yield
    finally:
        setattr(module, name, own)


def _blas_threads() -> list[int]:
    """Return how many threads NumPy's BLAS may use now."""
    pools = threadpoolctl.threadpool_info()
    return [pool["num_threads"] for pool in pools if pool["internal_api"] == "openblas"]


def again(recorded: Recorded) -> None:
    """Make the products once more, in as many threads as had made them."""
    if recorded.blas_threads is not None:
        with threadpoolctl.threadpool_limits(recorded.blas_threads, "blas"):
            _in_threads(recorded.of_threads)
    else:
        _in_threads(recorded.of_threads)


def _in_threads(of_threads: list[list[Product]]) -> None:
    threads = [threading.Thread(target=_make, args=(made,)) for made in of_threads[1:]]
    for thread in threads:
        thread.start()
    for made in of_threads[:1]:
        _make(made)
    for thread in threads:
        thread.join()


def _make(products: list[Product]) -> None:
    for a, b, out, more in products:
        if more is None:
            np.matmul(a, b, out=out)
        else:
            _kernels.matrix_product(a, b, out, *more)  # pyright: ignore[reportArgumentType]


def square() -> Call:
    """Return the call that makes a large square product by NumPy's BLAS."""
    a = np.random.default_rng(0).standard_normal((SQUARE, SQUARE), np.float32)
    out = np.empty_like(a)
    return lambda: np.matmul(a, a, out=out)
