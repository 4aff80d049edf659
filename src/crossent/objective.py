"""The data's way, composed: parameters -> features -> linear layer -> loss, and the gradient back.

Summed over batches of rows. Nothing else knows both features and loss. With S the total row weight,
``f = sum_i r_i E_i / S + |W|^2 / (2 C S)``, scikit-learn's ``C sum_i r_i E_i + |W|^2 / 2``
over C S.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._sparse import add_back_product, logits_of, turned
from ._typing import Array, Batch, Batches, Features
from ._vectors import are_equal, combined, dot
from .features import Coordinates, whitened
from .ops import (
    LinearGradients,
    cross_entropy_value_and_grad,
    linear_cross_entropy_value_and_grad,
)

__all__ = ["Evaluation", "Network", "NetworkLoss", "NetworkObjective"]


class NetworkLoss(NamedTuple):
    """What is asked of the logits.

    ``one_logit``: two classes by one row of weights, logits (0, u), as the first note has it.
    ``class_weight`` is float64 (K,); ``C`` is the inverse of the penalty, infinite for none.
    """

    n_classes: int
    one_logit: bool = False
    C: float = 1.0
    fit_intercept: bool = True
    class_weight: Array | None = None
    label_smoothing: float = 0.0
    workspace_bytes: int | None = None


class Network(NamedTuple):
    """Parameters by name: weight (R, n), bias (R,), and those of the features (P,); float64.

    R is K, or 1 for one logit. Gradients come in the same form.
    """

    weight: Array
    bias: Array
    features: Array


class Evaluation(NamedTuple):
    """A point, and what was found there: mean loss and its gradient, without the penalty."""

    parameters: Array
    network: Network
    loss: float
    gradient: Network


class NetworkObjective:
    """Penalised mean cross-entropy of a network, as a function of one flat vector.

    The vector holds coordinates of W, of b (where fitted), and the features' parameters, in this
    order. W and b are measured in ``coordinates``; without, in whitened ones (see `Coordinates`)
    found from the features at ``features_start``.

    Parameters
    ----------
    batches : Batches
        With labels below ``loss.n_classes``, or targets of that many columns.
    features : Features
    loss : NetworkLoss
    features_start : float64 (P,)
    class_mass : float64 (K,)
        Total row weight of each class, as `crossent.data.class_mass` finds it.
    coordinates : Coordinates, optional

    Attributes
    ----------
    ridge : float
        1 / (C S).
    targets : float64 (K,)
        sum_i r_i y_i / S, of the smoothed and weighted targets: what b answers for.
    n_rows : int
        R: rows of W.
    rounding : float
        Relative error of a value.

    Raises
    ------
    ValueError
        If no row has a positive weight.
    """

    def __init__(
        self,
        batches: Batches,
        features: Features,
        loss: NetworkLoss,
        features_start: Array,
        class_mass: Array,
        coordinates: Coordinates | None = None,
    ) -> None:
        self._batches, self.features, self.loss = batches, features, loss
        self.features_start = features_start
        self._total = float(class_mass.sum())
        self.ridge = 1.0 / (loss.C * self._total) if self._total > 0.0 else 0.0
        self.targets = _target_totals(loss, class_mass) / max(self._total, 1e-300)
        self.coordinates = self._whitened() if coordinates is None else coordinates
        self.n_rows = 1 if loss.one_logit else loss.n_classes
        self.rounding = 4.0 * float(np.finfo(batches.dtype).eps)
        self._at: Evaluation | None = None

    def _whitened(self) -> Coordinates:
        """Coordinates in which the loss at the start is curved about alike in all directions."""
        return whitened(
            self._batches,
            self.features,
            self.features_start,
            self._row_mass,
            curvature=1.0 / max(self.loss.n_classes, 4 if self.loss.one_logit else 3),
            ridge=self.ridge,
            centred=self.loss.fit_intercept,
        )

    # ------------------------------------------------------------ parameters

    def start(self) -> Array:
        """The flat vector of `start_network`."""
        return self.pack(self.start_network())

    def start_network(self) -> Network:
        """W = 0, b the logarithm of the classes' shares, and the features where they start."""
        weight = np.zeros((self.n_rows, self.features.n_features))
        with np.errstate(divide="ignore"):
            bias = np.log(self.targets)
        bias = np.where(np.isfinite(bias), bias, 0.0)
        bias = bias[1:] - bias[0] if self.loss.one_logit else bias - bias.mean()
        bias = bias if self.loss.fit_intercept else np.zeros(self.n_rows)
        return Network(weight, bias, self.features_start)

    def pack(self, network: Network) -> Array:
        """The flat vector of a network."""
        u, v = self.coordinates.inverse(network.weight, network.bias)
        return self._flat(u, v, network.features)

    def unpack(self, parameters: Array) -> Network:
        """The network of a flat vector."""
        u, v, features = self._parts(parameters)
        v = v if self.loss.fit_intercept else np.zeros(self.n_rows)
        return Network(*self.coordinates.weight_and_bias(u, v), features)

    def _flat(self, u: Array, v: Array, features: Array) -> Array:
        return np.concatenate([u.ravel(), v if self.loss.fit_intercept else v[:0], features])

    def _parts(self, flat: Array) -> tuple[Array, Array, Array]:
        """u (R, n), v (R,) or, without an intercept, (0,), and the features' (P,), as views."""
        n_weights = self.n_rows * self.features.n_features
        n_linear = n_weights + (self.n_rows if self.loss.fit_intercept else 0)
        u = flat[:n_weights].reshape(self.n_rows, -1)
        return u, flat[n_weights:n_linear], flat[n_linear:]

    # ------------------------------------------------------------ value and gradient

    def value_and_grad(self, parameters: Array) -> tuple[float, Array]:
        """f and its gradient, float64 (P,), in the flat vector."""
        at, flat = self.evaluated(parameters), np.empty(len(parameters))
        weight, slope = at.network.weight.reshape(1, -1), at.gradient.weight.ravel()
        combined(1.0, slope, np.array([self.ridge]), weight, flat[: len(slope)])
        u_grad, v_grad, features_grad = self._parts(flat)
        v_grad[:] = self.coordinates.vjp(u_grad, at.gradient.bias)[1][: len(v_grad)]
        features_grad[:] = at.gradient.features
        return at.loss + 0.5 * self.ridge * dot(weight, weight), flat

    def loss_and_grad(self, network: Network) -> tuple[float, Network]:
        """Mean loss without the penalty, and its gradient in W, b and the features' parameters."""
        if self._batches.is_sparse:
            return self._sparse_loss_and_grad(network)
        loss = 0.0
        gradient = Network(*(np.zeros_like(part) for part in network))
        for batch in self._batches:
            loss += self._add_dense(network, batch, gradient)
        for total in gradient:
            total /= self._total
        return loss / self._total, gradient

    def inputs_grad(self, network: Network, batch: Batch) -> Array:
        """Gradient of the mean loss in the inputs of a batch, (B, D)."""
        phi = self.features.values(network.features, batch.inputs)
        _, back = self._of_features(network, batch, phi, ("inputs",))
        features_grad = np.asarray(back.inputs) / self._total
        return self.features.inputs_vjp(network.features, batch.inputs, features_grad)

    def evaluated(self, parameters: Array) -> Evaluation:
        """Mean loss and gradient at a point, without the penalty; the last point is remembered."""
        if self._at is None or not are_equal(self._at.parameters, parameters):
            self._at = None  # which makes room for the next
            network = self.unpack(parameters)
            loss, gradient = self.loss_and_grad(network)
            self._at = Evaluation(parameters.copy(), network, loss, gradient)
        return self._at

    def _add_dense(self, network: Network, batch: Batch, gradient: Network) -> float:
        """The summed loss of a batch, whose gradients are added to those there are."""
        needs = ("inputs", "weight", "bias") if self.features.n_parameters else ("weight", "bias")
        phi, pull = self.features.forward(network.features, batch.inputs)
        loss, back = self._of_features(network, batch, phi, needs)
        first = self.loss.n_classes - self.n_rows  # the zeros of one logit are no parameters
        gradient.weight[...] += np.asarray(back.weight)[first:]
        gradient.bias[...] += np.asarray(back.bias)[first:]
        if back.inputs is not None:
            gradient.features[...] += pull(np.asarray(back.inputs))
        return loss

    def _of_features(
        self, network: Network, batch: Batch, phi: Array, needs: tuple[str, ...]
    ) -> tuple[float, LinearGradients]:
        """Summed loss of a batch's features, and what comes back through the linear layer."""
        weight, bias = self._logit_rows(network, phi.dtype)
        loss, gradients = linear_cross_entropy_value_and_grad(
            phi,
            weight,
            batch.target,
            bias=bias,
            needs=needs,
            workspace_bytes=self.loss.workspace_bytes,
            **self._loss_options(batch),
        )
        return float(loss), gradients

    def _sparse_loss_and_grad(self, network: Network) -> tuple[float, Network]:
        """As `loss_and_grad`, of sparse inputs that are the features themselves."""
        dtype = self._batches.dtype
        weight_t = turned(network.weight.astype(dtype, copy=False))
        bias = network.bias.astype(dtype)
        loss, bias_sums, sums = 0.0, np.zeros(self.n_rows), np.zeros(weight_t.shape)
        for batch in self._batches:
            z = logits_of(batch.inputs, weight_t, bias)
            if self.loss.one_logit:
                z = np.hstack([np.zeros_like(z), z])
            share = batch._replace(sample_weight=batch.sample_weight / self._total)
            of_batch, g = cross_entropy_value_and_grad(
                z, batch.target, out=z, **self._loss_options(share)
            )
            g = g[:, -self.n_rows :]
            add_back_product(batch.inputs, g, sums)
            bias_sums += g.sum(axis=0, dtype=np.float64)
            loss += float(of_batch)
        del weight_t  # before the sums are turned: there are never three of its size
        return loss, Network(turned(sums), bias_sums, np.zeros_like(network.features))

    def _loss_options(self, batch: Batch) -> dict[str, Any]:
        return {
            "sample_weight": batch.sample_weight,
            "class_weight": self.loss.class_weight,
            "label_smoothing": self.loss.label_smoothing,
            "reduction": "sum",
        }

    def _logit_rows(self, network: Network, dtype: np.dtype) -> tuple[Array, Array]:
        """W and b of all K logits, in the features' dtype."""
        weight, bias = network.weight.astype(dtype), network.bias.astype(dtype)
        if self.loss.one_logit:
            weight = np.concatenate([np.zeros_like(weight), weight])
            bias = np.concatenate([np.zeros_like(bias), bias])
        return weight, bias

    def _row_mass(self, batch: Batch) -> Array:
        """r s'' of each row: its weight times the sum of its smoothed and weighted targets."""
        class_weight, smoothing = self.loss.class_weight, self.loss.label_smoothing
        if class_weight is None:
            class_weight = np.ones(self.loss.n_classes)
        if batch.target.ndim == 1:
            own, mass = class_weight[batch.target], np.ones(len(batch.target))
        else:
            targets = batch.target.astype(np.float64)
            own, mass = targets @ class_weight, targets.sum(axis=1)
        spread = smoothing * class_weight.mean() * mass
        return batch.sample_weight * ((1.0 - smoothing) * own + spread)


def _target_totals(loss: NetworkLoss, class_mass: Array) -> Array:
    """sum_i r_i y''_i: what is asked of each class, smoothed and weighted, float64 (K,)."""
    smoothing = loss.label_smoothing
    totals = (1.0 - smoothing) * class_mass + smoothing * class_mass.sum() / loss.n_classes
    return totals if loss.class_weight is None else totals * loss.class_weight
