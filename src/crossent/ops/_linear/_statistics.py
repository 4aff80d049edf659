"""What is known of each row of a linear layer's logits, in one pass over blocks of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ... import _kernels
from ..._arguments import TopKTargets, as_count
from ..._typing import ArrayLike, Floating
from ._class_blocks import ClassBlocks
from ._layout import Demand, layout_of
from ._logits import logits_of
from ._problem import Block, LinearProblem, linear_problem
from ._whole_rows import WholeRows

__all__ = ["LinearStatistics", "linear_statistics"]

_BYTES_OF_A_ROW, _BYTES_OF_A_TOP_CLASS = 128, 96
_PIECES = 8  # of a row, searched for its largest one after the other


class LinearStatistics(NamedTuple):
    """What `linear_statistics` finds of each row; all but ``top_k`` have the rows' shape."""

    lse: Any
    log_probability: Any
    entropy: Any
    argmax: Any
    top_k: TopKTargets | None


def linear_statistics(
    inputs: ArrayLike,
    weight: ArrayLike,
    target: ArrayLike | TopKTargets | None = None,
    *,
    bias: ArrayLike | None = None,
    top_k: int = 0,
    workspace_bytes: int | None = None,
) -> LinearStatistics:
    """What is known of each row of a linear layer's logits, without the logits.

    For scoring, distillation and looking at a large head: with
    ``z = inputs weight^T + bias`` and p its softmax, ``l = log sum_k exp(z_k)``,
    ``sum_k y_k log p_k`` and ``-sum_k p_k log p_k``.

    Parameters
    ----------
    inputs : array_like, shape (..., n)
    weight : array_like, shape (K, n)
    target : array_like, optional
        Labels, targets or :class:`TopKTargets`, as in :func:`linear_cross_entropy`.
    bias : array_like, shape (K,), optional
    top_k : int
        How many of the most probable classes to return; 0 for none.
    workspace_bytes : int, optional
        As in :func:`linear_cross_entropy`.

    Returns
    -------
    LinearStatistics
        ``lse``, ``log_probability`` (of the target; None without one) and ``entropy`` in the dtype
        of the inputs, ``argmax`` as int64, each of shape (...); ``top_k``: None, or
        :class:`TopKTargets` with indices and probabilities (..., top_k), the most probable first,
        which can be the target of another layer.

    Raises
    ------
    TypeError, ValueError
        As :func:`linear_cross_entropy`, and where ``top_k`` is not in 0 ... K.

    Notes
    -----
    Of equal logits the one of the lowest index comes first; where more than fit are equal to the
    last of the top k, any of them may be left out.

    Examples
    --------
    >>> import crossent as ce
    >>> found = ce.linear_statistics([[1.0]], [[0.0], [2.0], [1.0]], [1], top_k=2)
    >>> found.argmax, found.top_k.indices
    (array([1]), array([[1, 2]]))
    >>> found.top_k.probabilities.round(3)
    array([[0.665, 0.245]])
    """
    rows = np.shape(inputs)[:-1]
    truth = np.zeros(rows, np.int64) if target is None else target
    options: Any = {"reduction": "none"}
    problem = linear_problem(inputs, weight, truth, bias, workspace_bytes, options)
    m = as_count(top_k, problem.n_classes, "top_k")
    found = statistics(problem, m)
    return found if target is not None else found._replace(log_probability=None)


