"""The benchmarks of the linear layer: the products are the call's own, memory is measured apart."""

import csv
import threading
import types

import numpy as np
import pytest

import crossent as ce
from benchmarks import chunks, linear, linear_memory, pages, peers, products, render_linear, run
from benchmarks.problems import LINEAR, LINEAR_CHOSEN, Problem, arrays

SMALL = Problem("linear_cross_entropy", (600, 5, 7))


@pytest.fixture(scope="module")
def adapters():
    pytest.importorskip("threadpoolctl")
    return peers.load(("crossent_adapter", "products", "numpy_formula"))[0]


def test_products_are_those_of_the_call_and_are_made_again():
    data = arrays(SMALL)
    call = (data["inputs"], data["weight"], data["labels"])
    recorded = products.record(
        lambda: ce.linear_cross_entropy_value_and_grad(*call, workspace_bytes=4096)
    )
    assert recorded.operations == linear.operations(SMALL)
    made = [product for of_thread in recorded.of_threads for product in of_thread]
    assert len(made) > 3, "one block of rows only"
    outs = [product.out for product in made if product.out is not None]
    for out in outs:
        out.fill(np.nan)
    products.again(recorded)
    assert outs
    assert all(np.isfinite(out).all() for out in outs)


def test_threads_and_limits_of_the_products_are_kept():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    a = np.ones((8, 8), np.float32)

    def threaded():
        thread = threading.Thread(target=np.matmul, args=(a, a))
        thread.start()
        thread.join()
        np.matmul(a, a)

    def limited_and_threaded():
        with threadpoolctl.threadpool_limits(1, "blas"):
            threaded()

    with threadpoolctl.threadpool_limits(2, "blas"):  # whatever the environment allows
        limited, free = products.record(limited_and_threaded), products.record(threaded)
    for recorded, threads in ((limited, 1), (free, None)):
        assert [len(made) for made in recorded.of_threads] == [1, 1]
        assert recorded.blas_threads == threads
        products.again(recorded)


def test_products_that_are_not_seen_are_an_error(monkeypatch):
    def half(problem, given):
        return {"fresh": lambda: np.matmul(given["inputs"], given["weight"].T)}

    monkeypatch.setattr(products.crossent_adapter, "linear_cross_entropy", half)
    with pytest.raises(
        ValueError, match=r"42000 operations in matrix products, but 126000 are due"
    ):
        products.linear_cross_entropy(SMALL, arrays(SMALL))


def test_rows_say_time_rate_and_ratio(adapters, monkeypatch, tmp_path):
    monkeypatch.setattr(products, "SQUARE", 64)
    rows = {row["peer"]: row for row in linear.timed_rows(SMALL, adapters, rounds=1)}
    assert set(rows) == {"crossent", "its products", "NumPy formula", linear.SQUARE}
    assert all(float(row["gflops"]) > 0 for row in rows.values())
    assert float(rows["crossent"]["ratio"]) == 1.0
    linear.merge(rows.values(), tmp_path / "times.csv")
    changed = rows["crossent"] | {"seconds": "77"}
    linear.merge([changed], tmp_path / "times.csv")
    with (tmp_path / "times.csv").open(newline="") as file:
        held = list(csv.DictReader(file))
    assert [row["peer"] for row in held] == ["crossent", *sorted(set(rows) - {"crossent"})]
    assert held[0]["seconds"] == "77"


def test_a_peer_that_does_not_fit_is_named_and_not_called(adapters, monkeypatch):
    monkeypatch.setattr(linear_memory, "available_bytes", lambda: 1000)
    monkeypatch.setattr(products, "SQUARE", 64)
    rows = {row["peer"]: row for row in linear.timed_rows(SMALL, adapters, rounds=1)}
    assert rows["NumPy formula"]["note"].startswith("needs about 0 GB")
    assert "seconds" not in rows["NumPy formula"]
    assert "seconds" in rows["crossent"]


@pytest.mark.parametrize("result", [0, 1, 2])
def test_wrong_results_are_seen(result):
    problem = Problem("linear_cross_entropy", (3000, 4, 2000))  # more logits than one block

    def off(problem, given):
        from benchmarks import numpy_formula

        right = list(numpy_formula.linear_cross_entropy(problem, given)["fresh"]())
        right[result] = right[result] * 1.01
        return {"fresh": lambda: tuple(right)}

    planted = types.SimpleNamespace(NAME="planted", VERSION="0", linear_cross_entropy=off)
    (row,) = run.judged_calls(problem, arrays(problem), [planted])  # pyright: ignore
    assert row["note"].startswith("wrong")


def test_chunks_divide_the_rows_and_the_fastest_is_taken(monkeypatch):
    problem = Problem("linear_cross_entropy", (60_000, 784, 10))
    sizes = chunks.candidates(problem)
    assert len(sizes) > 1
    assert all(60_000 % size == 0 for size in sizes)
    taken = iter(range(1000))
    slow = {size: 1 + (size != sizes[1]) for size in sizes}

    def clock():
        return now[0] + 0 * next(taken)

    now = [0.0]
    monkeypatch.setattr(chunks.time, "perf_counter", clock)

    def with_chunk(rows):
        def call():
            now[0] += slow[rows]

        return call

    assert chunks.fastest(problem, with_chunk).rows == sizes[1]
    monkeypatch.setenv(chunks.GIVEN, "100")
    assert chunks.candidates(problem) == [100]


