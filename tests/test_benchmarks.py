"""The benchmarks measure right work, name who is missing, and render what they found."""

import csv
import pathlib
import types

import numpy as np
import pytest

from benchmarks import peers, render, rounds, run
from benchmarks.problems import (
    BACKWARD,
    CHOSEN,
    FAMILY,
    FULL,
    GAUSSIANS,
    KINDS,
    Problem,
    arrays,
    blocks,
)
from benchmarks.truth import error, right_results

SMALL = [
    *(
        Problem(name, (40, 7), dtype)
        for name in FAMILY + BACKWARD
        for dtype in ("float32", "float16")
    ),
    *(Problem(name, (4, 7, 5), "float64", axis=1) for name in FAMILY + BACKWARD),
    Problem("softmax", (40, 7), "bfloat16"),
    Problem("cross_entropy", (40, 7)),
    Problem("cross_entropy", (4, 7, 5), "float64", axis=1),
    Problem("binary_cross_entropy", (40,)),
    Problem("linear_cross_entropy", (40, 5, 7)),
    *(Problem(name, (40, 6, 5), kind=kind) for name in GAUSSIANS for kind in KINDS),
]


@pytest.fixture(scope="module")
def adapters():
    names = ("crossent_adapter", "copy_limit", "numpy_formula", "scipy_adapter")
    return peers.load(names)[0]


@pytest.mark.parametrize("problem", SMALL, ids=str)
def test_every_peer_gets_its_problem_right(problem, adapters):
    with np.errstate(all="ignore"):
        judged = list(run.judged_calls(problem, arrays(problem), adapters))
    ours = [row for row in judged if row["adapter"].NAME == "crossent"]
    assert ours
    assert all("call" in row for row in ours)
    others = [row for row in judged if row["adapter"].NAME != "SciPy"]  # which lacks bfloat16
    assert all("call" in row for row in others), others


def planted(change):
    """Return an adapter whose softmax is NumPy's in float64, changed."""

    def softmax(problem, given):
        e = np.exp(given["logits"].astype(np.float64))
        return {"fresh": lambda: change(e / e.sum(axis=1, keepdims=True))}

    return types.SimpleNamespace(NAME="planted", VERSION="0", softmax=softmax)


def off_by_a_thousandth(p):
    return p * 1.001


def last_row_forgotten(p):
    return np.concatenate([p[:-1], np.zeros_like(p[-1:])])


def one_nan(p):
    p[0, 0] = np.nan
    return p


@pytest.mark.parametrize("change", [off_by_a_thousandth, last_row_forgotten, one_nan])
def test_wrong_work_gets_no_time_and_is_named(change):
    problem = Problem("softmax", (40, 7))
    (row,) = run.rows_of(problem, [planted(change)], rounds=1)  # pyright: ignore
    assert "seconds" not in row
    assert row["note"].startswith("wrong")


def test_right_work_gets_a_time():
    (row,) = run.rows_of(Problem("softmax", (40, 7)), [planted(lambda p: p)], rounds=1)  # pyright: ignore
    assert float(row["seconds"]) > 0


def test_a_peer_that_raises_is_named():
    def refuse(_):
        raise TypeError("no such dtype\nand more")

    (row,) = run.rows_of(Problem("softmax", (40, 7)), [planted(refuse)], rounds=1)  # pyright: ignore
    assert row["note"] == "raised TypeError: no such dtype"


def test_a_table_is_updated_in_the_order_of_its_problems(tmp_path):
    problems = [*CHOSEN[:2], Problem("softmax", (64, 1000, 128), axis=1), FULL[-1]]

    def row(problem, seconds):
        named = problem._asdict() | {"shape": problem.size}
        return named | {"peer": "crossent", "seconds": seconds}

    path = tmp_path / "speed.csv"
    start = {"operation": "import", "peer": "crossent", "seconds": 1}
    run.write([start, *(row(p, 1) for p in (problems[0], *problems[2:]))], path, {"torch": "away"})
    found = run.updated(path, [row(p, 2) for p in problems[1:3]], problems)
    assert [r["operation"] for r in found] == ["import", *(p.operation for p in problems)]
    assert [int(r["seconds"]) for r in found] == [1, 1, 2, 2, 1]


@pytest.mark.parametrize("result", [0, 1])
def test_a_wrong_loss_and_a_wrong_gradient_are_seen(result):
    problem = Problem("cross_entropy", (3000, 700))  # more than is compared entry by entry
    data = arrays(problem)
    right = right_results(problem, data)
    from benchmarks import numpy_formula

    results = list(numpy_formula.cross_entropy(problem, data)["fresh"]())
    assert error(tuple(results), right) < 1e-5
    results[result] = results[result] * 1.01
    assert error(tuple(results), right) > 1e-3


