"""`crossent.bench` measures what it says; no test here depends on how fast the machine is."""

import numpy as np
import pytest

from crossent.bench import Measurement, _measure, measure, measure_together, peak_bytes

MEGABYTE = 1 << 20


@pytest.mark.parametrize("megabytes", [16, 64])
def test_peak_counts_what_the_call_holds(megabytes):
    peak = peak_bytes(lambda: np.ones(megabytes * MEGABYTE, np.uint8))
    if peak is None:
        pytest.skip("this system does not tell the peak memory of a process")
    assert megabytes * MEGABYTE <= peak + MEGABYTE  # pages that were there already are not new
    assert peak <= (megabytes + 8) * MEGABYTE


def test_peak_sees_what_is_freed_before_the_call_ends():
    def call():
        np.ones(64 * MEGABYTE, np.uint8)
        return 0

    peak = peak_bytes(call)
    assert peak is None or peak >= 60 * MEGABYTE


def test_a_call_that_holds_nothing_has_no_peak():
    held = np.ones(64 * MEGABYTE, np.uint8)
    peak = peak_bytes(lambda: held[0])
    assert peak is None or peak < 8 * MEGABYTE


def test_what_was_freed_before_the_call_does_not_count():
    blocks = [bytearray(5000) for _ in range(20_000)]
    last = blocks[-1]  # keeps the freed ones from going back to the system by themselves
    del blocks
    peak = peak_bytes(lambda: last[0])
    assert peak is None or peak < 8 * MEGABYTE


def test_without_proc_there_is_no_peak_and_no_error(monkeypatch, tmp_path):
    """As on Windows, where `CDLL(None)` is a TypeError."""

    def not_there(name):
        raise TypeError("argument of type 'NoneType' is not iterable")

    monkeypatch.setattr(_measure, "_CLEAR", tmp_path / "clear_refs")
    monkeypatch.setattr(_measure.ctypes, "CDLL", not_there)
    assert peak_bytes(lambda: None) is None
    assert measure(lambda: None, rounds=1, round_seconds=0).peak_bytes is None


def test_rounds_take_turns():
    calls: list[str] = []
    both = {name: lambda name=name: calls.append(name) for name in ("a", "b")}
    measured = measure_together(both, rounds=3, round_seconds=0)
    assert measured.keys() == {"a", "b"}
    assert calls[-6:] == ["a", "b"] * 3


def test_what_is_given_back():
    measured = measure(lambda: sum(range(100)), rounds=3, round_seconds=1e-3)
    assert isinstance(measured, Measurement)
    assert measured.seconds > 0


def test_a_failing_call_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        measure(lambda: 1 / 0)
