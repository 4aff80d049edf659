"""The whole network's value and gradients: against central differences and the mpmath truth."""

from __future__ import annotations

import numpy as np
import pytest

from crossent import curved_objective
from crossent._typing import Batch
from crossent.curved_objective import CurvedObjective
from crossent.data import ArrayBatches, class_mass
from crossent.features import GaussianFeatures, LinearFeatures
from crossent.objective import Network, NetworkLoss, NetworkObjective
from crossent.sampled_objective import SampledObjective

N, D, CENTERS = 9, 3, 4


def data(n_classes, soft=False, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, D)) * [1.0, 10.0, 0.1] + [0.0, 30.0, 1.0]
    labels = np.arange(N) % n_classes
    target = rng.dirichlet(np.ones(n_classes), N) if soft else labels
    return X, target, rng.uniform(0.5, 2.0, N)


def objective(kind, n_classes=3, *, soft=False, batch_rows=None, **options):
    rng = np.random.default_rng(1)
    X, target, weight = data(n_classes, soft)
    batches = ArrayBatches(X, target, weight, batch_rows=batch_rows)
    if kind == "linear":
        features, start = LinearFeatures(D), np.empty(0)
    else:
        features = GaussianFeatures(
            X[:CENTERS] + rng.normal(size=(CENTERS, D)),
            rng.uniform(0.002, 0.02, CENTERS),
            kind,
            center_scale=2.0,
        )
        start = features.start()
    loss = NetworkLoss(n_classes, one_logit=n_classes == 2, C=0.7, **options)
    return CurvedObjective(batches, features, loss, start, class_mass(batches, n_classes))


def some_parameters(chosen):
    start = chosen.start()
    return start + 0.3 * np.random.default_rng(2).normal(size=start.shape)


def differences(f, x, step=1e-6):
    """Central differences of a function of an array."""
    result = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        shift = np.zeros_like(x)
        shift[index] = step
        result[index] = (f(x + shift) - f(x - shift)) / (2.0 * step)
    return result


CASES = [
    {},
    {"soft": True},
    {"batch_rows": 2},
    {"label_smoothing": 0.1},
    {"class_weight": "given"},
    {"fit_intercept": False},
]


def chosen_case(kind, n_classes, case):
    case = dict(case)
    if case.pop("class_weight", None):
        case["class_weight"] = np.linspace(0.5, 2.0, n_classes)
    return objective(kind, n_classes, **case)


