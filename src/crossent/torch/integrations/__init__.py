"""Crossent's losses in the models of other libraries, one library a module."""

from __future__ import annotations

__all__: list[str] = []
