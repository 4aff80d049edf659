"""The bits of a row depend on the row alone: not on threads, other rows, place or alignment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crossent import _kernels as kernels
from tests.kernels import calls, tables
from tests.kernels.tables import name_of
from tests.kernels.truth import Array, wide

# NumPy sums a block's rows by groups that depend on the block's shape.
native_only = pytest.mark.skipif(
    kernels.KERNELS == "numpy", reason="a promise of the compiled kernels"
)
SHAPES = [(67, 3), (67, 16), (33, 17), (19, 130), (4, 5000)]


@pytest.fixture
def threads():
    before = kernels.get_num_threads()
    yield kernels.set_num_threads
    kernels.set_num_threads(before)


@native_only
@pytest.mark.parametrize("dtype", tables.DTYPES, ids=name_of)
def test_number_of_threads(dtype: Any, threads) -> None:
    """Enough rows that the work really is shared."""
    for shape in [(40_000, 3), (3000, 100), (40, 10_000)]:
        for name, call in calls.all_calls(*shape, dtype).items():
            found = []
            for count in (1, 2, 4):
                threads(count)
                found.append(calls.results(call))
            assert found[0] == found[1] == found[2], (name, shape)


@native_only
@pytest.mark.parametrize("dtype", tables.WIDE_DTYPES, ids=name_of)
def test_number_of_threads_in_gaussian_features(dtype: Any, threads) -> None:
    """The gradients of centers and beta too, which are sums over all inputs."""
    for shape in [(700, 5, 40), (300, 150, 33)]:
        for name, call in calls.gaussian_calls(shape, dtype).items():
            found = []
            for count in (1, 2, 4):
                threads(count)
                found.append(calls.results(call))
            assert found[0] == found[1] == found[2], (name, shape)


def _moved(array: Array, offset: int) -> Array:
    """A copy that starts so many elements into a larger buffer."""
    buffer = np.zeros(array.size + offset, array.dtype)
    buffer[offset:] = array.reshape(-1)
    return buffer[offset:].reshape(array.shape)


def _together(call: calls.Call, pick: Array, offset: int) -> list[Array]:
    inputs = [_moved(array[pick], offset) for array in call.inputs]
    outputs = [_moved(np.zeros_like(array[pick]), offset) for array in call.outputs]
    call.run(*inputs, *outputs)
    return outputs


@native_only
@pytest.mark.parametrize("dtype", tables.DTYPES, ids=name_of)
def test_place_alignment_and_other_rows(dtype: Any) -> None:
    rng = np.random.default_rng(3)
    for shape in SHAPES:
        order = rng.permutation(shape[0])
        few = order[: max(1, shape[0] // 3)]
        for name, call in calls.all_calls(*shape, dtype).items():
            whole = _together(call, np.arange(shape[0]), 0)
            for pick, offset in [(order, 0), (few, 1), (few[:1], 3)]:
                for expected, found in zip(whole, _together(call, pick, offset), strict=True):
                    assert expected[pick].tobytes() == found.tobytes(), (name, shape, offset)


def _near_and_far(n_classes: int, dtype: Any) -> tuple[Array, Array, Array]:
    """Rows near 0, far from it, of both kinds, infinite and all alike; their labels and weights."""
    rng = np.random.default_rng(n_classes)
    z = 3 * rng.standard_normal((60, n_classes))
    z[20:30] += 95
    z[30] = np.linspace(-90, 90, n_classes)
    z[31, ::3] = -np.inf
    z[32, 0] = np.inf
    z[33] = 0
    z[34] = -31.9
    z[35] = 31.9
    z[36] = np.linspace(-31.9, 31.9, n_classes)
    labels = np.arange(len(z)) * 7 % n_classes
    weights = np.where(np.arange(len(z)) % 5 == 4, 1e-30, 0.7)
    return z.astype(dtype), labels, weights


@native_only
@pytest.mark.parametrize("n_classes", [3, 28, 29, 64, 130, 1100])
@pytest.mark.parametrize("dtype", tables.WIDE_DTYPES, ids=name_of)
def test_rows_near_zero_among_others_that_are_far(dtype: Any, n_classes: int) -> None:
    """A batch of near ones is walked once, the others twice; small factors take part in that."""
    z, labels, weights = _near_and_far(n_classes, dtype)

    def results(pick: Array) -> list[Array]:
        softmax, log_softmax, gradient = (np.empty_like(z[pick]) for _ in range(3))
        lse, loss = np.empty(len(pick), dtype), np.empty(len(pick))
        kernels.softmax_rows(z[pick], softmax)
        kernels.log_softmax_rows(z[pick], log_softmax)
        kernels.logsumexp_rows(z[pick], lse)
        given = (z[pick], labels[pick], weights[pick], 1e-3, calls.PLAIN)
        kernels.cross_entropy_rows(*given, loss, gradient)
        return [softmax, log_softmax, lse, loss, gradient]

    whole = results(np.arange(len(z)))
    for i in range(len(z)):
        for together, alone in zip(whole, results(np.array([i])), strict=True):
            np.testing.assert_array_equal(together[i], alone[0], err_msg=str(i))


@native_only
@pytest.mark.parametrize("n_classes", [3, 28, 29, 64, 130, 1100])
@pytest.mark.parametrize("dtype", tables.DTYPES, ids=name_of)
def test_columns_near_zero_among_others_that_are_far(dtype: Any, n_classes: int) -> None:
    """A few vectors of near ones are walked once, others twice: to the bits of each row alone."""
    z, labels, weights = _near_and_far(n_classes, dtype)

    def results(pick: Array, inner: int) -> list[Array]:
        by_rows = z[pick].reshape(-1, inner, n_classes)
        columns = np.ascontiguousarray(np.moveaxis(by_rows, 1, 2))
        softmax, log_softmax, gradient = (np.empty_like(columns) for _ in range(3))
        lse, loss = np.empty(len(pick), dtype), np.empty(len(pick))
        kernels.softmax_columns(columns, softmax)
        kernels.log_softmax_columns(columns, log_softmax)
        kernels.logsumexp_columns(columns, lse)
        given = (labels[pick], weights[pick], 1e-3, calls.PLAIN)
        kernels.cross_entropy_columns(columns, *given, loss, gradient)
        kernels.cross_entropy_columns(columns, *given, None, columns)
        assert columns.tobytes() == gradient.tobytes()
        turned = [
            np.moveaxis(a, 2, 1).reshape(-1, n_classes) for a in (softmax, log_softmax, gradient)
        ]
        return [turned[0], turned[1], lse, loss, turned[2]]

    rows = [
        np.empty_like(z),
        np.empty_like(z),
        np.empty(len(z), dtype),
        np.empty(len(z)),
        np.empty_like(z),
    ]
    for i in range(len(z)):
        one = [a[i : i + 1] for a in rows]
        kernels.softmax_rows(z[i : i + 1], one[0])
        kernels.log_softmax_rows(z[i : i + 1], one[1])
        kernels.logsumexp_rows(z[i : i + 1], one[2])
        given = (z[i : i + 1], labels[i : i + 1], weights[i : i + 1], 1e-3, calls.PLAIN)
        kernels.cross_entropy_rows(*given, one[3], one[4])
    every = np.arange(len(z))
    for pick, inner in [(np.resize(every, 300), 150), (every, 10), (np.repeat(every, 64), 64)]:
        for found, expected in zip(results(pick, inner), rows, strict=True):
            np.testing.assert_array_equal(wide(found), wide(expected[pick]), err_msg=str(inner))


STREAMED = [
    *("softmax", "log_softmax", "softmax_vjp", "log_softmax_vjp", "logsumexp_vjp"),
    "cross_entropy labels",
]


@native_only
@pytest.mark.parametrize(
    ("dtype", "n_classes"),
    [
        *((np.float32, 701), (np.float32, 20_001), (np.float32, 300_001)),
        *((np.float64, 701), (np.float64, 300_001), (np.float16, 20_001)),
    ],
    ids=str,
)
def test_results_that_pass_the_caches_by(dtype: Any, n_classes: int) -> None:
    """More than 64 MiB of results are stored in another way, and long rows wait elsewhere."""
    few = calls.all_calls(3, n_classes, dtype)
    pick = np.resize(np.arange(3), (1 << 26) // (n_classes * np.dtype(dtype).itemsize) + 3)
    for name in STREAMED:
        expected = _together(few[name], np.arange(3), 0)
        found = _together(few[name], pick, 1)
        for alone, among in zip(expected, found, strict=True):
            for i in range(3):
                assert (among[i::3] == alone[i]).all(), (name, i)


@pytest.mark.parametrize("dtype", tables.DTYPES, ids=name_of)
def test_in_place(dtype: Any) -> None:
    """A result may be the memory of the first argument."""
    for shape in [*SHAPES, (2, 5000)]:
        for name, call in calls.all_calls(*shape, dtype).items():
            if call.outputs[-1].shape != shape:
                continue
            expected = calls.results(call)
            first = call.inputs[0].copy()
            others = [np.zeros_like(array) for array in call.outputs[:-1]]
            call.run(first, *call.inputs[1:], *others, first)
            assert first.tobytes() == expected[-1], (name, shape)


@native_only
def test_instruction_sets_agree() -> None:
    """Between instruction sets differences stay within the bounds of accuracy."""
    native = pytest.importorskip("crossent._kernels._native")
    found = {}
    try:
        for isa in native.available_isas():
            native.use(isa)
            for name, call in calls.all_calls(20, 37, np.float32).items():
                found[isa, name] = np.frombuffer(calls.results(call)[0], call.outputs[0].dtype)
    finally:
        native.use(kernels.ISA)
    for (_, name), values in found.items():
        reference = found["baseline", name]
        scale = np.abs(reference).max()
        np.testing.assert_allclose(values, reference, rtol=1e-6, atol=2e-6 * scale, err_msg=name)
