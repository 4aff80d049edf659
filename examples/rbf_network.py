"""The whole network by hand: Gaussian features, linear layer, loss, every gradient, descent."""

import numpy as np

import crossent as ce

rng = np.random.default_rng(0)

# Two rings, one inside the other: no straight line tells them apart.
angle = rng.uniform(0, 2 * np.pi, 200)
labels = np.arange(200) % 2
radius = np.where(labels == 0, 1.0, 2.5) + rng.normal(scale=0.2, size=200)
inputs = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])

centers = inputs[:12].copy()  # c_j, (n, D)
log_beta = np.zeros(12)  # beta_j = exp(log_beta_j) stays positive
weight = np.zeros((2, 12))  # W, (K, n)
bias = np.zeros(2)  # b, (K,)


def forward_and_back():
    """Return the loss and dE/dW, db, dc and dlog beta, by the chain rule from the last layer on."""
    beta = np.exp(log_beta)
    features = ce.gaussian_features(inputs, centers, beta)  # phi, (N, n)
    loss, linear = ce.linear_cross_entropy_value_and_grad(features, weight, labels, bias=bias)
    gaussian = ce.gaussian_features_vjp(inputs, centers, beta, linear.inputs)  # h = dE/dphi
    return loss, (linear.weight, linear.bias, gaussian.centers, beta * gaussian.beta)


# One gradient entry against a central difference, before trusting the descent.
weight[:] = rng.normal(size=weight.shape)
_, (_, _, by_centers, _) = forward_and_back()
losses = []
for step in (1e-6, -2e-6):
    centers[3, 1] += step
    losses.append(forward_and_back()[0])
centers[3, 1] += 1e-6
difference = (losses[0] - losses[1]) / 2e-6
print(f"dE/dc: {by_centers[3, 1]:.9f}, by difference {difference:.9f}")
assert abs(by_centers[3, 1] - difference) < 1e-8

weight[:] = 0
for step in range(300):
    loss, gradients = forward_and_back()
    for parameter, gradient in zip((weight, bias, centers, log_beta), gradients, strict=True):
        parameter -= 0.5 * gradient
    if step % 100 == 0:
        print(f"step {step:3}: loss {loss:.4f}")

features = ce.gaussian_features(inputs, centers, np.exp(log_beta))
predicted = np.argmax(features @ weight.T + bias, axis=1)
accuracy = np.mean(predicted == labels)
print(f"loss {loss:.4f}, accuracy {accuracy:.1%}")
assert accuracy >= 0.95
