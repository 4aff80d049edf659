"""What a function may be judged as: its arguments, what it returns, and how its name says so."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One sort of function: the roles of its arguments and the arrays it returns, in order.

    `cue` are groups of words; a function whose name has a word of each group is of this kind.
    """

    name: str
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    cue: tuple[tuple[str, ...], ...]

    @property
    def labelled(self) -> bool:
        """Whether it takes labels or targets."""
        return "target" in self.arguments

    @property
    def linear(self) -> bool:
        """Whether it makes its own logits of inputs and a weight."""
        return "weight" in self.arguments

    @property
    def product(self) -> bool:
        """Whether it is a derivative of the softmax family, given what the forward pass saved."""
        return "saved" in self.arguments


_LOSS = ("crossentropy", "nll", "celoss", "xent", "softmaxloss", "loss")
_GRADIENT = ("grad", "backward")
_PRODUCT = ("vjp", "backward", "grad")
_LOG_SOFTMAX = ("logsoftmax", "logprob")

# The more particular kinds first: the first whose cue is in a name is what the name says.
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "linear_cross_entropy_value_and_grad",
            ("inputs", "weight", "target"),
            ("loss", "inputs", "weight"),
            (("linear",), _LOSS, _GRADIENT),
        ),
        Kind(
            "linear_cross_entropy", ("inputs", "weight", "target"), ("loss",), (("linear",), _LOSS)
        ),
        Kind(
            "cross_entropy_value_and_grad",
            ("logits", "target"),
            ("loss", "gradient"),
            (_LOSS, ("valueandgrad", "lossandgrad", "withgrad", "forwardbackward")),
        ),
        Kind("cross_entropy_gradient", ("logits", "target"), ("gradient",), (_LOSS, _GRADIENT)),
        Kind("cross_entropy", ("logits", "target"), ("loss",), (_LOSS,)),
        Kind("log_softmax_vjp", ("saved", "cotangent"), ("value",), (_LOG_SOFTMAX, _PRODUCT)),
        Kind("softmax_vjp", ("saved", "cotangent"), ("value",), (("softmax",), _PRODUCT)),
        Kind("softmax_jacobian", ("saved",), ("value",), (("softmax",), ("jac",))),
        Kind("logsumexp", ("logits",), ("value",), (("logsumexp", "lse", "logaddexp"),)),
        Kind("log_softmax", ("logits",), ("value",), (_LOG_SOFTMAX,)),
        Kind("softmax", ("logits",), ("value",), (("softmax", "softargmax"),)),
    )
}


def kind_named(name: str) -> Kind:
    """The kind that was asked for."""
    if name not in KINDS:
        raise ValueError(f"like must be one of {', '.join(KINDS)}, got {name!r}")
    return KINDS[name]


def kinds_by_name(function_name: str) -> list[Kind]:
    """The kinds that a function's name may speak of, the likeliest first."""
    plain = function_name.lower().replace("_", "")
    return [
        kind
        for kind in KINDS.values()
        if all(any(word in plain for word in group) for group in kind.cue)
    ]


# Options of ours by the names that others give them.
OPTION_NAMES: dict[str, tuple[str, ...]] = {
    "axis": ("axis", "dim"),
    "where": ("where", "mask"),
    "out": ("out",),
    "reduction": ("reduction",),
    "temperature": ("temperature", "temp", "tau", "T"),
    "label_smoothing": ("label_smoothing", "smoothing"),
    "class_weight": ("class_weight", "class_weights", "weight"),
    "sample_weight": ("sample_weight", "sample_weights"),
    "ignore_index": ("ignore_index",),
    "softcap": ("softcap",),
    "z_loss": ("z_loss",),
    "bias": ("bias", "b", "linear_bias"),
}

# Arguments by the names that others give them.
ROLE_NAMES: dict[str, tuple[str, ...]] = {
    "target": ("target", "targets", "label", "labels", "y", "y_true", "t", "onehot", "one_hot"),
    "weight": ("weight", "weights", "w", "linear_weight", "kernel"),
    "inputs": ("inputs", "input", "features", "x", "phi", "hidden", "h", "embeddings"),
    "logits": ("logits", "logit", "z", "x", "scores", "input", "inputs", "a", "preds", "y_pred"),
    "cotangent": ("cotangent", "g", "grad", "grad_output", "dy", "upstream", "dout", "dp", "dq"),
    "saved": ("probabilities", "p", "probs", "s", "log_probabilities", "q", "logits", "z", "x"),
}
