"""Three operators of a loss E(x), its value, g G and <G, v>, and what each leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from ._batched_layers import LayersOfMembers
from ._batched_losses import all_at_once
from ._gradients import Needs, Tensors, known, nothing, scaled_gradients
from ._loss import LossArguments
from ._operator import primals_of
from ._tensors import not_differentiated

if TYPE_CHECKING:
    from ._loss_operators import LossOperators

__all__ = ["JvpRules", "LossRules", "Saved", "ValueRules", "VjpRules"]


class Saved(NamedTuple):
    """What a derivative is made of."""

    primals: Tensors
    loss: LossArguments


class LossRules:
    """What the operators of a loss share: x first, the loss's arguments among the rest."""

    takes: str  # which tensors come before these: "x" like the primals, "g" like the loss
    gives: str

    def __init__(self, name: str, family: LossOperators) -> None:
        self.family, self.n = family, family.n
        self.schema = self.signature(name)

    def signature(self, name: str) -> str:
        """The operator's name and types."""
        raise NotImplementedError

    def save(
        self, ctx: Any, primals: Tensors, loss: tuple[Any, ...], *others: torch.Tensor | None
    ) -> None:
        """Keep x, the truth and others for the derivatives; what is not asked for stays None."""
        tensors, ctx.options = loss[: LossArguments.N_TENSORS], loss[LossArguments.N_TENSORS :]
        ctx.save_for_backward(*primals, *tensors, *others)
        ctx.save_for_forward(*primals, *tensors, *others)
        ctx.set_materialize_grads(False)

    def batched(self, operator: Any, size: int, in_dims: Any, args: Any) -> Any:
        """The members of a batch in one call, None where that cannot be."""
        return all_at_once(operator, size, in_dims, args)

    def has_layers(self, args: Any) -> bool:
        """Whether ``of_layers`` gives the result of these arguments for layers of members."""
        return False

    def saved(self, ctx: Any, tensors: tuple[Any, ...]) -> tuple[Saved, tuple[Any, ...]]:
        """What was kept, and the others."""
        end = self.n + LossArguments.N_TENSORS
        loss = LossArguments(*tensors[self.n : end], *ctx.options)
        return Saved(tensors[: self.n], loss), tensors[end:]