@pytest.mark.parametrize("kind", ["linear", "radial", "additive"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("case", CASES, ids=lambda case: next(iter(case), "plain"))
def test_gradient_in_the_flat_vector(kind, n_classes, case):
    chosen = chosen_case(kind, n_classes, case)
    parameters = some_parameters(chosen)
    _, gradient = chosen.value_and_grad(parameters)
    wanted = differences(lambda p: chosen.value_and_grad(p)[0], parameters)
    np.testing.assert_allclose(gradient, wanted, atol=1e-7)


@pytest.mark.parametrize("kind", ["radial", "additive"])
@pytest.mark.parametrize("part", Network._fields)
def test_gradients_by_name(kind, part):
    """dE/dW, dE/db, and dE/dc with dE/dlog beta, without coordinates and penalty."""
    chosen = objective(kind)
    network = chosen.unpack(some_parameters(chosen))
    _, gradient = chosen.loss_and_grad(network)

    def loss(value):
        return chosen.loss_and_grad(network._replace(**{part: value}))[0]

    wanted = differences(loss, getattr(network, part))
    np.testing.assert_allclose(getattr(gradient, part), wanted, atol=1e-7)


@pytest.mark.parametrize("kind", ["linear", "radial", "additive"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_gradient_in_the_inputs(kind, n_classes):
    chosen = objective(kind, n_classes)
    network = chosen.unpack(some_parameters(chosen))
    X, target, weight = data(n_classes)

    def loss(rows):
        batches = ArrayBatches(rows, target, weight)
        other = NetworkObjective(
            batches,
            chosen.features,
            chosen.loss,
            chosen.features_start,
            class_mass(batches, n_classes),
        )
        return other.loss_and_grad(network)[0]

    found = chosen.inputs_grad(network, Batch(X, target, weight))
    np.testing.assert_allclose(found, differences(loss, X), atol=1e-7)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("case", CASES, ids=lambda case: next(iter(case), "plain"))
def test_hessian_is_the_gradients_derivative(n_classes, case):
    chosen = chosen_case("linear", n_classes, case)
    parameters = some_parameters(chosen)
    found = chosen.hessian(parameters)
    for column in range(len(parameters)):
        step = np.zeros_like(parameters)
        step[column] = 1e-6
        above = chosen.value_and_grad(parameters + step)[1]
        below = chosen.value_and_grad(parameters - step)[1]
        np.testing.assert_allclose(found[:, column], (above - below) / 2e-6, atol=1e-7)


@pytest.mark.parametrize("kind", ["linear", "radial", "additive"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_value_is_the_formula(kind, n_classes):
    """The mean of weighted -log p plus |W|^2 / (2 C S), written out."""
    chosen = objective(kind, n_classes)
    parameters = some_parameters(chosen)
    network = chosen.unpack(parameters)
    X, labels, weight = data(n_classes)
    z = chosen.features.values(network.features, X) @ network.weight.T + network.bias
    if n_classes == 2:
        z = np.hstack([np.zeros_like(z), z])
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    total = weight.sum()
    wanted = -(weight @ log_p[np.arange(N), labels]) / total
    wanted += (network.weight**2).sum() / (2 * 0.7 * total)
    assert chosen.value_and_grad(parameters)[0] == pytest.approx(wanted, rel=1e-13)


@pytest.mark.parametrize("kind", ["linear", "radial", "additive"])
@pytest.mark.parametrize("batch_rows", [1, 2, 4, 100])
def test_batches_add_up(kind, batch_rows):
    whole = objective(kind)
    parts = objective(kind, batch_rows=batch_rows)
    network = whole.unpack(some_parameters(whole))
    loss, gradient = whole.loss_and_grad(network)
    parts_loss, parts_gradient = parts.loss_and_grad(network)
    assert parts_loss == pytest.approx(loss, rel=1e-14)
    for part, other in zip(gradient, parts_gradient, strict=True):
        np.testing.assert_allclose(other, part, atol=1e-14)


@pytest.mark.parametrize("kind", ["linear", "radial"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_parameters_and_networks_are_the_same_thing(kind, fit_intercept):
    chosen = objective(kind, fit_intercept=fit_intercept)
    parameters = some_parameters(chosen)
    np.testing.assert_allclose(chosen.pack(chosen.unpack(parameters)), parameters, atol=1e-9)


def test_start_is_the_classes_shares():
    chosen = objective("linear")
    network = chosen.unpack(chosen.start())
    assert not network.weight.any()
    shares = np.exp(network.bias) / np.exp(network.bias).sum()
    np.testing.assert_allclose(shares, chosen.targets, rtol=1e-12)
    np.testing.assert_allclose(chosen.loss_and_grad(network)[1].bias, 0.0, atol=1e-15)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("together", [True, False])
def test_refined_coordinates_are_of_the_same_function(
    n_classes, fit_intercept, together, monkeypatch
):
    """Same point, same value, a right gradient; and whole Hessians become the identity."""
    monkeypatch.setattr(curved_objective, "_JOINT_UP_TO", (1000, 1000) if together else (0, 0))
    chosen = objective("linear", n_classes, fit_intercept=fit_intercept)
    parameters = some_parameters(chosen)
    network, (value, _) = chosen.unpack(parameters), chosen.value_and_grad(parameters)
    there = chosen.refined(parameters)
    for part, other in zip(chosen.unpack(there), network, strict=True):
        np.testing.assert_allclose(part, other, atol=1e-9)
    np.testing.assert_allclose(chosen.pack(network), there, atol=1e-9)
    found, gradient = chosen.value_and_grad(there)
    assert found == pytest.approx(value, rel=1e-13)
    wanted = differences(lambda p: chosen.value_and_grad(p)[0], there, 1e-5)
    np.testing.assert_allclose(gradient, wanted, atol=1e-7)
    if together:
        steps = 1e-4 * np.eye(len(there))
        second = [chosen.value_and_grad(there + s)[1] - gradient for s in steps]
        values = np.linalg.eigvalsh(np.array(second) / 1e-4)
        flat = n_classes > 2 and fit_intercept  # b, a number added to all of it
        np.testing.assert_allclose(values[flat:], 1.0, atol=2e-3)


def test_hessian_is_refused_for_trained_features():
    chosen = objective("radial")
    with pytest.raises(ValueError, match="without parameters"):
        chosen.hessian(chosen.start())


@pytest.mark.parametrize("kind", ["radial", "additive"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_network_and_all_its_gradients_are_true(kind, dtype):
    """Loss, dE/dW, db, dc, dbeta and dx of the second note's network against mpmath.

    Worst error measured, in units of the dtype's rounding times the size of the terms that the last
    sum adds up: 6.4 (float64, what comes back to the inputs); all others are below 2.
    """
    pytest.importorskip("mpmath")
    from crossent.verify import _reference

    rng = np.random.default_rng(4)
    X, labels, weight = rng.normal(size=(N, D)).astype(dtype), np.arange(N) % 3, np.ones(N)
    centers, beta = X[:CENTERS] + dtype(0.25), rng.uniform(0.2, 1.0, CENTERS).astype(dtype)
    features = GaussianFeatures(centers, beta, kind)
    batches = ArrayBatches(X, labels, weight, batch_rows=4)
    chosen = NetworkObjective(
        batches, features, NetworkLoss(3), features.start(), class_mass(batches, 3)
    )
    w = rng.normal(size=(3, CENTERS)).astype(dtype)
    b = rng.normal(size=3).astype(dtype)
    network = Network(w.astype(np.float64), b.astype(np.float64), features.start())
    centers, beta, _ = features.named(features.start())
    loss, gradient = chosen.loss_and_grad(network)
    found = {
        "loss": np.array([loss]),
        "weight": gradient.weight,
        "bias": gradient.bias,
        "centers": gradient.features[: CENTERS * D].reshape(CENTERS, D),
        "beta": gradient.features[CENTERS * D :] / beta,
        "inputs": chosen.inputs_grad(network, Batch(X, labels, weight)),
    }
    true = _reference.network(X, centers, beta, w, b, labels, kind)
    assert set(found) == set(true)
    for name, value in found.items():
        error = np.abs(value.astype(object) - true[name].value)
        unit = true[name].scale * float(np.finfo(dtype).eps)
        assert float(np.max(error / unit)) <= 16.0, name


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("case", CASES, ids=lambda case: next(iter(case), "plain"))
def test_rows_show_the_objective_on_average(n_classes, case):
    """The mean over all single rows is the objective, and so is one batch of all rows."""
    case = dict(case)
    if case.pop("class_weight", None):
        case["class_weight"] = np.linspace(0.5, 2.0, n_classes)
    whole = objective("radial", n_classes, **case)
    shown = SampledObjective(
        whole._batches,
        whole.features,
        whole.loss,
        whole.features_start,
        class_mass(whole._batches, n_classes),
        whole.coordinates,
    )
    parameters = some_parameters(whole)
    value, gradient = whole.value_and_grad(parameters)
    each = [shown.rows_value_and_grad(parameters, np.array([row])) for row in range(N)]
    for found in (shown.rows_value_and_grad(parameters, np.arange(N)), _mean_of(each)):
        np.testing.assert_allclose(found[0], value, rtol=1e-12)
        np.testing.assert_allclose(found[1], gradient, atol=1e-12)


def _mean_of(found):
    return np.mean([value for value, _ in found]), np.mean([g for _, g in found], axis=0)