def statistics(problem: LinearProblem, m: int) -> LinearStatistics:
    """Of each row, and of its m most probable classes."""
    n_rows, dtype, shape = problem.n_rows, problem.layer.inputs.dtype, problem.layer.shape
    demand = Demand(
        matrices=2 + (m > 0), copies=1, row_bytes=_BYTES_OF_A_ROW + m * _BYTES_OF_A_TOP_CLASS
    )
    layout = layout_of(problem, demand)
    logits = logits_of(problem, layout, problem.products(layout.scratch))
    numbers = [np.empty(n_rows, dtype) for _ in range(3)]
    argmax, top = np.empty(n_rows, np.int64), np.empty((n_rows, m), np.int64)
    probabilities = np.empty((n_rows, m), dtype)
    of_block = _of_whole_rows if isinstance(logits, WholeRows) else _of_class_blocks
    for block in problem.blocks(layout.block_rows, copy_inputs=layout.copy_inputs):
        best = _Best(len(block.inputs), m)
        found = of_block(logits, block, best)  # pyright: ignore[reportArgumentType]
        with np.errstate(over="ignore"):
            for number, values in zip((*numbers, probabilities), found, strict=True):
                number[block.rows] = values
        argmax[block.rows], top[block.rows] = best.argmax, best.indices
    lse, log_probability, entropy = (number.reshape(shape)[()] for number in numbers)
    most = TopKTargets(top.reshape(*shape, m), probabilities.reshape(*shape, m)) if m else None
    return LinearStatistics(lse, log_probability, entropy, argmax.reshape(shape)[()], most)


def _of_whole_rows(logits: WholeRows, block: Block, best: _Best) -> tuple[Floating, ...]:
    """Lse, log-probability of the target, entropy and the best ones' probabilities."""
    z, q = logits.logits(block), logits.spare(block)
    losses, lse = np.empty(len(z)), np.empty(len(z), z.dtype)
    step = max(best.count, -(-z.shape[1] // _PIECES))
    for start in range(0, z.shape[1], step):
        best.add(z[:, start : start + step], start)
    logits.kernel(z, block, losses, gradient=False)
    _kernels.logsumexp_rows(z, lse)
    _kernels.log_softmax_rows(z, q)
    _kernels.softmax_rows(z, z)
    probabilities = np.take_along_axis(z, best.indices, axis=1)
    np.maximum(q, np.finfo(q.dtype).min, out=q)  # 0 x -inf is 0 here
    np.multiply(z, q, out=z)
    return lse, -losses, -z.sum(axis=1, dtype=np.float64) + 0.0, probabilities


def _of_class_blocks(logits: ClassBlocks, block: Block, best: _Best) -> tuple[Floating, ...]:
    """The same, some classes at a time."""

    def seen(part: _kernels.ClassBlock) -> None:
        best.add(part.logits, part.classes.start)

    sums = logits.sums(block, seen=seen)
    return sums.lse(), -sums.losses(), sums.entropy(), sums.probabilities(best.values)


class _Best:
    """The class of each row's largest logit so far (R,); the largest ones and their classes (R, m).

    Parameters
    ----------
    n_rows : int
    count : int
        m.
    """

    def __init__(self, n_rows: int, count: int) -> None:
        self.count = count
        self.argmax = np.zeros(n_rows, np.int64)
        self._largest = np.full(n_rows, -np.inf)
        self.values = np.empty((n_rows, 0))
        self.indices = np.empty((n_rows, 0), np.int64)

    def add(self, z: Floating, start: int) -> None:
        """Take in the classes ``start ...``; NaN counts as the largest, as in NumPy."""
        first = z.argmax(axis=1)
        largest = z[np.arange(len(z)), first]
        larger = ~(largest <= self._largest) & ~np.isnan(self._largest)
        self.argmax[larger] = first[larger] + start
        self._largest[larger] = largest[larger]
        if self.count:
            self._add_top(z, start)

    def _add_top(self, z: Floating, start: int) -> None:
        if self.count < z.shape[1]:
            chosen = np.argpartition(z, -self.count, axis=1)[:, -self.count :]
            chosen.sort(axis=1)
        else:
            chosen = np.broadcast_to(np.arange(z.shape[1]), z.shape)
        values = np.hstack([self.values, np.take_along_axis(z, chosen, axis=1)])
        indices = np.hstack([self.indices, chosen + start])
        order = np.argsort(-values, axis=1, kind="stable")[:, : self.count]
        self.values = np.take_along_axis(values, order, axis=1)
        self.indices = np.take_along_axis(indices, order, axis=1)