class ValueRules(LossRules):
    """E, and G beside it where it will be wanted."""

    takes, gives = "x", "gx"

    def signature(self, name: str) -> str:
        results = ", ".join(["Tensor"] * (self.n + 1))
        primals = self.family.schema()
        return f"{name}({primals}, {LossArguments.SCHEMA}, bool[] needs) -> ({results})"

    def compute(self, *args: Any) -> tuple[torch.Tensor, ...]:
        primals, loss, needs = args[: self.n], LossArguments(*args[self.n : -1]), args[-1]
        formulas = self.family.formulas(primals[0])
        value, gradients = formulas.value_and_grad(primals, loss, needs)
        return value, *(nothing(primals[0]) if G is None else G for G in gradients)

    def fake(self, *args: Any) -> tuple[torch.Tensor, ...]:
        primals, loss, needs = args[: self.n], LossArguments(*args[self.n : -1]), args[-1]
        rows = self.family.on_cpu.row_shape(primals, loss)
        gradients = self.family.empty(primals, needs)
        value = loss.losses_like(primals[0], rows)
        return value, *(nothing(primals[0]) if G is None else G for G in gradients)

    def setup_context(self, ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
        self.save(ctx, inputs[: self.n], inputs[self.n : -1], *output[1:])
        ctx.mark_non_differentiable(*output[1:])

    def backward(self, ctx: Any, g: torch.Tensor | None, *_: Any) -> tuple[Any, ...]:
        saved, gradients = self.saved(ctx, ctx.saved_tensors)
        needs = ctx.needs_input_grad[: self.n]
        made = self.family.product(saved, gradients, g, needs)
        return *made, *(None,) * (len(LossArguments._fields) + 1)

    def jvp(self, ctx: Any, *tangents: torch.Tensor | None) -> tuple[Any, ...]:
        saved, _ = self.saved(ctx, primals_of(ctx))
        truth = tangents[self.n : self.n + LossArguments.N_TENSORS]
        for name, tangent in zip(LossArguments._fields, truth, strict=False):
            if tangent is not None:
                raise not_differentiated(name)
        value = self.family.jvp(*saved.primals, *tangents[: self.n], *saved.loss)
        return value, *(None,) * self.n

    def has_layers(self, args: Any) -> bool:
        """Of every layer."""
        return True

    def of_layers(self, tensors: Tensors, loss: LossArguments, needs: Needs) -> Any:
        """E of the members' logits."""
        z = LayersOfMembers(tensors).logits
        value = self.family.of_logits.value(z, *loss, [False])[0]
        return value, *(nothing(value) for _ in needs)


class VjpRules(LossRules):
    """g G, from G where it is known."""

    takes, gives = "xgx", "x"

    def signature(self, name: str) -> str:
        family = self.family
        return (
            f"{name}_vjp({family.schema()}, Tensor cotangent, {family.schema(needed='_gradient')}, "
            f"{LossArguments.SCHEMA}, bool[] needs) -> {family.several}"
        )

    def split(self, args: Any) -> tuple[Tensors, torch.Tensor, Tensors, tuple[Any, ...]]:
        n = self.n
        return args[:n], args[n], args[n + 1 : 2 * n + 1], args[2 * n + 1 : -1]

    def compute(self, *args: Any) -> Any:
        primals, g, gradients, rest = self.split(args)
        loss, needs = LossArguments(*rest), args[-1]
        if known(gradients, primals, needs):
            made = scaled_gradients(gradients, g, loss, needs)
        else:
            made = self.family.formulas(g).vjp(primals, g, loss, needs)
        return self.family.packed(made, g)

    def fake(self, *args: Any) -> Any:
        primals, g, _, _ = self.split(args)
        return self.family.packed(self.family.empty(primals, args[-1]), g)

    def setup_context(self, ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        primals, g, _, rest = self.split(inputs)
        ctx.needs = inputs[-1]
        self.save(ctx, primals, rest, g)
        several = (output,) if self.n == 1 else output
        empty = [made for made, need in zip(several, ctx.needs, strict=True) if not need]
        ctx.mark_non_differentiable(*empty)

    def backward(self, ctx: Any, *cotangents: torch.Tensor | None) -> tuple[Any, ...]:
        saved, (g,) = self.saved(ctx, ctx.saved_tensors)
        v = _only(cotangents, ctx.needs)
        if all(tangent is None for tangent in v):
            return (None,) * len(ctx.needs_input_grad)
        made = self.family.curvature(saved, v, g, ctx.needs_input_grad[: self.n])
        slope = None
        if ctx.needs_input_grad[self.n]:
            slope = self.family.jvp(*saved.primals, *v, *saved.loss)
        return *made, slope, *(None,) * (self.n + len(LossArguments._fields) + 1)

    def jvp(self, ctx: Any, *tangents: torch.Tensor | None) -> Any:
        saved, (g,) = self.saved(ctx, primals_of(ctx))
        along_g = (None,) * self.n
        along_x = self.family.curvature(saved, tangents[: self.n], g, ctx.needs)
        if tangents[self.n] is not None:
            unknown = [nothing(g)] * self.n
            along_g = self.family.product(saved, unknown, tangents[self.n], ctx.needs)
        made = tuple(map(_sum, along_x, along_g))
        return made[0] if self.n == 1 else made

    def has_layers(self, args: Any) -> bool:
        """Where G is not known already."""
        primals, _, gradients, _ = self.split(args)
        return not known(gradients, primals, args[-1])

    def of_layers(self, tensors: Tensors, loss: LossArguments, needs: Needs) -> Any:
        """g G by the gradient of the members' logits."""
        layers, g = LayersOfMembers(tensors[: self.n]), tensors[self.n]
        assert g is not None
        of_logits = self.family.of_logits.vjp(layers.logits, g, nothing(g), *loss, [True])
        return self.family.packed(layers.gradients(of_logits, needs), g)


class JvpRules(LossRules):
    """<G, v>, reduced as the loss is."""

    takes, gives = "xx", "g"

    def signature(self, name: str) -> str:
        family = self.family
        return (
            f"{name}_jvp({family.schema()}, {family.schema(optional='_tangent')}, "
            f"{LossArguments.SCHEMA}) -> Tensor"
        )

    def split(self, args: Any) -> tuple[Tensors, Tensors, tuple[Any, ...]]:
        return args[: self.n], args[self.n : 2 * self.n], args[2 * self.n :]

    def compute(self, *args: Any) -> torch.Tensor:
        primals, tangents, rest = self.split(args)
        return self.family.formulas(args[0]).jvp(primals, tangents, LossArguments(*rest))

    def fake(self, *args: Any) -> torch.Tensor:
        primals, _, rest = self.split(args)
        loss = LossArguments(*rest)
        return loss.losses_like(args[0], self.family.on_cpu.row_shape(primals, loss))

    def setup_context(self, ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        primals, tangents, rest = self.split(inputs)
        self.save(ctx, primals, rest, *tangents)

    def backward(self, ctx: Any, g: torch.Tensor | None) -> tuple[Any, ...]:
        saved, v = self.saved(ctx, ctx.saved_tensors)
        needs = ctx.needs_input_grad
        if g is None:
            return (None,) * len(needs)
        along_x = self.family.curvature(saved, v, g, needs[: self.n])
        unknown = [nothing(g)] * self.n
        along_v = self.family.product(saved, unknown, g, needs[self.n : 2 * self.n])
        return *along_x, *along_v, *(None,) * len(LossArguments._fields)

    def jvp(self, ctx: Any, *tangents: torch.Tensor | None) -> Any:
        saved, v = self.saved(ctx, primals_of(ctx))
        dx, dv = tangents[: self.n], tangents[self.n : 2 * self.n]
        slope = None
        if any(t is not None for t in dv):
            slope = self.family.jvp(*saved.primals, *dv, *saved.loss)
        if all(t is None for t in dx):
            return slope
        return _sum(slope, self._bend(saved, v, dx))

    def _bend(self, saved: Saved, v: Tensors, dx: Tensors) -> torch.Tensor:
        """<dx, H v>, reduced as the loss is; without a layer a row's is that of its own logits."""
        if self.n > 1:
            return self.family.bend(*saved.primals, *v, *dx, *saved.loss)
        loss, (z,), (direction,) = saved.loss, saved.primals, dx
        assert z is not None
        assert direction is not None
        like = loss.losses_like(z, self.family.on_cpu.row_shape(saved.primals, loss))
        (bent,) = self.family.curvature(saved, v, torch.ones_like(like), [True])
        assert bent is not None
        product = direction * bent
        if loss.reduction != "none":
            return product.sum().to(like.dtype)
        return product if product.ndim == like.ndim else product.sum(loss.axis)


def _only(values: Tensors, needs: Needs) -> Tensors:
    """None for what is an empty tensor in the place of nothing."""
    return tuple(v if need else None for v, need in zip(values, needs, strict=True))


def _sum(a: torch.Tensor | None, b: torch.Tensor | None) -> Any:
    return b if a is None else a if b is None else a + b
