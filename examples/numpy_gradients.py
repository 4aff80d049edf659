"""The gradient of softmax + cross-entropy: exact, free of cancellation, checked by differences."""

import numpy as np

import crossent as ce

rng = np.random.default_rng(0)
logits = rng.normal(scale=3.0, size=(5, 4))
labels = np.array([0, 3, 1, 1, 2])

# The loss and its gradient in one pass: (p - onehot) / N for the mean.
loss, gradient = ce.cross_entropy_value_and_grad(logits, labels)
by_formula = (ce.softmax(logits) - np.eye(4)[labels]) / len(labels)
print(f"loss {loss:.6f}, gradient - formula: {np.abs(gradient - by_formula).max():.1e}")
np.testing.assert_allclose(gradient, by_formula, atol=1e-16)

# Central differences know nothing of the formula.
step = 1e-6
differences = np.empty_like(logits)
for index in np.ndindex(*logits.shape):
    ahead, behind = logits.copy(), logits.copy()
    ahead[index] += step
    behind[index] -= step
    rise = ce.cross_entropy(ahead, labels) - ce.cross_entropy(behind, labels)
    differences[index] = rise / (2 * step)
print(f"gradient - differences: {np.abs(gradient - differences).max():.1e}")
np.testing.assert_allclose(gradient, differences, atol=1e-9)

# Backwards through softmax alone, for any loss: J^T g, and the Jacobian it stands for.
probabilities = ce.softmax(logits)
cotangent = rng.normal(size=logits.shape)
product = ce.softmax_vjp(probabilities, cotangent)
jacobian = ce.softmax_jacobian(probabilities)
np.testing.assert_allclose(product, np.einsum("nij,ni->nj", jacobian, cotangent), atol=1e-15)

# A row that is surely right still has a loss and a gradient in float32.
sure, pull = ce.cross_entropy_value_and_grad(np.array([[20.0, 0.0]], np.float32), [0])
print(f"float32 logits [20, 0], label 0: loss {sure:.8e}, gradient {pull[0]}")
assert sure > 0
assert pull[0, 0] < 0 < pull[0, 1]
