"""The built documentation reads the same without a network: no page loads anything from outside."""

import pathlib
import re
import sys

LOADED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(?:https?:)?//[^"'\s>]+"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|preload|preconnect|icon))[^>]*\bhref=["']?(?:https?:)?//[^"'\s>]+"""
    r"""|url\(["']?(?:https?:)?//[^"')]+""",
    re.IGNORECASE,
)


def main(site: pathlib.Path) -> str | None:
    """Return the complaint naming every outside load found under `site`, or None."""
    pages = [p for p in site.rglob("*") if p.suffix in {".html", ".css"}]
    if not pages:
        return f"{site} holds no pages: build the documentation first (make docs)"
    found = [
        f"{page}: {hit.group()[:120]}"
        for page in pages
        for hit in LOADED.finditer(page.read_text(encoding="utf-8"))
    ]
    return "\n".join(["loaded from outside:", *found]) if found else None


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
