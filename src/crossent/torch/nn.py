"""Modules with torch's constructors, defaults and class axis, computed by crossent."""

from __future__ import annotations

from typing import Any

import torch

from .._arguments import TopKTargets
from ._cross_entropy import cross_entropy
from ._gaussian_features import gaussian_features
from ._linear_cross_entropy import linear_cross_entropy
from ._loss import has_labels
from ._module_groups import ModuleGroups, classes_here, layer_of_own, take_part

__all__ = ["CrossEntropyLoss", "GaussianFeatures", "LinearCrossEntropy"]


class CrossEntropyLoss(torch.nn.CrossEntropyLoss):
    """torch's ``CrossEntropyLoss``, with the same arguments, computed by crossent.

    ``E_i = l_i - z_it``, a mean over the rows by default.

    Parameters
    ----------
    weight : Tensor, shape (K,), optional
        One weight a class.
    size_average, reduce : optional
        torch's old names of ``reduction``.
    ignore_index : int
        Rows with this label are absent; -100, as in torch.
    reduction : {"mean", "sum", "none"}
    label_smoothing : float in [0, 1]
    temperature, softcap, z_loss, empty : optional
        What :func:`crossent.torch.cross_entropy` has beyond torch's module.
    process_group, data_group : torch.distributed.ProcessGroup, optional
        As in :func:`crossent.torch.cross_entropy`; ``weight`` has this rank's classes then.

    Notes
    -----
    The class axis is 1, or 0 for a single row. Integer targets may have any integer dtype, and are
    checked. Of targets that are probabilities, each row's smoothing spreads that row's own sum.

    Examples
    --------
    >>> import torch
    >>> from crossent.torch.nn import CrossEntropyLoss
    >>> criterion = CrossEntropyLoss(label_smoothing=0.1)
    >>> criterion(torch.zeros(2, 4), torch.tensor([0, 3]))
    tensor(1.3863)
    """

    def __init__(
        self,
        weight: torch.Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        *,
        temperature: float = 1.0,
        softcap: float | None = None,
        z_loss: float = 0.0,
        empty: str = "nan",
        process_group: Any = None,
        data_group: Any = None,
    ) -> None:
        super().__init__(weight, size_average, ignore_index, reduce, reduction, label_smoothing)
        self.groups = ModuleGroups(process_group, data_group)
        self.further: dict[str, Any] = {
            "temperature": temperature, "softcap": softcap, "z_loss": z_loss, "empty": empty,
        }  # fmt: skip

    def forward(
        self,
        input: torch.Tensor,
        target: torch.Tensor | TopKTargets,
        sample_weight: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The loss of logits (N, K, ...) and labels (N, ...) or probabilities (N, K, ...)."""
        labels = has_labels(target, input)
        return cross_entropy(
            input,
            target,
            axis=min(1, input.ndim - 1),
            class_weight=self.weight,
            sample_weight=sample_weight,
            ignore_index=self.ignore_index if labels else None,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
            normalizer="weight" if labels else "count",  # torch's own
            **self.groups.keywords,
            **self.further,
        )

    def extra_repr(self) -> str:
        """What differs from the plain loss."""
        return ", ".join(f"{name}={value!r}" for name, value in self.further.items())


class LinearCrossEntropy(torch.nn.Module):
    """A linear layer and the cross-entropy of its logits, which are never all held.

    ``z = inputs weight^T + bias``: torch's ``LinearCrossEntropyLoss``, computed by crossent.

    Parameters
    ----------
    in_features, num_classes : int
        n and K.
    bias : bool
        Whether the layer has a bias.
    device, dtype : optional
        Of the layer's parameters.
    reduction : {"mean", "sum", "none"}
    weight : Tensor, shape (K,), optional
        One weight a class.
    ignore_index : int, optional
        Rows with this label are absent; None is -100, as in torch.
    label_smoothing : float in [0, 1]
    tied : torch.nn.Linear or torch.nn.Embedding, optional
        A layer whose weight (and bias) is used instead of one of its own.
    temperature, softcap, z_loss, empty, workspace_bytes, deterministic : optional
        What :func:`crossent.torch.linear_cross_entropy` has beyond torch's module.
    process_group : torch.distributed.ProcessGroup, optional
        The ranks that hold the classes between them, in order: this module holds the rows of the
        layer that are this rank's. ``weight`` has all classes, and its part is taken here.
    local_classes : int, optional
        How many classes this rank holds; by default the classes are split evenly, the first ranks
        holding one more where there is a remainder.
    data_group : torch.distributed.ProcessGroup, optional
        As in :func:`crossent.torch.linear_cross_entropy`.

    Attributes
    ----------
    linear : torch.nn.Linear
        The layer, with the same names of parameters as in torch's module.
    classes : slice
        The classes whose rows are here.

    Notes
    -----
    Inputs are (N, n) or (n,), targets labels (N,), probabilities (N, K) or
    :class:`crossent.TopKTargets`. Over a process group labels count all classes, probabilities are
    those of this rank's; the state of a module that holds all classes can be loaded into one
    that holds some; each rank saves its own.

    Examples
    --------
    >>> import torch
    >>> from crossent.torch.nn import LinearCrossEntropy
    >>> head = LinearCrossEntropy(8, 1000)
    >>> head(torch.zeros(2, 8), torch.tensor([0, 999]))
    tensor(6.9078, grad_fn=<linear_cross_entropyBackward>)
    """

    weight: torch.Tensor | None

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        bias: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        reduction: str = "mean",
        weight: torch.Tensor | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        tied: torch.nn.Module | None = None,
        temperature: float = 1.0,
        softcap: float | None = None,
        z_loss: float = 0.0,
        empty: str = "nan",
        workspace_bytes: int | None = None,
        deterministic: bool = False,
        process_group: Any = None,
        local_classes: int | None = None,
        data_group: Any = None,
    ) -> None:
        super().__init__()
        self.groups, self.num_classes = ModuleGroups(process_group, data_group), num_classes
        self.classes = here = classes_here(num_classes, process_group, local_classes, device)
        place: dict[str, Any] = {"bias": bias, "device": device, "dtype": dtype}
        own = tied is None
        layer = layer_of_own(in_features, here, process_group, **place) if own else tied
        self.linear: Any = layer
        _check_layer(layer, in_features, here.stop - here.start)
        self.register_buffer("weight", None if weight is None else weight[here])
        self.register_load_state_dict_pre_hook(take_part)
        self.ignore_index = -100 if ignore_index is None else ignore_index
        self.options: dict[str, Any] = {
            "reduction": reduction, "label_smoothing": label_smoothing, "temperature": temperature,
            "softcap": softcap, "z_loss": z_loss, "empty": empty,
            "workspace_bytes": workspace_bytes, "deterministic": deterministic,
        }  # fmt: skip

    def forward(
        self,
        input: torch.Tensor,
        target: torch.Tensor | TopKTargets,
        sample_weight: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The loss of inputs (..., n) and labels (...) or probabilities (..., K)."""
        labels = has_labels(target, input)
        return linear_cross_entropy(
            input,
            self.linear.weight,
            target,
            bias=getattr(self.linear, "bias", None),
            class_weight=self.weight,
            sample_weight=sample_weight,
            ignore_index=self.ignore_index if labels else None,
            normalizer="weight" if labels else "count",  # torch's own
            **self.groups.keywords,
            **self.options,
        )

    def extra_repr(self) -> str:
        """The options, and which classes are here where not all are."""
        here = self.classes
        part = f"classes {here.start}...{here.stop - 1} of {self.num_classes}, "
        said = "" if here.stop - here.start == self.num_classes else part
        return said + ", ".join(f"{name}={value!r}" for name, value in self.options.items())


def _check_layer(layer: Any, in_features: int, n_classes: int) -> None:
    shape = tuple(layer.weight.shape)
    if shape != (n_classes, in_features):
        raise ValueError(
            f"the tied layer's weight has shape {shape}, but here in_features={in_features} and "
            f"num_classes={n_classes} ask for {(n_classes, in_features)}"
        )


class GaussianFeatures(torch.nn.Module):
    """Features that say how near each input lies to each of n trained centers.

    additive: ``phi_ij = sum_s exp(-beta_j (x_is - c_js)^2)``;
    radial: ``phi_ij = exp(-beta_j sum_s (x_is - c_js)^2)``.

    Parameters
    ----------
    in_features, out_features : int
        D and n.
    kind : {"radial", "additive"}
    device, dtype : optional
        Of the parameters.

    Notes
    -----
    The parameters are ``centers`` (n, D), drawn from a normal distribution, and ``log_beta`` (n,),
    whose exponential is beta, so that it stays positive; to begin with beta = 1 / D.

    Examples
    --------
    >>> import torch
    >>> from crossent.torch.nn import GaussianFeatures
    >>> features = GaussianFeatures(2, 5)
    >>> features(torch.zeros(3, 2)).shape
    torch.Size([3, 5])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        kind: str = "radial",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_features, self.out_features, self.kind = in_features, out_features, kind
        place: dict[str, Any] = {"device": device, "dtype": dtype}
        self.centers = torch.nn.Parameter(torch.empty(out_features, in_features, **place))
        self.log_beta = torch.nn.Parameter(torch.empty(out_features, **place))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the centers again, and set the widths to what they are to begin with."""
        torch.nn.init.normal_(self.centers)
        torch.nn.init.constant_(self.log_beta, -torch.tensor(float(self.in_features)).log().item())

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The features (..., n) of inputs (..., D)."""
        return gaussian_features(input, self.centers, self.log_beta.exp(), kind=self.kind)

    def extra_repr(self) -> str:
        """The sizes and the kind."""
        return f"{self.in_features}, {self.out_features}, kind={self.kind!r}"
