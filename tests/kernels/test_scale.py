"""More than 2^31 numbers at once: some gigabytes, so only where CROSSENT_HUGE is set."""

from __future__ import annotations

import os

import numpy as np
import pytest

from crossent import _kernels as kernels
from crossent._arguments import LossOptions

N_CLASSES, N_ROWS, N_BLOCKS = 2049, 1024, 1024


@pytest.mark.skipif("CROSSENT_HUGE" not in os.environ, reason="takes 4.4 GB: set CROSSENT_HUGE")
def test_more_numbers_than_fit_an_int32() -> None:
    """Every block of rows, wherever it lies, has the bits that it has alone."""
    rng = np.random.default_rng(0)
    block = (3 * rng.standard_normal((N_ROWS, N_CLASSES))).astype(np.float16)
    labels = rng.integers(0, N_CLASSES, N_ROWS)
    rows = np.empty((N_BLOCKS * N_ROWS, N_CLASSES), np.float16)
    assert rows.size > 2**31
    alone = np.empty_like(block)
    lse, lse_alone = np.empty(len(rows), np.float16), np.empty(N_ROWS, np.float16)

    def check(result: np.ndarray, expected: np.ndarray) -> None:
        for part in np.split(result, N_BLOCKS):
            assert part.tobytes() == expected.tobytes()

    rows.reshape(N_BLOCKS, N_ROWS, N_CLASSES)[:] = block
    kernels.logsumexp_rows(rows, lse)
    kernels.logsumexp_rows(block, lse_alone)
    check(lse, lse_alone)
    kernels.softmax_rows(rows, rows)
    kernels.softmax_rows(block, alone)
    check(rows, alone)
    rows.reshape(N_BLOCKS, N_ROWS, N_CLASSES)[:] = block
    many = np.tile(labels, N_BLOCKS)
    kernels.cross_entropy_rows(rows, many, None, 1.0, LossOptions(), None, rows)
    kernels.cross_entropy_rows(block, labels, None, 1.0, LossOptions(), None, alone)
    check(rows, alone)
