"""Rows held out: the right number, of every class, and never all of one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossent.cli._holdout import held_out_rows


@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=8),
    share=st.floats(0.01, 0.95),
    seed=st.integers(0, 2**32),
)
def test_every_class_gives_its_share(counts: list[int], share: float, seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    held = held_out_rows(labels, share, seed)
    given = np.bincount(labels[held], minlength=len(counts))
    exact = np.array(counts) * share
    assert (given <= np.array(counts) - 1).all()
    assert (given <= np.ceil(exact)).all()
    assert (given >= np.minimum(np.floor(exact), np.array(counts) - 1)).all()
    assert held.sum() <= round(len(labels) * share)
    np.testing.assert_array_equal(held, held_out_rows(labels, share, seed))


@pytest.mark.parametrize("n_rows", [10, 1797, 10992])
def test_the_total_is_the_share(n_rows: int) -> None:
    labels = np.random.default_rng(0).integers(0, 3, n_rows)
    assert held_out_rows(labels, 0.2, 0).sum() == round(0.2 * n_rows)


def test_rows_are_drawn_at_random() -> None:
    labels = np.zeros(1000, dtype=np.int64)
    drawn = np.mean([held_out_rows(labels, 0.2, seed) for seed in range(500)], axis=0)
    assert abs(drawn - 0.2).max() < 5 * np.sqrt(0.2 * 0.8 / 500)
