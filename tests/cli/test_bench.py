"""``crossent bench``: the right operations and libraries; nothing here depends on how fast."""

from __future__ import annotations

import json

import numpy as np
import pytest

from crossent.bench._compare import _arrays
from crossent.bench._libraries import installed

from .conftest import Run

ROWS = ["softmax", "log_softmax", "logsumexp", "cross_entropy, gradient"]


@pytest.mark.parametrize(
    ("shape", "operations"), [("6x4", ROWS), ("6x3x4", ["linear_cross_entropy, gradients"])]
)
def test_json_has_every_operation_of_crossent_and_its_peers(
    run: Run, shape: str, operations: list[str]
) -> None:
    result = run("bench", shape, "--rounds", "1", "--dtype", "float64", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["shape"] == [int(part) for part in shape.split("x")]
    assert found["dtype"] == "float64"
    assert found["build"]["threads"] >= 1
    names = [timing["operation"] for timing in found["timings"]]
    assert list(dict.fromkeys(names)) == operations
    for operation in operations:
        of_it = {t["library"]: t for t in found["timings"] if t["operation"] == operation}
        assert list(of_it)[:2] == ["crossent", "NumPy formula"]
        assert "JAX jit" not in of_it
        ours = of_it["crossent"]["seconds"]
        assert all(t["ratio"] == pytest.approx(t["seconds"] / ours) for t in of_it.values())


def test_text_names_the_shape_and_each_library(run: Run) -> None:
    result = run("bench", "5x3", "--rounds", "1")
    assert result.exit_code == 0, result.output
    assert "5x3 float32" in result.stdout
    assert all(name in result.stdout for name in (*ROWS, *installed()))


@pytest.mark.parametrize("shape", ["10", "0x3", "3x-1", "3x4x5x6", "ten", "3x"])
def test_a_shape_that_is_none_is_a_wrong_call(run: Run, shape: str) -> None:
    result = run("bench", shape)
    assert result.exit_code == 2
    assert f"expected NxK or NxnxK, as in 1000x10 or 1000x20x10, got {shape!r}" in result.stderr


@pytest.mark.parametrize("shape", [(7, 5), (7, 3, 5)])
def test_all_compute_the_same(shape: tuple[int, ...]) -> None:
    arrays = _arrays(shape, "float32")
    calls = {name: make(arrays) for name, (_, make) in installed().items()}
    for name, of_it in calls.items():
        assert set(of_it) <= set(calls["crossent"])
        for operation, call in of_it.items():
            due, got = _flat(calls["crossent"][operation]()), _flat(call())
            assert len(due) >= len(got) > 0
            for a, b in zip(due[::-1], got[::-1], strict=False):
                np.testing.assert_allclose(
                    b, a, rtol=1e-4, atol=1e-6, err_msg=f"{name} {operation}"
                )


def _flat(result: object) -> list[np.ndarray]:
    """The arrays of a result; torch gives gradients alone, and without a bias there is none."""
    if isinstance(result, tuple | list):
        return [array for part in result for array in _flat(part)]
    return [] if result is None else [np.asarray(result)]