def test_a_missing_library_is_named(monkeypatch):
    import importlib

    def missing(name, package=None):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(importlib, "import_module", missing)
    assert peers.load(("torch_adapter",)) == ([], {"torch_adapter": "torch is not installed"})


def test_a_fault_of_ours_is_not_taken_for_a_missing_library(monkeypatch):
    import importlib

    def missing(name, package=None):
        raise ModuleNotFoundError("No module named 'crossent.gone'", name="crossent.gone")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ModuleNotFoundError):
        peers.load(("torch_adapter",))


def test_rounds_take_turns():
    calls: list[str] = []
    both = {name: lambda name=name: calls.append(name) for name in ("a", "b")}
    times = rounds.take_turns(both, rounds=3, round_seconds=0)
    assert {name: time.rounds for name, time in times.items()} == {"a": 3, "b": 3}
    assert calls[-12:] == ["a", "a", "b", "b"] * 3  # each once untimed before


def test_slow_calls_have_fewer_rounds_and_are_not_called_before(monkeypatch):
    monkeypatch.setattr(rounds, "SLOW", -1.0)
    calls = []
    times = rounds.take_turns({"a": lambda: calls.append("a")}, rounds=7, round_seconds=0)
    assert times["a"].rounds == 3
    assert len(calls) == 1 + 3
    monkeypatch.setattr(rounds, "VERY_SLOW", -1.0)
    assert rounds.take_turns({"a": lambda: None}, rounds=7, round_seconds=0)["a"].rounds == 1


def test_blocks_cover_every_row_once_within_their_bytes():
    for kind, rows in [("additive", 20), ("radial", 100)]:  # 100 rows of 4 or 40 times 4 bytes
        problem = Problem("gaussian_features", (100, 10, 4), kind=kind)
        found = blocks(problem, 20 * 160)
        assert [part.start for part in found] == list(range(0, 100, rows))
        assert found[-1].stop == 100


def test_chosen_problems_are_some_of_all():
    assert set(CHOSEN) < set(FULL)
    assert len(set(FULL)) == len(FULL)
    assert len(set(CHOSEN)) == len(CHOSEN)


@pytest.mark.parametrize("shape", [(3, 5), (1000, 700)])  # on one thread, and on two
def test_the_limit_moves_every_byte(shape):
    from benchmarks import copy_limit

    data = arrays(Problem("softmax", shape))
    copied = copy_limit.softmax(Problem("softmax", shape), data)["fresh"]()
    np.testing.assert_array_equal(copied, data["logits"])
    both = arrays(Problem("softmax_vjp", shape))
    merged = copy_limit.softmax_vjp(Problem("softmax_vjp", shape), both)["fresh"]()
    bits = [both[name].view(np.uint32) for name in ("probabilities", "cotangent")]
    np.testing.assert_array_equal(merged.view(np.uint32), bits[0] | bits[1])


def speed_rows(tmp_path: pathlib.Path) -> list[render.Row]:
    def row(peer, mode, seconds, note=""):
        about = {"operation": "softmax", "shape": "16384x1000", "axis": -1, "dtype": "float32"}
        timed = {"peer": peer, "version": "1", "mode": mode, "seconds": seconds, "note": note}
        return about | timed

    rows = [
        row("crossent", "fresh", 0.02),
        row("crossent", "out", 0.01),
        row("copy", "fresh", 0.016),
        row("copy", "out", 0.008),
        row("torch", "fresh", 0.06),
        row("torch", "out", 0.025),
        row("SciPy", "fresh", "", "wrong, so it gets no time"),
    ]
    run.write(rows, tmp_path / "speed.csv", {"jax_adapter": "jax is not installed"})
    return render.read(tmp_path / "speed.csv")


def test_the_table_compares_like_with_like(tmp_path):
    _, _, line, *notes = render.speed_table(speed_rows(tmp_path))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:3] == ["softmax", "16384x1000", "float32"]
    assert cells[3:6] == ["10 ms", "20 ms", "1.25"]  # out=, fresh, out= over the limit
    assert cells[6:] == ["2.5", "-", "-", "3", "-", "-"]  # torch out=, NumPy, SciPy, torch, ...
    text = "\n".join(notes)
    assert "jax_adapter (jax is not installed)" in text
    assert "SciPy, softmax 16384x1000 -1 float32: wrong, so it gets no time" in text


