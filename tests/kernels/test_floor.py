"""Which floor is in use, and how it was compiled."""

from __future__ import annotations

import inspect
import os
import pathlib
import platform
import shutil
import subprocess
import sys

import pytest

from crossent import _kernels as kernels
from crossent._arguments import LossOptions
from crossent._kernels import _numpy

FLOORS = ("numpy", "baseline", "avx2", "avx512")
native_only = pytest.mark.skipif(kernels.KERNELS == "numpy", reason="asks about compiled kernels")
ENDINGS = (
    "_rows", "_columns", "_elements", "_label", "_outside", "_product", "_matrix", "_products",
    "_sum",
)  # fmt: skip
NAMES = [name for name in kernels.__all__ if name.endswith(ENDINGS)]


def _import(**environment: str) -> subprocess.CompletedProcess[str]:
    code = "from crossent import _kernels as k; print(k.KERNELS, k.ISA, k.get_num_threads())"
    clean = {k: v for k, v in os.environ.items() if not k.startswith("CROSSENT_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_numpy_floor_can_always_be_had() -> None:
    assert _import(CROSSENT_KERNELS="numpy").stdout == "numpy numpy 1\n"


@pytest.mark.parametrize("floor", FLOORS)
def test_a_forced_floor_is_that_floor_or_an_error(floor: str) -> None:
    found = _import(CROSSENT_KERNELS=floor)
    if found.returncode:
        assert f"ImportError: CROSSENT_KERNELS is '{floor}', but this" in found.stderr
        assert floor not in ("numpy", kernels.ISA)
    else:
        assert found.stdout.split()[:2] == ["numpy" if floor == "numpy" else "native", floor]


def test_an_unknown_floor_is_an_error() -> None:
    assert "must be one of numpy, baseline, avx2, avx512, got 'sse9'" in (
        _import(CROSSENT_KERNELS="sse9").stderr
    )


def test_the_number_of_threads_to_begin_with() -> None:
    assert _import(CROSSENT_NUM_THREADS="3").stdout.split()[2] == "3"
    for wrong in ("0", "-1", "two"):
        found = _import(CROSSENT_NUM_THREADS=wrong)
        assert f"CROSSENT_NUM_THREADS must be a positive integer, got '{wrong}'" in found.stderr


@native_only
def test_the_default_number_of_threads() -> None:
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("no affinity to ask for on this system")
    found = _import(CROSSENT_KERNELS=kernels.ISA).stdout
    assert found.split()[2] == str(len(os.sched_getaffinity(0)))


def test_both_floors_have_the_same_kernels() -> None:
    assert sorted(NAMES) == sorted(_numpy.__all__)


@native_only
def test_the_options_are_in_the_order_that_the_compiled_kernels_read() -> None:
    assert LossOptions._fields == (
        "label_smoothing",
        "temperature",
        "softcap",
        "z_loss",
        "class_weight",
        "mask",
    )


@native_only
@pytest.mark.parametrize("name", NAMES)
def test_signatures_agree(name: str) -> None:
    """As many arguments as NumPy's; one fewer or more is a TypeError, not a crash."""
    count = len(inspect.signature(getattr(_numpy, name)).parameters)
    for wrong in (count - 1, count + 1):
        with pytest.raises(TypeError, match="incompatible function arguments"):
            getattr(kernels, name)(*[None] * wrong)


NATIVE = pathlib.Path(__file__).resolve().parents[2] / "src" / "native"
FAMILIES = sorted(NATIVE.glob("*_kernels.cpp"))
FLAGS = {
    "baseline": [],
    "avx2": ["-mavx2", "-mfma", "-mf16c"],
    "avx512": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mf16c"],
}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="one instruction set on this machine")
@pytest.mark.skipif("CROSSENT_KERNELS" in os.environ, reason="one build has every floor")
@pytest.mark.parametrize("family", FAMILIES, ids=lambda path: path.stem)
@pytest.mark.parametrize("isa", FLAGS)
def test_no_instruction_set_leaks_into_another(
    isa: str, family: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """The kernels share no inline function: the linker could keep the copy old machines lack."""
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if compiler is None or shutil.which("nm") is None:
        pytest.skip("needs a C++ compiler and nm")
    made = tmp_path / "kernels.o"
    # Without optimisation every inline function that is called shows.
    options = ["-std=c++17", "-O0", "-w", "-fno-exceptions", f"-DCROSSENT_ISA={isa}", *FLAGS[isa]]
    subprocess.run([compiler, *options, "-c", family, "-o", made], check=True)
    listed = subprocess.run(
        ["nm", "--demangle", made], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    symbols = [line[17:].split(maxsplit=1) for line in listed]
    shared = {name for kind, name in symbols if kind not in "tTrRdDbB"}
    assert f"crossent::{isa}::{family.stem}" in {name for _, name in symbols}
    of_the_c_library = {"memcpy", "memset", "aligned_alloc", "free", "_GLOBAL_OFFSET_TABLE_"}
    assert shared <= of_the_c_library, "the linker may merge these"
