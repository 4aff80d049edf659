"""How long a call takes and how much memory it needs at its highest."""

from ._measure import Measurement, measure, measure_together, peak_bytes

__all__ = ["Measurement", "measure", "measure_together", "peak_bytes"]
