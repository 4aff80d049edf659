"""The two operators of a loss where it ends: g H v, and <u, H v> of a layer."""

from __future__ import annotations

from typing import Any

import torch

from ._loss import LossArguments
from ._loss_rules import LossRules

__all__ = ["BendRules", "HvpRules"]


class _LastRules(LossRules):
    """There is no third derivative, and who asks for one is told so."""

    def setup_context(self, ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.set_materialize_grads(False)

    def backward(self, ctx: Any, *_: Any) -> Any:
        raise NotImplementedError(self._beyond)

    def jvp(self, ctx: Any, *_: Any) -> Any:
        raise NotImplementedError(self._beyond)

    @property
    def _beyond(self) -> str:
        name = self.schema.partition("(")[0].rpartition("_")[0]
        return (
            f"crossent.torch.{name} has two derivatives, and a third was asked for: differentiate "
            "the loss of log_softmax(logits) instead, which has derivatives of any order"
        )


class HvpRules(_LastRules):
    """g H v."""

    takes, gives = "xxg", "x"

    def signature(self, name: str) -> str:
        family = self.family
        return (
            f"{name}_hvp({family.schema()}, {family.schema(optional='_tangent')}, "
            f"Tensor cotangent, {LossArguments.SCHEMA}, bool[] needs) -> {family.several}"
        )

    def compute(self, *args: Any) -> Any:
        n, needs = self.n, args[-1]
        primals, tangents, g = args[:n], args[n : 2 * n], args[2 * n]
        loss = LossArguments(*args[2 * n + 1 : -1])
        made = self.family.formulas(g).hvp(primals, tangents, g, loss, needs)
        return self.family.packed(made, args[0])

    def fake(self, *args: Any) -> Any:
        return self.family.packed(self.family.empty(args[: self.n], args[-1]), args[0])


class BendRules(_LastRules):
    """<u, H v> of a layer, for which H v alone is too little where losses are not reduced."""

    takes, gives = "xxx", "g"

    def signature(self, name: str) -> str:
        family = self.family
        tangents = (family.schema(optional=which) for which in ("_tangent", "_direction"))
        return (
            f"{name}_bend({', '.join((family.schema(), *tangents))}, {LossArguments.SCHEMA}) "
            "-> Tensor"
        )

    def compute(self, *args: Any) -> torch.Tensor:
        n = self.n
        rows = self.family.on_device.rows(args[:n], LossArguments(*args[3 * n :]))
        return rows.bend(args[n : 2 * n], args[2 * n : 3 * n])

    def fake(self, *args: Any) -> torch.Tensor:
        loss = LossArguments(*args[3 * self.n :])
        return loss.losses_like(args[0], self.family.on_cpu.row_shape(args[: self.n], loss))
