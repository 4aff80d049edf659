"""deterministic=True: the same bits for any workspace and any number of threads."""

import sys
import tracemalloc

import numpy as np
import pytest

import crossent as ce
from crossent import _kernels
from crossent.ops._linear._problem import linear_problem
from crossent.ops._linear._products import numpy_product
from crossent.ops._linear._value_and_grad import value_and_grad

threadpoolctl = pytest.importorskip("threadpoolctl")

RNG = np.random.default_rng(41)
SHAPES = [(700, 300, 40), (150, 64, 3000), (5000, 30, 3), (3, 700, 900)]


def problem(shape, dtype):
    n, d, k = shape
    x, w, b = (RNG.normal(size=size).astype(dtype) for size in ((n, d), (k, d), k))
    weights = np.where(RNG.random(n) < 0.2, 0.0, RNG.random(n))
    tangents = ce.LinearGradients(*(RNG.normal(size=a.shape).astype(dtype) for a in (x, w, b)))
    return (x, w, RNG.integers(0, k, n)), {"bias": b, "sample_weight": weights}, tangents


def bits(call):
    def flat(result):
        return b"".join(map(flat, result)) if isinstance(result, tuple) else result.tobytes()

    return flat(call)


@pytest.fixture
def threads():
    before = ce.get_num_threads()
    yield ce.set_num_threads
    ce.set_num_threads(before)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_same_bits(shape, dtype, threads):
    if dtype == "float16" and shape[1] > 64:
        pytest.skip("as many passes over the rows as the least workspace asks for: slow")
    given, options, tangents = problem(shape, dtype)
    least = max(4096, 64 * shape[2] * np.dtype(dtype).itemsize)
    found = set()
    for workspace, blas, own in ((None, 2, 2), (least, 1, 1), (50 * least, 2, 3), (least, 3, 2)):
        threads(own)
        call = {**options, "workspace_bytes": workspace, "deterministic": True}
        with threadpoolctl.threadpool_limits(blas, user_api="blas"):
            found.add(
                bits(ce.linear_cross_entropy_value_and_grad(*given, **call))
                + bits(ce.linear_cross_entropy_jvp(*given, tangents=tangents, **call))
                + bits(tuple(ce.linear_cross_entropy_hvp(*given, tangents=tangents, **call)))
            )
            assert blas in {pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
    assert len(found) == 1


def test_it_is_the_same_number_to_rounding():
    given, options, _ = problem(SHAPES[1], "float64")
    loss, gradients = ce.linear_cross_entropy_value_and_grad(*given, **options)
    found = ce.linear_cross_entropy_value_and_grad(*given, deterministic=True, **options)
    np.testing.assert_allclose(found[0], loss, rtol=1e-13)
    np.testing.assert_allclose(found[1].weight, gradients.weight, rtol=0, atol=1e-14)


def test_less_than_its_blocks_is_refused():
    given, options, _ = problem(SHAPES[1], "float32")
    with pytest.raises(ValueError, match="needs 768000 at least: deterministic=True keeps"):
        ce.linear_cross_entropy(*given, deterministic=True, workspace_bytes=767_999, **options)


def test_without_threadpoolctl_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    given = np.ones((1, 1)), np.ones((2, 1)), [0], None, None, {}
    with pytest.raises(ImportError, match=r'pip install "crossent\[threads\]"'):
        linear_problem(*given, numpy_product, deterministic=True)
    if _kernels.KERNELS == "native":  # their products need no BLAS
        assert ce.linear_cross_entropy(*given[:3], deterministic=True) > 0
    assert ce.linear_cross_entropy([[1.0]], [[1.0], [2.0]], [0]) > 0


@pytest.mark.parametrize("some", [False, True])
def test_few_classes_of_many_features_pass_a_tile_at_a_time_uncopied(some):
    x, w = RNG.normal(size=(2000, 784)), RNG.normal(size=(10, 784))
    weights = np.where(np.arange(2000) % 50 == 0, 0.0, 1.0) if some else None
    rows = []

    def product(a, b, out):
        if b.shape == (784, 10):
            rows.append(len(a))
        np.matmul(a, b, out=out)

    problem = linear_problem(
        x, w, RNG.integers(0, 10, 2000), None, 5120,
        {"sample_weight": weights}, product, deterministic=True,
    )  # fmt: skip
    value_and_grad(problem, ("weight",), None)
    rows.clear()
    tracemalloc.start()
    value_and_grad(problem, ("weight",), None)
    peak = tracemalloc.get_traced_memory()[1] - w.nbytes
    tracemalloc.stop()
    assert sum(rows) == 2000 - 40 * some
    assert len(rows) < 2000 / (8 if some else 24)
    assert peak < 10 * 6272  # Python's objects and NumPy's formulas; not 24 rows of inputs
