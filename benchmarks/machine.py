"""Where a row was measured, and the two cores that it is measured on."""

from __future__ import annotations

import datetime
import os
import pathlib
import platform
import sys

import numpy as np

import crossent as ce

THREADS = 2


def keep_to_two_cores(module: str) -> None:
    """Start `python -m module` anew on two cores, where the process may use more.

    Libraries count the cores when they are loaded, so it is too late to tell them here.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > THREADS:
        os.sched_setaffinity(0, cores[:THREADS])
        os.execv(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]])
    ce.set_num_threads(THREADS)


def processor() -> str:
    """Return the processor's name as the system gives it."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def machine() -> dict[str, object]:
    """Return what every row says about where it was measured."""
    info = ce.build_info()
    return {
        "crossent": info["version"],
        "kernels": info["kernels"],
        "isa": info["isa"],
        "threads": info["threads"],
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "date": datetime.date.today().isoformat(),
    }
