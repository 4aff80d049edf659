"""The table that the tests of tensors go through: operations, their arguments, their arrays."""

from typing import Any, NamedTuple

import numpy as np
import torch

import crossent as ce
import crossent.torch as ct

N_CLASSES = 4


class Case(NamedTuple):
    """One operation: what it is differentiated in, and all that stays as it is."""

    name: str
    operation: str
    primals: tuple[str, ...]
    arguments: dict[str, Any]

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """The primals, leaves that ask for gradients."""
        return tuple(torch.tensor(TENSORS[name], requires_grad=True) for name in self.primals)

    def __call__(self, *primals: torch.Tensor) -> torch.Tensor:
        """Give the result for tensors."""
        given = dict(zip(self.primals, primals, strict=True))
        rest = {"bias": given.pop("bias")} if "bias" in given else {}
        return getattr(ct, self.operation)(*given.values(), **rest, **self.arguments)

    def on_arrays(self, *primals: np.ndarray) -> Any:
        """Give the result of the function on arrays."""
        arguments = as_arrays(self.arguments)
        if "bias" in self.primals:
            *primals, arguments["bias"] = primals
        return getattr(ce, self.operation)(*primals, **arguments)


def as_arrays(arguments: dict[str, Any]) -> dict[str, Any]:
    """Give arguments for the functions on arrays."""

    def of(value: Any) -> Any:
        if isinstance(value, ce.TopKTargets):
            return ce.TopKTargets(*map(of, value))
        return value.numpy() if isinstance(value, torch.Tensor) else value

    return {name: of(value) for name, value in arguments.items()}


_rng = np.random.default_rng(11)
TENSORS = {
    "logits": _rng.normal(0, 2, (3, N_CLASSES, 2)),
    "rows": _rng.normal(0, 2, (5, N_CLASSES)),
    "binary": _rng.normal(0, 2, (3, 5)),
    "inputs": _rng.normal(size=(2, 3)),
    "batch": _rng.normal(size=(3, 2, 5)),
    "weight": _rng.normal(size=(N_CLASSES, 5)),
    "bias": _rng.normal(size=N_CLASSES),
    "centers": _rng.normal(size=(5, 3)),
    "beta": 0.2 + _rng.random(5),
}
_labels = _rng.integers(0, N_CLASSES, (3, 2), dtype=np.int32)
_where = _rng.random((3, N_CLASSES, 2)) > 0.3
np.put_along_axis(_where, _labels[:, None], True, axis=1)

LABELS = torch.from_numpy(_labels)
WHERE = torch.from_numpy(_where)
SOFT = torch.from_numpy(_rng.random((3, N_CLASSES, 2)))
ROW_LABELS = torch.from_numpy(_rng.integers(0, N_CLASSES, 5))
FEW = ce.TopKTargets(
    torch.tensor([[[0, 2], [3, 1]], [[1, 0], [2, 3]], [[1, 2], [0, 3]]], dtype=torch.int32),
    torch.from_numpy(0.5 * _rng.random((3, 2, 2))),
)
FEW_AND_TAIL = FEW._replace(tail="uniform")
BINARY_LABELS = torch.from_numpy(_rng.integers(0, 2, (3, 5)))
BINARY_SOFT = torch.from_numpy(_rng.random((3, 5)))
BENT = {
    "label_smoothing": 0.1,
    "temperature": 1.3,
    "softcap": 3.0,
    "z_loss": 0.1,
    "class_weight": torch.tensor([0.5, 1.0, 2.0, 0.25], dtype=torch.float64),
}
BINARY_BENT = {
    "label_smoothing": 0.1,
    "temperature": 0.7,
    "class_weight": torch.tensor([0.5, 2.0], dtype=torch.float64),
    "sample_weight": torch.from_numpy(_rng.random((3, 5))),
}
WEIGHTED = {"sample_weight": torch.from_numpy(_rng.random((3, 2))), "where": WHERE}


def _logits(name: str, operation: str, **arguments: Any) -> Case:
    return Case(name, operation, ("logits",), {"axis": 1} | arguments)


def _loss(name: str, target: torch.Tensor = LABELS, **arguments: Any) -> Case:
    return _logits(f"cross_entropy, {name}", "cross_entropy", target=target, **arguments)


def _binary(name: str, target: torch.Tensor, **arguments: Any) -> Case:
    arguments = {"target": target} | arguments
    return Case(f"binary, {name}", "binary_cross_entropy", ("binary",), arguments)


def _linear(name: str, target: torch.Tensor, bias: bool = True, **arguments: Any) -> Case:
    primals = ("batch", "weight", "bias") if bias else ("batch", "weight")
    arguments = {"target": target} | arguments
    return Case(f"linear, {name}", "linear_cross_entropy", primals, arguments)


def _features(kind: str) -> Case:
    return Case(f"{kind} features", "gaussian_features", ("inputs", "centers", "beta"),
                {"kind": kind})  # fmt: skip


SOFTMAXES = [
    _logits("softmax", "softmax"),
    _logits("softmax, last axis", "softmax", axis=-1),
    _logits("softmax, masked", "softmax", where=WHERE),
    _logits("log_softmax", "log_softmax"),
    _logits("logsumexp", "logsumexp"),
    _logits("logsumexp, masked", "logsumexp", where=WHERE, keepdims=True),
]
LOSSES = [
    _loss("labels"),
    _loss("each row", reduction="none"),
    _loss("targets", SOFT, reduction="sum"),
    _loss("ignored", ignore_index=1, normalizer="count"),
    _loss("every option", **BENT, **WEIGHTED),
    _loss("every option, each row", SOFT, reduction="none", **BENT),
    _loss("top-k targets", FEW, reduction="none"),
    _loss(
        "top-k targets, every option",
        FEW_AND_TAIL,
        sample_weight=WEIGHTED["sample_weight"],
        where=torch.tensor([True, True, True, True])[:, None],
        **BENT,
    ),
    Case("cross_entropy, last axis", "cross_entropy", ("rows",), {"target": ROW_LABELS}),
    _binary("labels", BINARY_LABELS),
    _binary("every option, each row", BINARY_SOFT, reduction="none", **BINARY_BENT),
]
LINEAR = [
    _linear("labels", LABELS, bias=False),
    _linear("each row", LABELS, reduction="none"),
    _linear("targets", SOFT.transpose(1, 2), reduction="sum"),
    _linear("top-k targets", FEW_AND_TAIL),
    _linear("fixed bits", LABELS, deterministic=True),
    _linear(
        "every option",
        LABELS,
        sample_weight=WEIGHTED["sample_weight"],
        where=torch.tensor([True, True, True, True]),
        **BENT,
    ),
]
FEATURES = [_features("additive"), _features("radial")]
CASES = [*SOFTMAXES, *LOSSES, *LINEAR, *FEATURES]


def names(cases: list[Case]) -> list[str]:
    return [case.name for case in cases]