def test_the_plot_holds_every_measured_peer(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is installed with the extra bench")
    from benchmarks import plot

    groups = render.groups(speed_rows(tmp_path))
    assert plot.points(groups, "softmax")["torch"] == {"16384x1000": 0.06 / 0.016}
    plot.speed(groups, tmp_path / "plot.svg")
    once = (tmp_path / "plot.svg").read_bytes()
    assert b"16384x1000" in once
    plot.speed(groups, tmp_path / "plot.svg")
    assert (tmp_path / "plot.svg").read_bytes() == once


def test_only_what_is_between_the_markers_is_replaced(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a:begin -->\nold\n<!-- a:end -->\nafter\n")
    for _ in range(2):
        render.put(page, "a", ["new"])
        assert page.read_text() == ("before\n<!-- a:begin -->\n\nnew\n\n<!-- a:end -->\nafter\n")
    with pytest.raises(ValueError, match="must hold one <!-- b:begin -->"):
        render.put(page, "b", ["new"])


def test_the_pages_have_their_markers(tmp_path):
    for page, name in [("performance", "speed"), ("performance", "plot"), ("accuracy", "accuracy")]:
        copy = tmp_path / f"{name}.md"
        copy.write_text((render.ROOT / "docs" / f"{page}.md").read_text())
        render.put(copy, name, ["found"])
        assert "found" in copy.read_text()


@pytest.fixture(scope="module")
def accuracy():
    pytest.importorskip("mpmath")
    from benchmarks import accuracy

    return accuracy


@pytest.mark.parametrize("name", ["one dominant 3 float32", "normal(0, 20) 10 float64"])
def test_accuracy_agrees_with_the_judge_of_the_package(accuracy, name):
    from crossent.verify import _reference as reference
    from crossent.verify._ulp import worst

    sample = next(s for s in accuracy.samples(10) if str(s) == name)
    sample = sample._replace(logits=sample.logits[:50], labels=sample.labels[:50])
    sample = sample._replace(classes=np.arange(sample.logits.shape[1]))
    right = accuracy.truths(sample)
    due = {family: getattr(reference, family)(sample.logits) for family in FAMILY}
    loss = reference.cross_entropy(sample.logits, sample.labels, reduction="none")
    for operation, value in {**due, "loss": loss.loss, "gradient": loss.gradient}.items():
        as_float = right[operation].value.astype(np.float64)
        assert worst(as_float, value._replace(scale=np.abs(value.value))).ulp <= 1, operation


def test_accuracy_sees_one_entry_that_is_off(accuracy):
    from benchmarks.accuracy_peers import of_crossent

    sample = next(s for s in accuracy.samples(10) if str(s) == "normal(0, 20) 10 float64")
    right = accuracy.truths(sample)
    results = of_crossent(sample.logits, sample.labels)
    found = {r["operation"]: float(r["ulp"]) for r in accuracy.judged(sample, right, "it", results)}
    assert max(found.values()) <= 3
    for name, result in results.items():
        off = result.copy()
        off.flat[-1] *= 1 + 100 * np.finfo(np.float64).eps
        (row,) = accuracy.judged(sample, right, "it", {name: off})
        assert float(row["ulp"]) > 20, name


def test_accuracy_table_takes_the_worst(tmp_path):
    def row(implementation, classes, ulp):
        about = {"operation": "softmax", "dtype": "float32", "data": "normal(0, 1)"}
        more = {"classes": classes, "implementation": implementation, "version": "1"}
        return about | more | {"ulp": ulp, "note": ""}

    absent = dict.fromkeys(("operation", "dtype", "data", "classes", "version", "ulp"), "")
    rows = [
        row("crossent avx2", "3", "1.5"),
        row("crossent avx2", "10", "1.25"),
        row("torch", "10", "4"),
        absent | {"implementation": "JAX", "note": "jax is not installed"},
    ]
    lines = render.accuracy_table(rows)
    assert lines[0] == "| operation | dtype | data | crossent avx2 | torch |"
    assert lines[2] == "| softmax | float32 | normal(0, 1) | 1.5 | 4 |"
    assert lines[-1] == "Absent: JAX (jax is not installed)."


def test_floors_are_computed_in_processes_of_their_own(accuracy):
    sample = next(accuracy.samples(3))
    results = accuracy.crossent_on("numpy", sample)
    assert results is not None
    assert set(results) == set(accuracy.OPERATIONS)


def test_results_are_tables_of_the_right_columns():
    for path in run.RESULTS.glob("speed*.csv"):
        with path.open(newline="") as file:
            assert set(run.COLUMNS) <= set(next(csv.reader(file)))
