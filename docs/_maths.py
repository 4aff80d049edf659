"""Formulas become MathML while the pages are built: reading them needs no script, no network."""

import html
import re
from typing import Any

from latex2mathml.converter import convert

NAMED = re.compile(r"(<mi>(?:log|tanh)</mi>)")  # "log p", not "logp"
FORMULA = re.compile(r'<(div|span) class="arithmatex">\\[\[(](.*?)\\[\])]</\1>', re.DOTALL)


def mathml(latex: str, display: str) -> str:
    """Return a formula as MathML; a command that is not known is an error."""
    made = convert(latex, display=display)
    unknown = re.search(r">\\\w+", made)
    if unknown:
        raise ValueError(f"no MathML for {unknown.group()[1:]} in {latex.strip()}")
    return NAMED.sub(r'\1<mspace width="0.17em"/>', made)


def _replaced(found: re.Match[str]) -> str:
    tag, latex = found.groups()
    made = mathml(html.unescape(latex), "block" if tag == "div" else "inline")
    return f'<{tag} class="maths">{made}</{tag}>'


def on_page_content(text: str, **_: Any) -> str:
    """Called by MkDocs with the HTML of each page."""
    made = FORMULA.sub(_replaced, text)
    if 'class="arithmatex"' in made:
        raise ValueError("a formula is left in LaTeX: its HTML is not what was expected")
    return made
