"""What a call may disturb beside its arguments: modes and random states."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

_SEED = 20_061_969


@contextmanager
def kept_random_states(framework: str) -> Iterator[None]:
    """Random states that nobody else would set, and the caller's again afterwards."""
    legacy: Any = np.random.get_state()  # noqa: NPY002 (put back as it was)
    state = random.getstate()
    np.random.seed(_SEED)  # noqa: NPY002
    random.seed(_SEED)
    try:
        if framework != "torch":
            yield
            return
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_SEED)
            yield
    finally:
        np.random.set_state(legacy)  # noqa: NPY002
        random.setstate(state)


def world(framework: str) -> dict[str, Any]:
    state: Any = np.random.get_state()  # noqa: NPY002 (watched, not used)
    found: dict[str, Any] = {
        "NumPy's error handling (np.seterr)": np.geterr(),
        "NumPy's global random state": (state[1].tobytes(), state[2:]),
        "the state of random": hash(random.getstate()),
    }
    if framework == "torch":
        import torch

        found["torch's default dtype"] = torch.get_default_dtype()
        found["torch's grad mode"] = torch.is_grad_enabled()
        found["torch's random state"] = torch.get_rng_state().numpy().tobytes()
    return found
