"""Cross-entropy with every option and target: loss, gradient, JVP, HVP, Gauss-Newton.

Errors are in ulp of the sum of the terms' sizes. In float32 they are those of one rounding (the
arithmetic is float64); in float64 the softcap's tanh and its slope add their own.
"""

from __future__ import annotations

import numpy as np
import pytest

from crossent import _kernels as kernels
from crossent._arguments import LossOptions
from tests.kernels import tables, truth
from tests.kernels.tables import name_of
from tests.kernels.truth import Array, ulps

needs_extended = pytest.mark.skipif(
    not truth.HAS_EXTENDED, reason="np.longdouble is no wider than float64 on this machine"
)
SHAPES = [(1, 1), (5, 2), (17, 3), (300, 3), (5, 10), (17, 16), (40, 23), (5, 33), (3, 129)]
SHAPES += [(2, 1023)]
OPTIONS = {
    "none": {},
    "smoothing": {"label_smoothing": 0.1},
    "temperature": {"temperature": 0.7},
    "softcap": {"softcap": 5.0},
    "z_loss": {"z_loss": 0.01},
    "class_weight": {"class_weight": True},
    "mask": {"mask": "rows"},
    "one mask": {"mask": "all"},
    "everything": {
        "label_smoothing": 0.2,
        "temperature": 1.7,
        "softcap": 3.0,
        "z_loss": 0.02,
        "class_weight": True,
        "mask": "rows",
    },
}
FLOAT64_BOUND = {"native": 40.0, "numpy": 60.0}


def options_of(name: str, shape: tuple[int, int], rng: np.random.Generator) -> LossOptions:
    given = dict(OPTIONS[name])
    if given.pop("class_weight", False):
        given["class_weight"] = rng.uniform(0.1, 2, shape[1])
    mask = given.pop("mask", None)
    if mask:
        given["mask"] = rng.random(shape if mask == "rows" else shape[1]) < 0.7
        given["mask"][..., 0] = True
    return LossOptions(**given)


def a_case(name: str, labelled: bool, shape: tuple[int, int], dtype: type):
    """Logits, target, tangent, weights and options; what is masked or absent holds NaN."""
    rng = np.random.default_rng([7, *shape])
    z, dz = rng.normal(0, 4, shape).astype(dtype), rng.normal(0, 1, shape).astype(dtype)
    options = options_of(name, shape, rng)
    mask = np.ones(shape, bool) if options.mask is None else np.broadcast_to(options.mask, shape)
    weight = rng.uniform(0, 2, shape[0])
    weight[3::4] = 0
    if labelled:
        target = np.where(mask, _random_order(rng, shape), -1).argmax(axis=1)
        target[weight == 0] = -5  # a label is not read where the row is absent
    else:
        target = np.where(mask, rng.dirichlet(np.ones(shape[1]), shape[0]) * 1.5, 0)
        target = target.astype(tables.computed(dtype))
        target[0] = 0
    z[~mask], dz[~mask] = np.nan, np.nan
    z[weight == 0], dz[weight == 0] = np.nan, np.nan
    return z, target, dz, weight, options