def test_memory_is_that_of_a_process_of_its_own(adapters):
    if linear_memory.peak_bytes(lambda: None) is None:
        pytest.skip("this system does not tell the peak")
    problem = Problem("linear_cross_entropy", (4000, 4, 2000))  # 32 MB of logits
    ours, _, plain = (linear_memory.peak_row(problem, adapter) for adapter in adapters)
    assert plain["peak_bytes"] > 2 * 32e6
    assert 0 < ours["peak_bytes"] < plain["peak_bytes"]


def test_a_process_that_fails_is_a_note():
    missing = types.SimpleNamespace(__name__="benchmarks.no_such_peer", NAME="it", VERSION="0")
    row = linear_memory.peak_row(SMALL, missing)  # pyright: ignore
    assert row["peak_bytes"] == ""
    assert row["note"]


@pytest.mark.parametrize("fixed", [0, 10**9])
@pytest.mark.parametrize("each", [600, 12_000, 150_000])
@pytest.mark.parametrize("most", [1e9, 100_000])
def test_the_largest_step_is_found(monkeypatch, fixed, each, most):
    """Whether memory ends the search, or a peer that fails sooner."""

    def at_most(what, adapter, problem, chunk):
        n_classes = problem.shape[2]
        return {"bytes": fixed + each * n_classes} if n_classes <= most else {"note": "no memory"}

    monkeypatch.setattr(linear_memory, "in_own_process", at_most)
    peer = types.SimpleNamespace(__name__="benchmarks.it", NAME="it", VERSION="0")
    n_classes = int(linear_memory.largest_row(peer)["shape"].split("x")[2])  # pyright: ignore
    due = min(most, (linear_memory.LIMIT - fixed) / each)
    assert 0.97 * due <= n_classes <= due


def test_chosen_shapes_are_some_of_all():
    assert set(LINEAR_CHOSEN) < set(LINEAR)
    assert linear.chosen_problems("all", "60000x784x10") == [LINEAR[0]]


def rows_of_a_table():
    def row(shape, peer, seconds, ratio, gflops="100"):
        told = {"shape": shape, "peer": peer, "seconds": seconds, "ratio": ratio, "note": ""}
        where = dict.fromkeys(("processor", "isa", "threads", "cores", "numpy", "date"), "1")
        return told | {"gflops": gflops, "peak_bytes": "3e6", "version": "1"} | where

    return [
        row("20000x100x1000", "crossent", "0.05", "1.000"),
        row("20000x100x1000", "its products", "0.04", "1.250", "250"),
        row("20000x100x1000", "torch", "0.2", "0.250"),
        row("20000x100x1000", "square product", "0.4", "", "380"),
        row("20000x100x1000", "NumPy formula", "", "") | {"note": "needs about 90 GB"},
        row("512x64x1000", "crossent", "0.001", "1.000"),
        row("512x64x100000", "crossent", "0.1", "1.000"),
        row("512x64x1000", "torch", "0.003", "0.333"),
    ]


def test_the_table_of_times():
    _, _, first, *rest = render_linear.times_table(rows_of_a_table())
    cells = [cell.strip() for cell in first.strip("|").split("|")]
    assert cells[:6] == ["20000 x 100 x 1000", "50 ms", "1.25", "100", "250", "380"]
    assert cells[6:] == ["-", "4", "-", "-", "-", "-", "-"]
    assert "- NumPy formula, 20000x100x1000: needs about 90 GB" in rest


def test_the_tables_of_memory():
    _, _, first, *_ = render_linear.peaks_table(rows_of_a_table())
    cells = [cell.strip() for cell in first.strip("|").split("|")]
    assert cells[:5] == ["20000 x 100 x 1000", "80", "8.4", "3", "3"]
    rows = [{"peer": "crossent", "shape": "1x1x3000"}, {"peer": "torch", "shape": "1x1x1500"}]
    assert render_linear.largest_table(rows)[-1] == "| torch | 1 500 | 2 |"


def test_the_plot_holds_what_differs_in_the_classes_alone(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is installed with the extra bench")
    times = render_linear.by_classes(rows_of_a_table(), "seconds")
    assert times == {"crossent": {1000: 0.001, 100_000: 0.1}, "torch": {1000: 0.003}}
    render_linear.plot_linear.against_classes(times, times, tmp_path / "plot.svg")
    assert b"torch" in (tmp_path / "plot.svg").read_bytes()


def test_the_page_has_its_markers(tmp_path):
    copy = tmp_path / "linear.md"
    copy.write_text((pages.ROOT / "docs" / "linear.md").read_text())
    for name in ("times", "peaks", "plot", "largest"):
        render_linear.put(copy, name, [f"found {name}"])
        assert f"found {name}" in copy.read_text()
