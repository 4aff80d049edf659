"""Who is measured: one adapter each, and a name for every one whose library is missing."""

from __future__ import annotations

import importlib
from types import ModuleType

from .machine import THREADS

ADAPTERS = (
    "crossent_adapter",
    "copy_limit",
    "numpy_formula",
    "scipy_adapter",
    "torch_adapter",
    "torch_compiled",
    "jax_adapter",
)


def load(names: tuple[str, ...] = ADAPTERS) -> tuple[list[ModuleType], dict[str, str]]:
    """Return the adapters whose library is installed, and what each other one lacks."""
    found: list[ModuleType] = []
    absent: dict[str, str] = {}
    for name in names:
        try:
            adapter = importlib.import_module(f".{name}", __package__)
        except ModuleNotFoundError as missing:
            if (missing.name or "").partition(".")[0] in ("crossent", "benchmarks"):
                raise  # that is a fault of ours, and no library that is not installed
            absent[name] = f"{missing.name} is not installed"
            continue
        if hasattr(adapter, "set_threads"):
            adapter.set_threads(THREADS)
        found.append(adapter)
    return found, absent
