"""NumPy, torch and JAX: arrays there and back, and the derivative by the framework's own means."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..._typing import Array

Call = Callable[[Any], Any]


class NumPy:
    """Arrays as they are."""

    name = "numpy"
    dtypes: tuple[str, ...] = ("float32", "float64", "float16")
    layouts: tuple[str, ...] = ("Fortran", "reversed", "strided", "unaligned", "big-endian")
    differentiates = False
    mutable = True
    imports = "import numpy as np"

    def to(self, array: Array) -> Any:
        """An array as the framework holds it, in memory of its own."""
        return array

    def back(self, result: Any) -> Array:
        """A result as a NumPy array; what another framework returned is not for this one."""
        if type(result).__module__.partition(".")[0] in ("torch", "jax", "jaxlib"):
            raise TypeError(f"the result is a {type(result).__module__}.{type(result).__name__}")
        return np.asarray(result)

    def gradient(self, number: Call, z: Any) -> Any:
        """d number / d z."""
        raise NotImplementedError

    def literal(self, array: Array) -> str:
        """The expression that makes an array."""
        return f"np.array({_numbers(array)}, {_dtype(array, 'np.')})"


class Torch(NumPy):
    """Tensors on the CPU."""

    name = "torch"
    dtypes = ("float32", "float64", "float16", "bfloat16")
    layouts = ("Fortran", "strided")
    differentiates = True
    imports = "import torch"

    def to(self, array: Array) -> Any:
        """The same memory as a tensor, by its bits for bfloat16."""
        import torch

        if array.dtype.name == "bfloat16":
            return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
        return torch.from_numpy(np.require(array, requirements="W"))

    def back(self, result: Any) -> Array:
        """A tensor as an array; other results as NumPy sees them."""
        import torch

        if not isinstance(result, torch.Tensor):
            return np.asarray(result)
        result = result.detach()
        if result.dtype == torch.bfloat16:
            import ml_dtypes

            return result.float().numpy().astype(ml_dtypes.bfloat16)
        return result.numpy()

    def gradient(self, number: Call, z: Any) -> Any:
        """By `backward`."""
        z = z.detach().clone().requires_grad_()
        number(z).backward()
        return z.grad

    def literal(self, array: Array) -> str:
        """The expression that makes a tensor."""
        return f"torch.tensor({_numbers(array)}, dtype={_dtype(array, 'torch.')})"


class Jax(NumPy):
    """JAX arrays, which nothing can change and which have no strides."""

    name = "jax"
    layouts = ()
    differentiates = True
    mutable = False
    imports = "import jax, jax.numpy as jnp"

    @property
    def dtypes(self) -> tuple[str, ...]:  # type: ignore[override]
        """Without jax_enable_x64 there is no float64."""
        import jax

        wide = ("float64",) if jax.config.read("jax_enable_x64") else ()
        return ("float32", *wide, "float16", "bfloat16")

    def to(self, array: Array) -> Any:
        """A device array."""
        import jax.numpy as jnp

        return jnp.asarray(np.ascontiguousarray(array).reshape(array.shape))

    def back(self, result: Any) -> Array:
        """A device array as an array."""
        return np.array(result)

    def gradient(self, number: Call, z: Any) -> Any:
        """By `jax.grad`."""
        import jax

        return jax.grad(number)(z)

    def literal(self, array: Array) -> str:
        """The expression that makes a JAX array."""
        return f"jnp.array({_numbers(array)}, {_dtype(array, 'jnp.')})"


def _numbers(array: Array) -> str:
    """The numbers of an array as nested lists, in the fewest digits that tell them."""
    if array.dtype.kind not in "iub":
        shortest = [float(str(number)) for number in array.ravel()]
        array = np.array(shortest).reshape(array.shape)
    text = repr(array.tolist())
    for name in ("inf", "nan"):
        text = text.replace(name, f"float('{name}')")
    return text


def _dtype(array: Array, prefix: str) -> str:
    name = array.dtype.newbyteorder("=").name
    return f"{prefix}bool" if name == "bool" and prefix == "torch." else (
        f"{prefix}bool_" if name == "bool" else f"{prefix}{name}"
    )  # fmt: skip


_LOADED: dict[str, type[NumPy]] = {"torch": Torch, "jax": Jax}
FRAMEWORKS: dict[str, type[NumPy]] = {"numpy": NumPy, **_LOADED}


def frameworks_of(function: Callable[..., Any]) -> list[NumPy]:
    """The frameworks a function may be written in, the likeliest first."""
    named = _mentioned(function)
    order = [name for name in _LOADED if name in named]
    rest = [name for name in _LOADED if name not in order and name in sys.modules]
    return [FRAMEWORKS[name]() for name in (*order, "numpy", *rest)]


def _mentioned(function: Any) -> set[str]:
    """Frameworks whose modules a function belongs to, or names in its code."""
    found = {str(getattr(function, "__module__", "")).partition(".")[0]}
    inner = getattr(function, "__wrapped__", function)
    found.add(str(getattr(inner, "__module__", "")).partition(".")[0])
    inner = getattr(inner, "func", inner)  # functools.partial
    code, outside = getattr(inner, "__code__", None), getattr(inner, "__globals__", {})
    for name in code.co_names if code else ():
        value = outside.get(name)
        home = getattr(value, "__module__", None) or getattr(value, "__name__", "")
        found.add(str(home).partition(".")[0])
    return found & set(_LOADED)
