"""Run by a Python whose crossent was installed without a compiler: it must say so and be right."""

import sys

import numpy as np

import crossent as ce


def main() -> str | None:
    """Return the complaint, or None."""
    info = ce.build_info()
    if info["kernels"] != "numpy":
        return f"built without a compiler, yet build_info() says {info}"
    logits = np.array([[1.0, 2.0, -3.0], [0.0, 0.0, 0.0]])
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ce.softmax(logits), expected, rtol=4e-16)
    loss, gradient = ce.cross_entropy_value_and_grad(np.float32([[20, 0]]), [0])
    np.testing.assert_allclose(loss, 2.06115362e-09, rtol=1e-6)
    np.testing.assert_allclose(gradient, [[-2.06115362e-09, 2.06115362e-09]], rtol=1e-6)
    print(f"installed without a compiler: {ce.__file__}: {info}")
    return None


if __name__ == "__main__":
    sys.exit(main())
