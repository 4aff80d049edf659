"""How long `import crossent` takes beyond `import numpy`, in fresh interpreters."""

from __future__ import annotations

import statistics
import subprocess
import sys

LIMIT = 0.15  # seconds

TIMED = """
from time import perf_counter
import numpy
start = perf_counter()
import crossent
print(perf_counter() - start)
"""


def seconds_beyond_numpy(rounds: int = 11) -> float:
    """Return the median over fresh interpreters, after one that fills the file caches."""
    times = [
        float(subprocess.run([sys.executable, "-c", TIMED], capture_output=True, check=True).stdout)
        for _ in range(rounds + 1)
    ]
    return statistics.median(times[1:])
