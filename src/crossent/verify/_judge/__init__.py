"""The judge of anyone's function: one property a file's entry, one finding a property.

The way: `_recognise` finds out what a function is and how it is called (`_subject`, `_frameworks`,
`_kinds`); `_numeric`, `_long`, `_options`, `_labels`, `_calculus` and `_conduct` hold the
properties, each a table of `_example`s and a check; `_judge` takes the function through them,
`_shrink` makes the failing example small, `_program` writes the three lines that show it, and
`_report` tells.
"""

from ._check import check
from ._report import Finding, Rejected, Report

__all__ = ["Finding", "Rejected", "Report", "check"]
