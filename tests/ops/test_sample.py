"""Drawing from logits: the frequencies are those of the softmax, in little memory."""

import itertools
import tracemalloc

import numpy as np
import pytest

import crossent as ce
from crossent.ops import _sample

RNG = np.random.default_rng(5)
# What chi-square exceeds once in 1e9, by degrees of freedom; the seeds are fixed
QUANTILE = {3: 44.8, 4: 47.9, 5: 50.7, 8: 58.3}
N_DRAWS = 200_000


def chi_square(drawn, probabilities):
    """Return Pearson's statistic over the classes that can be drawn, and how many these are."""
    possible = probabilities > 0
    counts = np.bincount(drawn, minlength=len(probabilities))
    assert counts[~possible].sum() == 0
    expected = probabilities[possible] * len(drawn)
    return float(((counts[possible] - expected) ** 2 / expected).sum()), int(possible.sum())


LOGITS = np.array([1.0, -2.0, 0.5, 3.0, -6.5, 0.0])
CASES = {
    "plain": (LOGITS, {}, 5),
    "far from zero": (LOGITS + 1e6, {}, 5),
    "-inf": (np.where(LOGITS == 3.0, -np.inf, LOGITS), {}, 4),
    "masked": (LOGITS, {"where": LOGITS > -6}, 4),
    "float32": (LOGITS.astype("f4"), {}, 5),
    "float16": (LOGITS.astype("f2"), {}, 5),
}


@pytest.mark.parametrize("name", CASES)
def test_frequencies_are_those_of_the_softmax(name):
    logits, options, freedom = CASES[name]
    drawn = ce.sample(logits, N_DRAWS, rng=1, **options)
    p = ce.softmax(logits.astype(float), **options)
    statistic, n_possible = chi_square(drawn, p)
    assert n_possible == freedom + 1
    assert statistic < QUANTILE[freedom]
    p[[0, 2]] += [0.01, -0.01]  # a fault of one percent would be seen
    assert chi_square(drawn, p)[0] > QUANTILE[freedom]


