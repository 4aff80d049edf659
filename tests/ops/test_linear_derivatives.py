"""JVP and HVP of the linear layer with its loss: what the logits' own derivatives make of them."""

import numpy as np
import pytest

import crossent as ce
from crossent.ops._linear._hvp import hvp
from crossent.ops._linear._jvp import jvp
from crossent.ops._linear._problem import linear_problem
from crossent.ops._linear._value_and_grad import value_and_grad
from crossent.verify import check_gradients
from tests.ops.linear_options import LABELS, OPTIONS, RNG, B, D, K, N, W, X

DX, DW, DB = RNG.normal(size=(N, D)), RNG.normal(size=(K, D)), RNG.normal(size=K)
MOVES = {
    "all": ce.LinearGradients(DX, DW, DB),
    "weight": ce.LinearGradients(None, DW, None),
    "weight and bias": ce.LinearGradients(None, DW, DB),
    "inputs": ce.LinearGradients(DX, None, None),
    "nothing": ce.LinearGradients(None, None, None),
}
CLOSE = {"rtol": 1e-12, "atol": 1e-13}


def moved_logits(tangents):
    """Return dz (N, K)."""
    still = np.zeros((N, D)), np.zeros((K, D)), np.zeros(K)
    dx, dw, db = (zero if t is None else t for t, zero in zip(tangents, still, strict=True))
    return dx @ W.T + X @ dw.T + db


@pytest.mark.parametrize("workspace", [None, 4096, 1200])
@pytest.mark.parametrize("name", OPTIONS)
def test_the_tangent_of_the_loss(name, workspace):
    target, options = OPTIONS[name]
    for tangents in MOVES.values():
        expected = ce.cross_entropy_jvp(X @ W.T + B, target, moved_logits(tangents), **options)
        found = ce.linear_cross_entropy_jvp(
            X, W, target, bias=B, tangents=tangents, workspace_bytes=workspace, **options
        )
        np.testing.assert_allclose(found, expected, **CLOSE)


@pytest.mark.parametrize("workspace", [None, 4096, 1200])
@pytest.mark.parametrize("gauss_newton", [False, True])
@pytest.mark.parametrize("name", OPTIONS)
def test_the_product_of_the_hessian(name, gauss_newton, workspace):
    target, options = OPTIONS[name]
    z = X @ W.T + B
    g = ce.cross_entropy_value_and_grad(z, target, **options)[1] * (not gauss_newton)
    for tangents in MOVES.values():
        h = ce.cross_entropy_hvp(
            z, target, moved_logits(tangents), gauss_newton=gauss_newton, **options
        )
        dx, dw, _ = tangents
        expected = ce.LinearGradients(
            h @ W + (0 if dw is None else g @ dw),
            h.T @ X + (0 if dx is None else g.T @ dx),
            h.sum(axis=0),
        )
        found = ce.linear_cross_entropy_hvp(
            X, W, target, bias=B, tangents=tangents, gauss_newton=gauss_newton,
            workspace_bytes=workspace, **options,
        )  # fmt: skip
        for part, truth in zip(found, expected, strict=True):
            np.testing.assert_allclose(part, truth, **CLOSE)


def test_a_cotangent_of_any_sign_weighs_the_rows():
    v = RNG.normal(size=N)
    g = ce.cross_entropy_value_and_grad(X @ W.T, LABELS, reduction="none")[1] * v[:, None]
    dz = X @ DW.T + DX @ W.T
    h = ce.cross_entropy_hvp(X @ W.T, LABELS, dz, reduction="none") * v[:, None]
    found = ce.linear_cross_entropy_hvp(
        X, W, LABELS, tangents=(DX, DW, None), reduction="none", cotangent=v, workspace_bytes=1200
    )
    np.testing.assert_allclose(found.inputs, h @ W + g @ DW, **CLOSE)
    np.testing.assert_allclose(found.weight, h.T @ X + g.T @ DX, **CLOSE)
    assert found.bias is None


def test_tangents_of_rows():
    losses, slopes = ce.linear_cross_entropy_jvp(
        X, W, LABELS, tangents=MOVES["weight"], reduction="none", workspace_bytes=1200
    )
    expected = ce.cross_entropy_jvp(X @ W.T, LABELS, X @ DW.T, reduction="none")
    np.testing.assert_allclose((losses, slopes), expected, **CLOSE)


