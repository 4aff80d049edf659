"""Where logits come from: whole rows of them, or some classes at a time where these do not fit."""

from __future__ import annotations

from ._class_blocks import ClassBlocks
from ._layout import Layout
from ._problem import LinearProblem
from ._products import Products
from ._whole_rows import WholeRows

__all__ = ["logits_of"]


def logits_of(
    problem: LinearProblem, layout: Layout, products: Products
) -> WholeRows | ClassBlocks:
    """Losses and derivatives of a block of rows: `loss`, `gradient`, `jvp` and `hvp`."""
    whole = layout.class_block >= problem.n_classes
    return (WholeRows if whole else ClassBlocks)(problem, layout, products)
