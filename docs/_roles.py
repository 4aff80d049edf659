"""In docstrings, :func:`name` and :class:`Name` become links to where the name is documented."""

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:func|class|meth|mod):`~?([\w.]+)`")


def link(role: re.Match[str]) -> str:
    """Return the role as a cross-reference in Markdown."""
    name = role.group(1)
    target = name if name.startswith("crossent.") else f"crossent.{name}"
    return f"[`{name}`][{target}]"


class Roles(griffe.Extension):
    """Rewrites the docstring of every object before its sections are parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for every object that was collected from the sources."""
        if obj.docstring is not None:
            obj.docstring.value = ROLE.sub(link, obj.docstring.value)