def test_nothing_is_multiplied_that_is_not_needed():
    """One product for the loss, three for gradients and in the weight alone, seven for all."""
    made = []

    def counted(a, b, out):
        made.append(a.shape)
        np.matmul(a, b, out=out)

    problem = linear_problem(X, W, LABELS, None, None, {}, counted)
    both = ce.LinearGradients(DX, DW, None)
    for n_products, call in (
        (1, lambda: value_and_grad(problem, (), None)),
        (2, lambda: value_and_grad(problem, ("weight",), None)),
        (3, lambda: value_and_grad(problem, ("inputs", "weight"), None)),
        (2, lambda: jvp(problem, MOVES["weight"])),
        (3, lambda: jvp(problem, both)),
        (3, lambda: hvp(problem, MOVES["weight"], False, ("weight",), None)),
        (7, lambda: hvp(problem, both, False, ("inputs", "weight"), None)),
        (5, lambda: hvp(problem, both, True, ("inputs", "weight"), None)),
    ):
        made.clear()
        call()
        assert len(made) == n_products, made


def test_needs_picks_parts_of_the_product():
    every = ce.linear_cross_entropy_hvp(X, W, LABELS, bias=B, tangents=MOVES["all"])
    for name in every._fields:
        picked = ce.linear_cross_entropy_hvp(
            X, W, LABELS, bias=B, tangents=MOVES["all"], needs=(name,)
        )
        for other in every._fields:
            if other == name:
                np.testing.assert_array_equal(getattr(picked, other), getattr(every, other))
            else:
                assert getattr(picked, other) is None


def test_derivatives_in_batches_and_by_central_differences():
    x, labels, dx = X[:36].reshape(4, 9, D), LABELS[:36].reshape(4, 9), DX[:36].reshape(4, 9, D)
    options = {"softcap": 3.0, "z_loss": 0.1, "label_smoothing": 0.1, "bias": B}

    def along(v, name):
        return ce.LinearGradients(**(dict.fromkeys(("inputs", "weight", "bias")) | {name: v}))

    for name, start in (("inputs", x), ("weight", W), ("bias", B)):

        def given(a, name=name):
            return {"inputs": x, "weight": W, "target": labels, **options, name: a}

        check_gradients(
            lambda a: ce.linear_cross_entropy(**given(a)),
            start,
            vjp=lambda a, w: w * getattr(
                ce.linear_cross_entropy_value_and_grad(**given(a))[1], name),  # noqa: B023
            jvp=lambda a, v: ce.linear_cross_entropy_jvp(
                **given(a), tangents=along(v, name))[1],  # noqa: B023
            hvp=lambda a, v: getattr(ce.linear_cross_entropy_hvp(
                **given(a), tangents=along(v, name)), name),  # noqa: B023
        )  # fmt: skip
    whole = ce.linear_cross_entropy_hvp(x, W, labels, tangents=(dx, DW, None))
    flat = ce.linear_cross_entropy_hvp(X[:36], W, LABELS[:36], tangents=(DX[:36], DW, None))
    np.testing.assert_array_equal(whole.inputs, flat.inputs.reshape(4, 9, D))


@pytest.mark.parametrize("dtype", ["float16", "float32", "bfloat16"])
@pytest.mark.parametrize("workspace", [None, 1400])
def test_narrow_derivatives_accumulate_in_float32(dtype, workspace):
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    x, w, b, dx, dw, db = (a.astype(dtype) for a in (X, W, B, DX, DW, DB))
    exact = [a.astype(float) for a in (x, w, b, dx, dw, db)]
    expected = ce.linear_cross_entropy_hvp(
        *exact[:2], LABELS, bias=exact[2], tangents=ce.LinearGradients(*exact[3:])
    )
    found = ce.linear_cross_entropy_hvp(
        x, w, LABELS, bias=b, tangents=ce.LinearGradients(dx, dw, db), workspace_bytes=workspace
    )
    unit = {2: 2.0**-8 if x.dtype.name == "bfloat16" else 2.0**-11, 4: 2.0**-22}[x.itemsize]
    for part, truth in zip(found, expected, strict=True):
        assert part.dtype == x.dtype
        np.testing.assert_allclose(part.astype(float), truth, rtol=unit, atol=2e-6)
