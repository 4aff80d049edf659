"""Causal language models of Hugging Face transformers, trained without ever holding all logits."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import torch

from .._linear_cross_entropy import linear_cross_entropy

__all__ = ["patch", "unpatch"]


def patch(model: Any, *, workspace_bytes: int | None = None) -> Any:
    """Have a causal language model compute its own loss without all of its logits.

    While it trains and is given labels, the model's head is not applied to all tokens at once: its
    weight goes to :func:`crossent.torch.linear_cross_entropy` with what would have gone into it.
    The loss is the same, with the model's shift of labels, ``ignore_index`` and
    ``num_items_in_batch``; the output's ``logits`` are None. Without labels, and in evaluation, the
    model does what it did.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        With a linear head and a loss of its logits as they leave it. It is changed in place.
    workspace_bytes : int, optional
        Memory for blocks of logits, as in :func:`crossent.linear_cross_entropy`.

    Returns
    -------
    transformers.PreTrainedModel
        The model itself.

    Raises
    ------
    TypeError
        Where the model has no linear head or no loss function to be replaced.
    ValueError
        Where the model is patched already.
    NotImplementedError
        In the first step of training, where the model does something to its logits (a softcap, a
        scale) before it computes its loss.

    Examples
    --------
    >>> from crossent.torch.integrations.transformers import patch
    >>> patch("a name")
    Traceback (most recent call last):
    TypeError: model must be a model with a linear head and a loss_function, got str
    """
    find = getattr(model, "get_output_embeddings", None)
    head = None if find is None else find()
    if not isinstance(head, torch.nn.Linear) or not hasattr(model, "loss_function"):
        raise TypeError(
            "model must be a model with a linear head and a loss_function, "
            f"got {type(model).__name__}"
        )
    if "_crossent" in vars(model):
        raise ValueError("model is patched already: unpatch(model) undoes it")
    _Patch(model, head, workspace_bytes).apply()
    return model


def unpatch(model: Any) -> Any:
    """Undo :func:`patch`.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        A model that was patched.

    Returns
    -------
    transformers.PreTrainedModel
        The model itself.

    Raises
    ------
    ValueError
        Where the model is not patched.

    Examples
    --------
    >>> from crossent.torch.integrations.transformers import unpatch
    >>> unpatch(object())
    Traceback (most recent call last):
    ValueError: model is not patched
    """
    patched = getattr(model, "__dict__", {}).get("_crossent")
    if patched is None:
        raise ValueError("model is not patched")
    patched.undo()
    return model


class _Patch:
    """A model whose head, while its loss is computed, hands on what it is given."""

    def __init__(self, model: Any, head: torch.nn.Linear, workspace_bytes: int | None) -> None:
        self.model, self.head, self.workspace_bytes = model, head, workspace_bytes
        self.forward, self.head_forward = model.forward, head.forward
        names = [*inspect.signature(model.forward).parameters]
        self.place_of_labels = names.index("labels") if "labels" in names else len(names)
        self.handing_on = False
        self.given: torch.Tensor | None = None  # what the head was given last, while it hands on

    def apply(self) -> None:
        """Take the place of the model's ``forward`` and of its head's."""
        self.model._crossent = self
        self.model.forward = _InThePlaceOf(self.forward, self._forward)
        self.head.forward = _InThePlaceOf(self.head_forward, self._through_head)

    def undo(self) -> None:
        """Leave the model as it was."""
        del self.model.forward
        del self.head.forward
        del self.model._crossent

    def _forward(self, *args: Any, **kwargs: Any) -> Any:
        labels = kwargs.get("labels")
        if len(args) > self.place_of_labels:
            labels = args[self.place_of_labels]
        if labels is None or not self.model.training:
            return self.forward(*args, **kwargs)
        loss_function = self.model.loss_function
        self.handing_on, self.model.loss_function = True, self._loss
        try:
            outputs = self.forward(*args, **kwargs)
        finally:
            self.handing_on, self.given = False, None
            self.model.loss_function = loss_function
        if isinstance(outputs, tuple):  # loss and logits come first
            return (outputs[0], *outputs[2:])
        outputs.logits = None
        return outputs

    def _through_head(self, input: torch.Tensor) -> torch.Tensor:
        if not self.handing_on:
            return self.head_forward(input)
        self.given = input
        return input

    def _loss(
        self,
        logits: torch.Tensor,
        labels: torch.Tensor,
        vocab_size: int,
        num_items_in_batch: Any = None,
        ignore_index: int = -100,
        shift_labels: torch.Tensor | None = None,
        **_: Any,
    ) -> torch.Tensor:
        if logits is not self.given:
            raise NotImplementedError(
                f"{type(self.model).__name__} changes its logits between its head and its loss, "
                "which patch(model) cannot see: unpatch(model), and use "
                "crossent.torch.linear_cross_entropy with the option that does the same"
            )
        if shift_labels is None:  # a token is to be predicted by what stands before it
            shift_labels = torch.nn.functional.pad(labels, (0, 1), value=ignore_index)[..., 1:]
        normalizer = "weight" if num_items_in_batch is None else float(num_items_in_batch)
        return linear_cross_entropy(
            logits,
            self.head.weight,
            shift_labels.to(logits.device),
            bias=self.head.bias,
            ignore_index=ignore_index,
            normalizer=normalizer,
            workspace_bytes=self.workspace_bytes,
        )


class _InThePlaceOf:
    """A module's ``forward`` as an object, so that a copy of the module runs the copy.

    It has the signature of the one whose place it takes, which a Trainer reads.
    """

    def __init__(self, forward: Any, call: Any) -> None:
        self._call = call
        functools.update_wrapper(self, forward)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)
