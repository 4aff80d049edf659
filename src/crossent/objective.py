"""The data's way, composed: parameters -> features -> linear layer -> loss, and the gradient back.

Summed over batches of rows. Nothing else knows both features and loss. With S the total row weight,
``f = sum_i r_i E_i / S + |W|^2 / (2 C S)``, scikit-learn's ``C sum_i r_i E_i + |W|^2 / 2``
over C S.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._typing import Array, Batch, Batches, Features
from .features import whitened
from .ops import linear_cross_entropy_value_and_grad

__all__ = ["Network", "NetworkLoss", "NetworkObjective"]


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


class _Evaluation(NamedTuple):
    """A point, and what was found there: mean loss and its gradient, without the penalty."""

    parameters: Array
    network: Network
    loss: float
    gradient: Network


class NetworkObjective:
    """Penalised mean cross-entropy of a network, as a function of one flat vector.

    The vector holds coordinates of W, of b (where fitted), and the features' parameters, in this
    order. W and b are measured in whitened coordinates (see `Coordinates`) found from the
    features at ``features_start``.

    Parameters
    ----------
    batches : Batches
        With labels below ``loss.n_classes``, or targets of that many columns.
    features : Features
    loss : NetworkLoss
    features_start : float64 (P,)
    class_mass : float64 (K,)
        Total row weight of each class, as `crossent.data.class_mass` finds it.

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
    ) -> None:
        self._batches, self._features, self._loss = batches, features, loss
        self._features_start = features_start
        self._total = float(class_mass.sum())
        self._ridge = 1.0 / (loss.C * self._total) if self._total > 0.0 else 0.0
        self._targets = _target_totals(loss, class_mass) / max(self._total, 1e-300)
        self._coordinates = whitened(
            batches,
            features,
            features_start,
            self._row_mass,
            curvature=1.0 / max(loss.n_classes, 4 if loss.one_logit else 3),
            ridge=self._ridge,
            centred=loss.fit_intercept,
        )
        self._n_rows = 1 if loss.one_logit else loss.n_classes
        self._at: _Evaluation | None = None
        self._origin: Array | None = None

    # ------------------------------------------------------------ parameters

    def start(self) -> Array:
        """W = 0, b the logarithm of the classes' shares, and the features where they start."""
        weight = np.zeros((self._n_rows, self._features.n_features))
        with np.errstate(divide="ignore"):
            bias = np.log(self._targets)
        bias = np.where(np.isfinite(bias), bias, 0.0)
        bias = bias[1:] - bias[0] if self._loss.one_logit else bias - bias.mean()
        bias = bias if self._loss.fit_intercept else np.zeros(self._n_rows)
        return self.pack(Network(weight, bias, self._features_start))

    def pack(self, network: Network) -> Array:
        """The flat vector of a network."""
        u, v = self._coordinates.inverse(network.weight, network.bias)
        return self._flat(u, v, network.features)

    def unpack(self, parameters: Array) -> Network:
        """The network of a flat vector."""
        n_weights = self._n_rows * self._features.n_features
        n_linear = n_weights + (self._n_rows if self._loss.fit_intercept else 0)
        u = parameters[:n_weights].reshape(self._n_rows, -1)
        v = parameters[n_weights:n_linear] if self._loss.fit_intercept else np.zeros(self._n_rows)
        weight, bias = self._coordinates.weight_and_bias(u, v)
        return Network(weight, bias, parameters[n_linear:])

    def _flat(self, u: Array, v: Array, features: Array) -> Array:
        return np.concatenate([u.ravel(), v if self._loss.fit_intercept else v[:0], features])

    # ------------------------------------------------------------ value and gradient

    def value_and_grad(self, parameters: Array) -> tuple[float, Array]:
        """f and its gradient, float64 (P,), in the flat vector."""
        at = self._evaluated(parameters)
        weight = at.network.weight
        value = at.loss + 0.5 * self._ridge * float(np.vdot(weight, weight))
        u_grad, v_grad = self._coordinates.vjp(
            at.gradient.weight + self._ridge * weight, at.gradient.bias
        )
        return value, self._flat(u_grad, v_grad, at.gradient.features)

    def loss_and_grad(self, network: Network) -> tuple[float, Network]:
        """Mean loss without the penalty, and its gradient in W, b and the features' parameters."""
        loss = 0.0
        gradient = Network(*(np.zeros_like(part) for part in network))
        for batch in self._batches:
            batch_loss, batch_gradient, _ = self._of_batch(network, batch, ("weight", "bias"))
            loss += batch_loss
            for total, part in zip(gradient, batch_gradient, strict=True):
                total += part
        for total in gradient:
            total /= self._total
        return loss / self._total, gradient

    def inputs_grad(self, network: Network, batch: Batch) -> Array:
        """Gradient of the mean loss in the inputs of a batch, (B, D)."""
        _, _, features_grad = self._of_batch(network, batch, ("inputs",))
        return (
            self._features.inputs_vjp(network.features, batch.inputs, features_grad) / self._total
        )

    def _evaluated(self, parameters: Array) -> _Evaluation:
        if self._at is None or not np.array_equal(self._at.parameters, parameters):
            network = self.unpack(parameters)
            self._at = _Evaluation(parameters.copy(), network, *self.loss_and_grad(network))
        return self._at

    def _of_batch(
        self, network: Network, batch: Batch, needs: tuple[str, ...]
    ) -> tuple[float, Network, Array]:
        """Summed loss, its gradient, and what comes back to the features."""
        phi = self._features.values(network.features, batch.inputs)
        weight, bias = self._logit_rows(network, phi.dtype)
        trained = self._features.n_parameters > 0 and "weight" in needs
        loss, gradients = linear_cross_entropy_value_and_grad(
            phi,
            weight,
            batch.target,
            bias=bias,
            needs=(*needs, "inputs") if trained else needs,
            workspace_bytes=self._loss.workspace_bytes,
            sample_weight=batch.sample_weight,
            class_weight=self._loss.class_weight,
            label_smoothing=self._loss.label_smoothing,
            reduction="sum",
        )
        first = len(weight) - self._n_rows  # of one logit, the row of zeros is no parameter
        back = np.empty(0)
        if trained:
            back = self._features.parameters_vjp(network.features, batch.inputs, gradients.inputs)
        if "weight" not in needs:
            return float(loss), Network(np.empty(0), np.empty(0), back), gradients.inputs
        return float(loss), Network(gradients.weight[first:], gradients.bias[first:], back), back

    def _logit_rows(self, network: Network, dtype: np.dtype) -> tuple[Array, Array]:
        """W and b of all K logits, in the features' dtype."""
        weight, bias = network.weight.astype(dtype), network.bias.astype(dtype)
        if self._loss.one_logit:
            weight = np.concatenate([np.zeros_like(weight), weight])
            bias = np.concatenate([np.zeros_like(bias), bias])
        return weight, bias

    def _row_mass(self, batch: Batch) -> Array:
        """r s'' of each row: its weight times the sum of its smoothed and weighted targets."""
        class_weight, smoothing = self._loss.class_weight, self._loss.label_smoothing
        if class_weight is None:
            class_weight = np.ones(self._loss.n_classes)
        if batch.target.ndim == 1:
            own, mass = class_weight[batch.target], np.ones(len(batch.target))
        else:
            targets = batch.target.astype(np.float64)
            own, mass = targets @ class_weight, targets.sum(axis=1)
        spread = smoothing * class_weight.mean() * mass
        return batch.sample_weight * ((1.0 - smoothing) * own + spread)

    # ------------------------------------------------------------ certificate

    def gap(self, parameters: Array) -> float:
        """An upper bound of f - f*, for features without parameters and a finite C.

        The dual function at a feasible point near the probabilities. Rows alpha_i of mass s_i with
        sum_i r_i alpha_i = sum_i r_i y_i (b's own condition of optimality) give
        ``f* >= -|A|^2 / (2 ridge) + sum_i r_i H(alpha_i) / S``, with
        ``A = sum_i r_i (alpha_i - y_i) phi_i^T / S`` and H the entropy. Taken are
        ``alpha_i = (1 - t) s_i p_i + t s_i q`` with the least t for which a distribution q exists;
        H is concave. With b optimal, t = 0, and what remains is ``|grad_W f|^2 / (2 ridge)``.
        """
        at = self._evaluated(parameters)
        ridge, weight = self._ridge, at.network.weight
        if ridge == 0.0:
            return float("inf")
        if not self._loss.fit_intercept:
            return _square(at.gradient.weight + ridge * weight) / (2.0 * ridge)
        mean = self._coordinates.mean
        slope = at.gradient.weight - np.outer(at.gradient.bias, mean)
        surplus = at.gradient.bias
        if self._loss.one_logit:
            surplus = np.array([-surplus[0], surplus[0]])
        mass = self._targets + surplus
        t = min(1.0, max(0.0, float(np.max(surplus / np.maximum(mass, 1e-300)))))
        bound = _square(slope + ridge * weight) / (2.0 * ridge)
        bound += (1.0 - t) * float(at.gradient.bias @ (at.network.bias + weight @ mean))
        if t > 0.0:
            shift = -t * (slope - self._slope_at_origin())
            bound += (float(np.vdot(slope, shift)) + 0.5 * _square(shift)) / ridge
            q = np.maximum(self._targets - (1.0 - t) * mass, 0.0)
            entropy = _entropy_total(q, t * float(self._targets.sum()))
            bound += t * (at.loss - float(np.vdot(slope, weight))) - entropy
        return max(bound, 0.0)

    def _slope_at_origin(self) -> Array:
        """Gradient in W at W = 0 about the features' mean: minus the sum of r y phi^T / S."""
        if self._origin is None:
            origin = Network(
                np.zeros((self._n_rows, self._features.n_features)),
                np.zeros(self._n_rows),
                self._features_start,
            )
            _, gradient = self.loss_and_grad(origin)
            self._origin = gradient.weight - np.outer(gradient.bias, self._coordinates.mean)
        return self._origin


def _target_totals(loss: NetworkLoss, class_mass: Array) -> Array:
    """sum_i r_i y''_i: what is asked of each class, smoothed and weighted, float64 (K,)."""
    smoothing = loss.label_smoothing
    totals = (1.0 - smoothing) * class_mass + smoothing * class_mass.sum() / loss.n_classes
    return totals if loss.class_weight is None else totals * loss.class_weight


def _square(array: Array) -> float:
    return float(np.vdot(array, array))


def _entropy_total(q: Array, total: float) -> float:
    """-sum q log(q / total) of a vector of that sum."""
    positive = q[q > 0.0]
    return -float(positive @ np.log(positive / total))
