"""``crossent derive``: softmax, cross-entropy and its gradient with the numbers of the call."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from ._options import CallError

__all__ = ["NUMBERS_ARE_ARGUMENTS", "derive"]

# What begins with a dash and is no option reaches the logits; `_number` tells -3 from --lable.
NUMBERS_ARE_ARGUMENTS = {"ignore_unknown_options": True}


def derive(
    logits: Annotated[
        list[str], typer.Argument(metavar="LOGIT", help="The logits, one for each class.")
    ],
    label: Annotated[
        int | None, typer.Option(metavar="CLASS", help="The right class, from 0.")
    ] = None,
    targets: Annotated[
        str | None,
        typer.Option(metavar="Y,Y,...", help="Instead of a label: a number for each class."),
    ] = None,
    temperature: Annotated[float, typer.Option(help="Divides the logits.")] = 1.0,
    smoothing: Annotated[
        float, typer.Option(help="The share of the target spread over all classes.")
    ] = 0.0,
    html: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write one self-contained page.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Derive softmax, cross-entropy and its gradient with your numbers, step by step.

    Each step is shown exactly and in float32, with the error in ulp: from the shift by the largest
    logit to the gradient, by the chain rule, by p - y and by a central difference. Without --label
    or --targets the Jacobian of softmax is the last step.
    """
    from ..report._derivation_text import print_derivation
    from ..report._derive import derive as derived
    from ._targets import output_file

    page = None if html is None else output_file(html, inputs=())
    numbers = [_number(text, "logits") for text in logits]
    wanted = None if targets is None else _list(targets)
    try:
        derivation = derived(
            numbers, label=label, targets=wanted, temperature=temperature, smoothing=smoothing
        )
    except ValueError as error:
        raise CallError(str(error)) from None
    if page is not None:
        _write_page(derivation, page)
    if as_json:
        typer.echo(derivation.to_json())
    elif page is None:
        print_derivation(derivation)


def _number(text: str, name: str) -> float:
    if re.match(r"-[-a-zA-Z]", text) and not re.fullmatch(r"-(inf|infinity|nan)", text.lower()):
        raise CallError(f"No such option: {text.partition('=')[0]} (--help lists them)")
    try:
        return float(text)
    except ValueError:
        raise CallError(f"{name}: {text!r} is not a number") from None


def _list(text: str) -> list[float]:
    """The numbers of --targets, separated by commas or blanks."""
    return [_number(part, "targets") for part in re.split(r"[,\s]+", text.strip()) if part]


def _write_page(derivation: Any, path: Path) -> None:
    from ..data._whole_file import whole_file
    from ..report._derivation_html import derivation_html

    page = derivation_html(derivation)
    with whole_file(path) as beside:
        beside.write_text(page, encoding="utf-8")
    typer.echo(f"written: {path}", err=True)
