"""Modules with torch's constructors, defaults and class axis, computed by crossent."""

from __future__ import annotations

from typing import Any

import torch

from ._cross_entropy import cross_entropy
from ._gaussian_features import gaussian_features

__all__ = ["CrossEntropyLoss", "GaussianFeatures"]


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
    ) -> None:
        super().__init__(weight, size_average, ignore_index, reduce, reduction, label_smoothing)
        self.further: dict[str, Any] = {
            "temperature": temperature, "softcap": softcap, "z_loss": z_loss, "empty": empty,
        }  # fmt: skip

    def forward(
        self,
        input: torch.Tensor,
        target: torch.Tensor,
        sample_weight: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The loss of logits (N, K, ...) and labels (N, ...) or probabilities (N, K, ...)."""
        labels = target.ndim < input.ndim
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
            **self.further,
        )

    def extra_repr(self) -> str:
        """What differs from the plain loss."""
        return ", ".join(f"{name}={value!r}" for name, value in self.further.items())


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
