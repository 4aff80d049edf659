"""A derivation as one HTML page that needs nothing else: styles inside, maths as MathML."""

from __future__ import annotations

import math
from typing import Any

from ._derivation import Derivation, Float32, Step
from ._spelling import short, short_ulp

__all__ = ["derivation_html"]

_DIGITS, _FLOAT32_DIGITS, _MATRIX_DIGITS = 15, 9, 4

_LATEX = {
    "logits": "z",
    "tempered": "u_k = z_k / T",
    "shift": r"u_k - a, \quad a = \max_c u_c",
    "exponentials": "e_k = e^{u_k - a}",
    "sum": r"S = \sum_c e_c",
    "probabilities": "p_k = e_k / S",
    "jacobian": r"\frac{\partial p_j}{\partial u_k} = p_j (\delta_{jk} - p_k)",
    "targets": "y_k",
    "log_probabilities": r"q_k = (u_k - a) - \log S",
    "loss": r"E = -\sum_k y_k q_k",
    "loss_by_probabilities": r"\frac{\partial E}{\partial p_k} = -\frac{y_k}{p_k}",
    "chain_rule": r"\frac{\partial E}{\partial z_k} = \frac{1}{T} \sum_j "
    r"\frac{\partial p_j}{\partial u_k} \frac{\partial E}{\partial p_j}",
    "gradient": r"\frac{\partial E}{\partial z_k} = \frac{s p_k - y_k}{T}, \quad s = \sum_c y_c",
    "central_difference": r"\frac{E(z_k + h) - E(z_k - h)}{2h}",
}
_SMOOTHED = r"y'_k = (1 - \epsilon) y_k + \epsilon s / K"
_BARS = ("exponentials", "probabilities", "chain_rule", "gradient")  # drawn, not only written


def derivation_html(derivation: Derivation) -> str:
    """Render a derivation: each step with its formula, its numbers and its picture.

    Parameters
    ----------
    derivation : Derivation

    Returns
    -------
    str
        The page; its heat map and its bars are styled cells, its formulas MathML.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__name__.rpartition(".")[0], "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = [f"{k} (label)" if k == derivation.label else str(k) for k in derivation.classes]
    steps = [_shown(step, names, derivation) for step in derivation.steps]
    template = environment.get_template("derivation.html")
    return template.render(derivation=derivation, names=names, steps=steps)


def _shown(step: Step, names: list[str], derivation: Derivation) -> dict[str, Any]:
    """What the template needs of one step."""
    from latex2mathml.converter import convert
    from markupsafe import Markup

    latex = _LATEX[step.name]
    if step.name == "targets" and derivation.smoothing:
        latex = _SMOOTHED
    shown = {
        "name": step.name,
        "title": step.title,
        "formula": Markup(convert(latex, display="block")),
        "compared": step.crossent_float32 is not None,
        "rows": [],
        "matrix": [],
        "error": "",
    }
    if isinstance(step.exact, str):
        sources = [(s.value, s.error) for s in _sources(step)]
        shown["rows"] = [_row("", step.exact, sources, None)]
    elif isinstance(step.exact[0], str):
        largest = max(abs(_approximate(entry)) for entry in step.exact) or 1.0
        for i, (name, exact) in enumerate(zip(names, step.exact, strict=True)):
            sources = [(s.value[i], s.error[i]) for s in _sources(step)]
            bar = _approximate(exact) / largest if step.name in _BARS else None
            shown["rows"].append(_row(name, exact, sources, bar))
    else:
        largest = max(abs(_approximate(entry)) for row in step.exact for entry in row) or 1.0
        rows = [[_cell(entry, largest) for entry in row] for row in step.exact]
        shown["matrix"] = list(zip(names, rows, strict=True))
        worst = max(error for row in step.formula_float32.error for error in row)
        shown["error"] = short_ulp(worst)
    return shown


def _sources(step: Step) -> list[Float32]:
    return [s for s in (step.formula_float32, step.crossent_float32) if s is not None]


def _row(
    name: str, exact: str, sources: list[tuple[float, float]], bar: float | None
) -> dict[str, Any]:
    """One class of a step; a bar is the share of the widest, negative to the left."""
    return {
        "name": name,
        "exact": short(exact, _DIGITS),
        "float32": [
            (short(value, _FLOAT32_DIGITS), short_ulp(error), error > 2) for value, error in sources
        ],
        "bar": None if bar is None else round(100 * abs(bar), 2),
        "sign": "down" if bar is not None and bar < 0 else "up",
    }


def _cell(entry: str, largest: float) -> dict[str, Any]:
    """One entry of the heat map: how strong its colour is, and which."""
    value = _approximate(entry)
    return {
        "text": short(entry, _MATRIX_DIGITS),
        "strength": round(100 * math.sqrt(abs(value) / largest)),  # small entries stay visible
        "sign": "down" if value < 0 else "up",
    }


def _approximate(entry: str) -> float:
    """The entry as a double, the largest one where it is larger."""
    value = float(entry)
    return value if math.isfinite(value) else math.copysign(1.7e308, value)