def _random_order(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    return rng.random(shape)


PLAIN_HVP_BOUND = 3.0  # of labels, computed in the logits' own precision: 2.8 at most


@needs_extended
@pytest.mark.parametrize("labelled", [True, False], ids=["labels", "targets"])
@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("dtype", tables.DTYPES, ids=name_of)
def test_every_option(dtype: type, name: str, labelled: bool) -> None:
    fine = tables.computed(dtype)
    limit = FLOAT64_BOUND[kernels.KERNELS] if dtype is np.float64 else 2.0
    for shape in SHAPES:
        z, target, dz, weight, options = a_case(name, labelled, shape, dtype)
        expected = truth.cross_entropy(z, target, dz, weight, options)
        loss, out, change = np.empty(len(z)), np.empty_like(z), np.empty(len(z))
        kernels.cross_entropy_rows(z, target, weight, 1.0, options, loss, out)
        assert ulps(loss.astype(fine), expected.loss) <= limit
        assert ulps(out, expected.gradient, expected.gradient_terms) <= limit
        kernels.cross_entropy_jvp_rows(z, target, dz, weight, options, loss, change)
        size = (expected.gradient_terms * np.abs(np.nan_to_num(truth.wide(dz)))).sum(axis=1)
        assert ulps(loss.astype(fine), expected.loss) <= limit
        assert ulps(change.astype(fine), expected.loss_tangent, size) <= limit
        for gauss_newton in (False, True):
            expected = truth.cross_entropy(z, target, dz, weight, options, gauss_newton)
            kernels.cross_entropy_hvp_rows(z, target, dz, weight, 1.0, options, gauss_newton, out)
            assert ulps(out, expected.hvp, expected.hvp_terms) <= max(limit, PLAIN_HVP_BOUND)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("dtype", tables.DTYPES, ids=name_of)
def test_factor_and_no_gradient(dtype: type, name: str) -> None:
    """The factor scales gradient and HVP only; without a gradient the loss is the same."""
    z, target, dz, weight, options = a_case(name, True, (17, 16), dtype)
    losses = np.empty((2, len(z)))
    once, twice = np.empty_like(z), np.empty_like(z)
    kernels.cross_entropy_rows(z, target, weight, 1.0, options, losses[0], once)
    kernels.cross_entropy_rows(z, target, weight, 4.0, options, losses[1], twice)
    normal = np.abs(truth.wide(once)) > 1e-3
    np.testing.assert_array_equal(truth.wide(twice)[normal], 4 * truth.wide(once)[normal])
    kernels.cross_entropy_rows(z, target, weight, 1.0, options, losses[1], None)
    np.testing.assert_array_equal(losses[0], losses[1])
    kernels.cross_entropy_hvp_rows(z, target, dz, weight, 1.0, options, False, once)
    kernels.cross_entropy_hvp_rows(z, target, dz, weight, 4.0, options, False, twice)
    normal = np.abs(truth.wide(once)) > 1e-3
    np.testing.assert_array_equal(truth.wide(twice)[normal], 4 * truth.wide(once)[normal])


@needs_extended
@pytest.mark.parametrize("name", ["none", "everything"])
@pytest.mark.parametrize("dtype", tables.DTYPES, ids=name_of)
def test_hvp_beside_the_gradient(dtype: type, name: str) -> None:
    """With the gradient the product is the same, wherever both go; of rows of any length."""
    limit = FLOAT64_BOUND[kernels.KERNELS] if dtype is np.float64 else PLAIN_HVP_BOUND
    for shape in [(17, 3), (40, 23), (5, 5000), (2, 17000)]:
        z, target, dz, weight, options = a_case(name, True, shape, dtype)
        loss, expected = np.empty(len(z)), np.empty_like(z)
        kernels.cross_entropy_rows(z, target, weight, 0.5, options, loss, expected)
        exact = truth.cross_entropy(z, target, dz, weight, options)
        places = [
            (np.empty_like(z), None), (z.copy(), None), (dz.copy(), None),
            (np.empty_like(z), np.empty_like(z)), (dz.copy(), z.copy()),
        ]  # fmt: skip
        for out, gradient in places:
            given_z = next((a for a in (gradient, out) if a is not None and _same(a, z)), z)
            given_dz = out if _same(out, dz) else dz
            kernels.cross_entropy_hvp_rows(
                given_z, target, given_dz, weight, 0.5, options, False, out, gradient
            )
            assert ulps(out, 0.5 * exact.hvp, 0.5 * exact.hvp_terms) <= limit
            if gradient is not None:
                np.testing.assert_array_equal(truth.wide(gradient), truth.wide(expected))


def _same(a: Array, b: Array) -> bool:
    return a.tobytes() == b.tobytes()
