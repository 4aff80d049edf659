"""Three lines of Python that show a failure: imports, data, the call."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..._typing import Array
from ._compare import Failure, shown
from ._example import Example
from ._subject import VARIABLES, Name, Subject


def program_of(subject: Subject, name: str, failure: Failure) -> tuple[str, ...]:
    """The three lines for a failure of a property."""
    if name == "rows at once":
        subject = replace(subject, rowwise=False)
    example = failure.example
    imports = subject.framework.imports
    if example.recipe and "as np" not in imports:
        imports += ", numpy as np"
    first = f"{imports}; {_import(subject)}"
    data = _data(subject, example)
    remark = _remark(failure)
    special = _SPECIAL.get(name)
    if special is not None:
        more, last = special(subject, example)
        return (first + _extra(name), data + more, last + remark)
    if failure.output in ("gradient", "inputs") and subject.derivative:
        return (first, data, _slope(subject, example) + remark)
    shown = f"print({_call(subject, example)})"
    if failure.output and len(subject.kind.outputs) > 1:
        returned = subject.returns or subject.kind.outputs
        place = returned.index(failure.output)
        shown = f"print({_call(subject, example)}[{place}])"
        if subject.kind.linear and place:
            shown = f"print({_call(subject, example)}[1][{place - 1}])"
    return (first, data, shown + remark)


def _import(subject: Subject) -> str:
    module, _, path = subject.home.partition(":")
    if not path:
        return f"f = {subject.name}  # the function judged"
    head, _, tail = path.partition(".")
    if tail:
        return f"from {module} import {head}; f = {path}"
    return f"from {module} import {head} as f"


def _extra(name: str) -> str:
    return "; from concurrent.futures import ThreadPoolExecutor" if name == "thread safety" else ""


def _data(subject: Subject, example: Example) -> str:
    parts = []
    for name, array in subject.arguments(example).items():
        text = subject.framework.literal(array)
        if name == "w" and example.weight is None:
            text = _unit(subject, array)
        elif name == "z" and example.recipe:
            text = example.recipe
        elif name == "t" and array.dtype == np.int64:
            text = _labels(subject, array)
        elif array.ndim > 1 and not array.size:
            text = _nothing(subject, array)
        if name == "z" and example.layout != "C":
            layouts = _TORCH_LAYOUTS if subject.framework.name == "torch" else _LAYOUTS
            text = layouts[example.layout].format(text)
        parts.append(f"{name} = {text}")
    return "; ".join(parts)


# How memory is laid out, as expressions of a contiguous array.
_LAYOUTS = {
    "Fortran": "np.asfortranarray({0})",
    "reversed": "np.flip(np.flip({0}).copy())",
    "strided": "np.repeat({0}, 2, axis=-1)[..., ::2]",
    "unaligned": "np.frombuffer(b'x' + (a := {0}).tobytes(), a.dtype, offset=1).reshape(a.shape)",
    "big-endian": "(a := {0}).astype(a.dtype.newbyteorder('>'))",
}
_TORCH_LAYOUTS = {
    "Fortran": "({0}).t().contiguous().t()",
    "strided": "({0}).repeat_interleave(2, -1)[..., ::2]",
}


def _labels(subject: Subject, array: Array) -> str:
    numbers = array.tolist()
    prefix = {"numpy": "np.array", "torch": "torch.tensor", "jax": "jnp.array"}
    return f"{prefix[subject.framework.name]}({numbers})"


def _unit(subject: Subject, array: Array) -> str:
    prefix = {"numpy": "np", "torch": "torch", "jax": "jnp"}[subject.framework.name]
    return f"{prefix}.eye({len(array)}, dtype={prefix}.{array.dtype.name})"


def _nothing(subject: Subject, array: Array) -> str:
    prefix = {"numpy": "np.zeros", "torch": "torch.zeros", "jax": "jnp.zeros"}
    return f"{prefix[subject.framework.name]}({array.shape})"


def _call(subject: Subject, example: Example, **other: str) -> str:
    """The call as it is made, with other variables in the place of some."""
    variables = [VARIABLES[role] for role in subject.order]
    each = [other.get(name, name) for name in variables]
    if subject.rowwise:
        lists = ".tolist()" if subject.lists else ""
        rows = ", ".join(f"{name}_i" for name in variables)
        taken = ", ".join(f"{name}{lists}" for name in each)
        pairs = taken if len(each) == 1 else f"zip({taken})"
        return f"[f({rows}{_keywords(subject, example)}) for {rows} in {pairs}]"
    if subject.lists:
        each = [f"{name}.tolist()" for name in each]
    return f"f({', '.join(each)}{_keywords(subject, example)})".replace("f(, ", "f(")


def _keywords(subject: Subject, example: Example) -> str:
    found = []
    for key, value in subject.parameters(example).items():
        found.append(f", {key}={value if isinstance(value, Name) else repr(value)}")
    return "".join(found)


def _number(subject: Subject, example: Example) -> str:
    first = "[..., 0]" if subject.kind.outputs == ("value",) else ""
    first = "" if subject.kind.name == "logsumexp" else first
    return f"{_call(subject, example)}{first}.sum()"


def _slope(subject: Subject, example: Example) -> str:
    number = _number(subject, example)
    if subject.framework.name == "jax":
        return f"print(jax.grad(lambda z: {number})(z))"
    return f"z.requires_grad_(); {number}.backward(); print(z.grad)"


def _remark(failure: Failure) -> str:
    if failure.compared:
        due, came = shown(failure.expected, failure.got)
        return f"  # at {failure.entry}: {due} is due, came {came}"
    return f"  # {failure.problem}"


def _unchanged(subject: Subject, example: Example) -> tuple[str, str]:
    copies = {"numpy": "copy", "torch": "clone"}[subject.framework.name]
    names = list(subject.arguments(example))
    kept = ", ".join(f"{name}.{copies}()" for name in names)
    return f"; before = [{kept}]", (
        f"{_call(subject, example)}; "
        f"print([bool((a == b).all()) for a, b in zip(before, [{', '.join(names)}])])"
    )


def _aliasing(subject: Subject, example: Example) -> tuple[str, str]:
    copies = {"numpy": "copy", "torch": "clone"}.get(subject.framework.name, "copy")
    part = "[0]" if len(subject.kind.outputs) > 1 else ""
    two = _call(subject, example, z="2 * z")
    return "", f"r = {_call(subject, example)}{part}; kept = r.{copies}(); {two}; print(r, kept)"


def _determinism(subject: Subject, example: Example) -> tuple[str, str]:
    turned = {VARIABLES[role]: f"{VARIABLES[role]}[::-1]" for role in subject.order
              if role != "weight"}  # fmt: skip
    call, other = _call(subject, example), _call(subject, example, **turned)
    if subject.framework.name == "torch":
        other = _call(subject, example, **{k: f"{k[:1]}.flip(0)" for k in turned})
    return "", f"print({call}, {other}, {call})"


def _threads(subject: Subject, example: Example) -> tuple[str, str]:
    first = f"g = lambda i: {_call(subject, example, z='z * (1 + i % 4)')}"
    alone = "alone = [repr(g(i)) for i in range(4)]"
    return f"; {first}; {alone}; import sys; sys.setswitchinterval(1e-6)", (
        "print(sum(repr(r) != alone[i % 4] for i, r in "
        "enumerate(ThreadPoolExecutor(8).map(g, range(20000)))))"
    )


def _batch(subject: Subject, example: Example) -> tuple[str, str]:
    rows = {VARIABLES[role]: f"{VARIABLES[role]}[i:i + 1]" for role in subject.order
            if role != "weight"}  # fmt: skip
    one = _call(subject, example, **rows)
    return "", f"print({_call(subject, example)}, *[{one} for i in range({len(example.logits)})])"


def _shift(subject: Subject, example: Example) -> tuple[str, str]:
    shift = 32 if np.abs(example.logits + 32).max() < np.abs(example.logits - 32).max() else -32
    base = f"z - {shift}" if shift > 0 else f"z + {-shift}"
    return "", f"print({_call(subject, example)}, {_call(subject, example, z=f'({base})')})"


def _traces(subject: Subject, example: Example) -> tuple[str, str]:
    state = "(np.geterr(), np.random.get_state()[1][:3])"
    world = state if subject.framework.name == "numpy" else "torch.get_rng_state()[:3]"
    return "", f"print({world}); {_call(subject, example)}; print({world})"


def _output(subject: Subject, example: Example) -> tuple[str, str]:
    extra = f", {subject.words['out']}=z)"
    return "", f"print({_call(subject, example)}, {_call(subject, example)[:-1]}{extra})"


_SPECIAL = {
    "input unchanged": _unchanged,
    "aliasing": _aliasing,
    "determinism": _determinism,
    "thread safety": _threads,
    "batch invariance": _batch,
    "same bits": _batch,
    "shift invariance": _shift,
    "side effects": _traces,
    "out": _output,
}