FAULTS = {
    "noise reversed": lambda log: lambda e, out: np.negative(log(e, out=out), out=out),
    "noise too wide": lambda log: lambda e, out: np.multiply(log(e, out=out), 1.1, out=out),
    "no noise": lambda log: lambda e, out: np.multiply(e, 0.0, out=out),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_seen(fault, monkeypatch):
    monkeypatch.setattr(_sample.np, "log", FAULTS[fault](np.log))
    drawn = ce.sample(LOGITS, N_DRAWS, rng=1)
    monkeypatch.undo()
    assert chi_square(drawn, ce.softmax(LOGITS))[0] > QUANTILE[5]


def test_rows_and_draws_are_independent():
    z = np.log([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    first, second = ce.sample(z, N_DRAWS, rng=2).T
    joint = np.outer([0.5, 0.3, 0.2], [0.1, 0.1, 0.8]).ravel()
    assert chi_square(3 * first + second, joint)[0] < QUANTILE[8]
    pairs = 3 * first[0::2] + first[1::2]
    assert chi_square(pairs, np.outer([0.5, 0.3, 0.2], [0.5, 0.3, 0.2]).ravel())[0] < QUANTILE[8]


def test_a_linear_layer_draws_as_its_logits_do():
    x, w, b = RNG.normal(size=(7, 3)), RNG.normal(size=(5, 3)), RNG.normal(size=5)
    b[2] = -np.inf
    drawn = ce.linear_sample(x, w, N_DRAWS // 4, bias=b, rng=3)
    assert drawn.shape == (N_DRAWS // 4, 7)
    with np.errstate(invalid="ignore"):
        p = ce.softmax(x @ w.T + b)
    for column, row in zip(drawn.T, p, strict=True):
        statistic, n_possible = chi_square(column, row)
        assert n_possible == 4
        assert statistic < QUANTILE[3]


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_a_seed_gives_the_same_classes_in_any_memory(dtype, monkeypatch):
    x, w = RNG.normal(size=(2, 9, 3)).astype(dtype), RNG.normal(size=(20, 3)).astype(dtype)
    whole = ce.linear_sample(x, w, (2, 4), rng=4)
    assert whole.shape == (2, 4, 2, 9)
    for workspace in (1900, 3000, 20_000):
        part = ce.linear_sample(x, w, (2, 4), workspace_bytes=workspace, rng=4)
        np.testing.assert_array_equal(part, whole)
    z = RNG.normal(size=(9, 20)).astype(dtype)
    whole = ce.sample(z, (2, 4), rng=4)
    monkeypatch.setattr(_sample, "_BLOCK_BYTES", 3 * 8 * 20)
    np.testing.assert_array_equal(ce.sample(z, (2, 4), rng=4), whole)


def test_shapes_axes_and_generators():
    z = RNG.normal(size=(3, 5, 4))
    assert ce.sample(z, axis=1, rng=0).shape == (3, 4)
    assert ce.sample(z, 6, axis=1, rng=0).shape == (6, 3, 4)
    moved = np.moveaxis(z, 1, -1)
    np.testing.assert_array_equal(ce.sample(z, axis=1, rng=9), ce.sample(moved, rng=9))
    assert ce.sample(z, 0, axis=1, rng=0).shape == (0, 3, 4)
    assert ce.sample(z[:0], 2, axis=1, rng=0).shape == (2, 0, 4)
    assert isinstance(ce.sample([0.0, 1.0], rng=None), int)
    generator = np.random.default_rng(7)
    twice = [ce.sample(z, rng=generator) for _ in range(2)]
    assert (twice[0] != twice[1]).any()
    np.testing.assert_array_equal(twice[0], ce.sample(z, rng=np.random.default_rng(7)))


class Zeros(np.random.Generator):
    """A generator whose exponential numbers are all zero."""

    def standard_exponential(self, size=None, dtype=np.float64, method="zig", out=None):
        out[...] = 0.0
        return out


def test_noise_is_finite_even_where_the_generator_gives_zero():
    zeros = Zeros(np.random.PCG64(0))
    assert ce.sample([1.0, 2.0, -np.inf], rng=zeros) == 1


def test_memory_keeps_to_the_workspace():
    n, k = 1000, 5000  # 40 MB of float64 logits
    x, w = RNG.normal(size=(n, 3)).astype("f4"), RNG.normal(size=(k, 3)).astype("f4")
    for size, dtype in itertools.product((None, 3), ("f4", "f2")):
        given = x.astype(dtype), w.astype(dtype)
        tracemalloc.start()
        drawn = ce.linear_sample(*given, size, workspace_bytes=1 << 20, rng=0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= drawn.nbytes + (1 << 20) + (1 << 14)


ERRORS = [
    (lambda: ce.sample([[0.0], [np.nan]], rng=0), ValueError, "row 1 of the logits .* holds nan"),
    (lambda: ce.sample([[np.inf, 0.0]], rng=0), ValueError, "row 0 of the logits .* holds inf"),
    (lambda: ce.sample([[-np.inf, -np.inf]], rng=0), ValueError, "masked or at -inf"),
    (lambda: ce.sample([[0.0, 1.0]], where=[False, False], rng=0), ValueError, "masked or at -inf"),
    (lambda: ce.sample([0.0], -1, rng=0), ValueError, "size must not be negative, got -1"),
    (lambda: ce.sample([0.0], 1.5, rng=0), TypeError, "each of size must be one integer"),
    (lambda: ce.sample([0.0], rng="a"), TypeError, "rng must be a numpy.random.Generator"),
    (lambda: ce.sample([0.0], rng=-1), ValueError, "a seed must not be negative"),
    (lambda: ce.sample(1.0, rng=0), ValueError, "single number"),
    (lambda: ce.linear_sample([[1.0]], [[np.nan]], rng=0), ValueError, "holds nan"),
    (lambda: ce.linear_sample([[1.0]], [[1.0]], workspace_bytes=9, rng=0), ValueError, "at least"),
]


@pytest.mark.parametrize(("call", "error", "text"), ERRORS)
def test_errors_say_what_came(call, error, text):
    with pytest.raises(error, match=text):
        call()
