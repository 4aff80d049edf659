"""Threads, forks, exits and a caller's floating-point settings change no result."""

from __future__ import annotations

import multiprocessing
import os
import platform
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

from crossent import _kernels as kernels

native_only = pytest.mark.skipif(
    kernels.KERNELS == "numpy", reason="NumPy's kernels have no threads of their own"
)
forking = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
LARGE = np.random.default_rng(0).normal(size=(2000, 200)).astype(np.float32)


def _softmax() -> bytes:
    out = np.empty_like(LARGE)
    kernels.softmax_rows(LARGE, out)
    return out.tobytes()


def _python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter, on the floor in use."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "CROSSENT_KERNELS": kernels.ISA, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


PRELUDE = """
import os, sys, threading
import numpy as np
from crossent import _kernels as kernels
kernels.set_num_threads(4)
z = np.random.default_rng(0).normal(size=(2000, 200)).astype(np.float32)
def work():
    out = np.empty_like(z)
    kernels.softmax_rows(z, out)
    return out.tobytes()
def n_threads():
    return len(os.listdir("/proc/self/task"))
"""


def test_several_python_threads_at_once() -> None:
    expected, found = _softmax(), []

    def repeat() -> None:
        found.extend(_softmax() for _ in range(20))

    threads = [threading.Thread(target=repeat) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80
    assert set(found) == {expected}


@forking
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_pool_of_processes_computes() -> None:
    expected = _softmax()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = [pool.apply_async(_softmax) for _ in range(4)]
        assert all(result.get(timeout=30) == expected for result in found)
    assert _softmax() == expected


@native_only
@forking
def test_a_child_computes_with_threads_of_its_own() -> None:
    """After the parent used the pool, while it uses it, and in a grandchild."""
    code = (
        PRELUDE
        + """
expected = work()
stop = False
def busy():
    while not stop:
        assert work() == expected
thread = threading.Thread(target=busy)
thread.start()
for attempt in range(20):
    child = os.fork()
    if child == 0:
        good = work() == expected and n_threads() == 4
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(0 if work() == expected else 1)
        good = good and os.waitpid(grandchild, 0)[1] == 0
        os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0, attempt
stop = True
thread.join()
print("done")
"""
    )
    if not os.path.isdir("/proc/self/task"):
        code = code.replace(" and n_threads() == 4", "")
    done = _python(code)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@forking
def test_exit_right_after_fork_is_clean() -> None:
    code = (
        PRELUDE
        + """
work()
child = os.fork()
if child == 0:
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
child = os.fork()
if child == 0:
    work()
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    )
    done = _python(code)
    assert (done.returncode, done.stderr) == (0, "")


def test_exit_while_threads_work_is_clean() -> None:
    code = (
        PRELUDE
        + """
def forever():
    while True:
        work()
for _ in range(3):
    threading.Thread(target=forever, daemon=True).start()
work()
"""
    )
    for _ in range(5):
        done = _python(code)
        assert (done.returncode, done.stderr) == (0, "")


@native_only
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="no /proc to count threads in")
def test_threads_start_only_where_there_is_work() -> None:
    code = (
        PRELUDE
        + """
assert n_threads() == before_import, "importing crossent started threads"
small = np.zeros((1, 10), np.float32)
kernels.softmax_rows(small, small)
assert n_threads() == before_import, "a small call started threads"
work()
assert n_threads() == before_import + 3
"""
    )
    code = code.replace(
        "from crossent import",
        'before_import = len(os.listdir("/proc/self/task"))\nfrom crossent import',
        1,
    )
    done = _python(code)
    assert done.returncode == 0, done.stderr


SET_CONTROL_WORD = """
import ctypes, mmap
# stmxcsr/ldmxcsr as two functions of a page of machine code: (uint32*) -> None, System V order
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(bytes([0x0F, 0xAE, 0x1F, 0xC3]).ljust(16, b"\\x90") + bytes([0x0F, 0xAE, 0x17, 0xC3]))
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
signature = ctypes.CFUNCTYPE(None, ctypes.POINTER(ctypes.c_uint32))
read, write = signature(address), signature(address + 16)
def control_word():
    word = ctypes.c_uint32()
    read(ctypes.byref(word))
    return word.value
"""


@native_only
@pytest.mark.skipif(
    platform.machine() != "x86_64" or sys.platform != "linux", reason="machine code of x86-64 Linux"
)
@pytest.mark.parametrize("setting", [0x8040, 0x6000], ids=["flush to zero", "round to zero"])
def test_the_callers_floating_point_settings(setting: int) -> None:
    """Flush-to-zero or another rounding changes no bit, in no thread, and is there afterwards."""
    code = (
        PRELUDE
        + SET_CONTROL_WORD
        + f"""
rng = np.random.default_rng(0)
z = (rng.normal(size=(2000, 200)) * 30 - 20).astype(np.float32)  # many subnormal probabilities
small = z[:2].copy()
def small_work():
    out = np.empty_like(small)
    kernels.softmax_rows(small, out)
    return out.tobytes()
expected = work(), small_work()
assert (np.frombuffer(expected[0], np.uint32) - 1 < 0x7fffff).any()
before = control_word()
write(ctypes.byref(ctypes.c_uint32(before | {setting})))
found = work(), small_work()
kept = control_word()
write(ctypes.byref(ctypes.c_uint32(before)))
assert kept & {setting} == {setting}, hex(kept)
assert found == expected
"""
    )
    done = _python(code)
    assert done.returncode == 0, done.stderr
