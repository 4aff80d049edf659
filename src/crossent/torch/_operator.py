"""What makes a function of arrays an operator of torch, with every derivative.

torch has two ways to add an operation. A registered operator is what ``torch.compile`` can see, but
it has no forward mode: its tangent would be a silent zero. An ``autograd.Function`` has reverse
mode, forward mode and vmap, but one with forward mode cannot be compiled. So each operation is
both, from one description: the compiler gets the first, everything else the second.
"""

from __future__ import annotations

from typing import Any

import torch
from torch._C import _functorch  # pyright: ignore[reportAttributeAccessIssue]
from torch._functorch.pyfunctorch import coerce_cinterpreter
from torch.autograd import forward_ad

from ._tensors import is_plain

__all__ = ["Operator", "differentiated_further", "is_final", "primals_of"]


class Operator:
    """A class of static methods, made an operation on tensors of any kind.

    The class has ``schema``, a name and torch's types; ``compute``, which takes plain tensors and
    returns new ones; ``fake``, which returns empty ones of the same shapes; ``batched``, which
    calls the operator once for a batch, or returns None where it cannot; and ``setup_context``,
    ``backward`` and ``jvp`` as ``autograd.Function`` has them. These are made of operators and
    torch's operations, so that they can be differentiated again.
    """

    def __init__(self, rules: Any) -> None:
        self.rules = rules
        self.__doc__ = rules.__doc__
        name, parenthesis, rest = rules.schema.partition("(")
        self.registered = torch.library.custom_op(
            f"crossent::{name}", self._compute_compiled, mutates_args=(), schema=parenthesis + rest
        )
        self.registered.register_fake(self._fake)
        self.registered.register_autograd(rules.backward, setup_context=rules.setup_context)
        self.registered.register_vmap(self._batched)
        derivatives = {"backward": rules.backward, "jvp": self._jvp}
        self.plain = _function(name, forward=self._forward_and_setup, **derivatives)
        self.functional = _function(
            name,
            forward=self._forward,
            setup_context=rules.setup_context,
            vmap=self._batched,
            **derivatives,
        )

    def __call__(self, *args: Any) -> Any:
        """Compute, or have whoever traces, differentiates or batches see the operation."""
        if torch.compiler.is_compiling():
            if _functionally_differentiated():
                torch._dynamo.graph_break(msg=_NOT_IN_A_GRAPH)
            return self.registered(*args)
        if is_final(*[arg for arg in args if isinstance(arg, torch.Tensor)]):
            return self.rules.compute(*args)
        if torch._C._are_functorch_transforms_active():
            return self.functional.apply(*args)
        return self.plain.apply(*args)

    def _forward(self, *args: Any) -> Any:
        plain = is_plain(*(arg for arg in args if isinstance(arg, torch.Tensor)))
        return self.rules.compute(*args) if plain else self.registered(*args)

    def _forward_and_setup(self, ctx: Any, *args: Any) -> Any:
        """Both at once, which torch calls with much less ado."""
        output = self._forward(*args)
        self.rules.setup_context(ctx, args, output)
        return output

    def _compute_compiled(self, *args: Any) -> Any:
        self._refuse_forward_mode()
        return self.rules.compute(*args)

    def _fake(self, *args: Any) -> Any:
        self._refuse_forward_mode()
        return self.rules.fake(*args)

    def _refuse_forward_mode(self) -> None:
        """The registered operator knows no tangents: say so before they are lost."""
        if forward_ad._current_level >= 0 and torch._C._is_fwd_grad_enabled():
            raise NotImplementedError(
                f"crossent::{self.rules.schema.partition('(')[0]} has no forward mode inside "
                "torch.compile: call torch.func.jvp (or jacfwd, hessian, dual_level) on a function "
                "that is not compiled"
            )

    def _jvp(self, ctx: Any, *tangents: Any) -> Any:
        """The tangent, in a way that keeps tangents of tangents: torch turns forward mode off."""
        with forward_ad._set_fwd_grad_enabled(True):
            return self.rules.jvp(ctx, *tangents)

    def _batched(self, info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Any, Any]:
        """A batch in one call, or where its members are too different each of them by itself."""
        made = self.rules.batched(self, info.batch_size, in_dims, args)
        return self._one_by_one(info.batch_size, in_dims, args) if made is None else made

    def _one_by_one(self, size: int, in_dims: tuple[Any, ...], args: Any) -> tuple[Any, Any]:

        def member(i: int) -> list[Any]:
            pairs = zip(args, in_dims, strict=True)
            return [arg.select(dim, i) if isinstance(dim, int) else arg for arg, dim in pairs]

        results = [self(*member(i)) for i in range(size)]
        if isinstance(results[0], torch.Tensor):
            return torch.stack(results), 0
        return tuple(map(torch.stack, zip(*results, strict=True))), (0,) * len(results[0])


_NOT_IN_A_GRAPH = (
    "crossent has no torch.func.grad, hessian or forward mode inside one graph of torch.compile, "
    "only vmap: leave fullgraph=True out, or call torch.func on a function that is not compiled"
)


def _functionally_differentiated() -> bool:
    """Whether torch.func does anything else than one vmap, seen as ``torch.compile`` sees it."""
    if not torch._C._are_functorch_transforms_active():
        return False
    innermost = coerce_cinterpreter(_functorch.peek_interpreter_stack())
    return innermost.key() != _functorch.TransformType.Vmap or innermost.level() > 1


def _function(name: str, **methods: Any) -> Any:
    statics = {key: staticmethod(method) for key, method in methods.items()}
    return type(name, (torch.autograd.Function,), statics)


def primals_of(ctx: Any) -> tuple[Any, ...]:
    """What was saved, as ``jvp`` needs it: without the tangents, which are given apart."""
    saved = ctx.saved_tensors
    return tuple(None if t is None else forward_ad.unpack_dual(t).primal for t in saved)


def differentiated_further() -> bool:
    """Whether somebody may differentiate, or batch, what is computed now."""
    return (
        torch.is_grad_enabled()
        or forward_ad._current_level >= 0
        or torch._C._are_functorch_transforms_active()
    )


def is_final(*tensors: torch.Tensor) -> bool:
    """Whether a result on the CPU is only a number: nobody traces, differentiates or batches it."""
    if forward_ad._current_level >= 0 or torch._C._are_functorch_transforms_active():
        return False
    recorded = torch.is_grad_enabled()
    for tensor in tensors:  # a loop: it stands in the way of every small call
        if not (is_plain(tensor) and tensor.is_cpu) or (recorded and tensor.requires_grad):
            return False
    return True
