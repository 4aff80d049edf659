"""Every operation through the whole table of cases, on the floor of kernels in use."""

import numpy as np
import pytest

import crossent
from crossent.verify import _reference, check_gradients, run
from crossent.verify._cases import MANY_CLASSES
from crossent.verify._problems import OPERATIONS, dtype_named
from crossent.verify._ulp import worst

PAIRS = sorted({(o.name, d) for o in OPERATIONS for case in o.cases for d in case.dtypes})


@pytest.mark.parametrize(("operation", "dtype"), PAIRS)
def test_operation_conforms(operation, dtype):
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    records = run(crossent, operations=[operation], dtypes=[dtype])
    assert records
    failed = [f"{r.case}: {r.output} {r.problem}, entry {r.index}" for r in records if not r.passed]
    assert not failed, f"{len(failed)} of {len(records)}: {failed[:5]}"


# What is promised in float32 and float64 wherever the table goes, in ulp: measured on every floor,
# rounded up. (Features far from every center are as good as the exponent's rounding allows.)
PROMISED = {
    "softmax": 3.0,
    "log_softmax": 3.0,
    "logsumexp": 1.5,
    "softmax_vjp": 2.5,
    "softmax_jvp": 2.5,
    "log_softmax_vjp": 2.5,
    "log_softmax_jvp": 2.0,
    "logsumexp_vjp": 3.0,
    "logsumexp_jvp": 2.5,
    "softmax_jacobian": 1.5,
    "log_softmax_jacobian": 2.5,
    "cross_entropy": 3.0,
    "cross_entropy_value_and_grad": 5.0,
    "cross_entropy_jvp": 3.0,
    "cross_entropy_hvp": 6.0,
    "sigmoid": 2.0,
    "binary_cross_entropy": 2.5,
    "binary_cross_entropy_value_and_grad": 3.0,
    "linear_cross_entropy": 1.0,
    "linear_cross_entropy_value_and_grad": 1.5,
    "linear_cross_entropy_jvp": 1.0,
    "linear_cross_entropy_hvp": 1.5,
}


@pytest.mark.parametrize("operation", PROMISED)
def test_errors_are_no_larger_than_promised(operation):
    records = run(crossent, operations=[operation], dtypes=["float32", "float64"])
    furthest = max(records, key=lambda record: record.ulp)
    assert furthest.ulp <= PROMISED[operation], furthest


@pytest.mark.parametrize("operation", PROMISED)
def test_16_bits_are_rounded_once(operation):
    """Sums and means of losses and tangents, which are float32, are hardly further off: 0.512.

    Those of one logit a row are formed in float32: 0.83 without fused multiply-add.
    """
    scalar = 1.0 if operation.startswith("binary") else 0.55
    records = run(crossent, operations=[operation], dtypes=["float16", "bfloat16"])
    for record in records:
        assert record.ulp < (scalar if record.output in ("loss", "loss_tangent") else 0.51), record


def test_every_array_function_is_in_the_table():
    judged = {operation.name for operation in OPERATIONS}
    derived = ("_vjp", "_jvp", "_hvp", "_jacobian", "_value_and_grad")
    roots = ("softmax", "log_softmax", "logsumexp", "cross_entropy", "sigmoid",
             "binary_cross_entropy", "gaussian_features", "linear_cross_entropy")  # fmt: skip
    public = {n for n in crossent.__all__ if n in roots or n.endswith(derived)}
    public -= {"linear_sampled_cross_entropy_value_and_grad"}  # of drawn classes: test_sampled.py
    assert judged == public


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_cases_have_names_of_their_own(operation):
    names = [(case.name, dtype) for case in operation.cases for dtype in case.dtypes]
    assert len(names) == len(set(names))


def test_the_table_holds_what_it_must():
    table = {o.name: o for o in OPERATIONS}
    for name in ("softmax", "cross_entropy"):
        operation = table[name]
        problems = [(case, dtype, operation.problem(case, dtype))
                    for case in operation.cases for dtype in case.dtypes
                    if "many" not in case.tags and dtype != "bfloat16"]  # fmt: skip
        logits = [problem.args[0] for _, _, problem in problems]
        assert {1, 2, 3, 4} <= {array.ndim for array in logits} or name != "softmax"
        assert any(not array.flags.writeable for array in logits)
        assert any(not array.flags.aligned for array in logits)
        assert any(min(array.strides) < 0 for array in logits)
        assert any(array.dtype.byteorder == ">" for array in logits)
        assert any(array.flags.f_contiguous and not array.flags.c_contiguous for array in logits)
        assert any(len(array) == 0 for array in logits)
        assert any(array.ndim == 2 and array.shape[1] == 1 for array in logits)
        dtypes = {dtype for case in operation.cases for dtype in case.dtypes}
        assert {"float16", "bfloat16", "float32", "float64", "int8", "uint8", "bool"} <= dtypes
        many = [case for case in operation.cases if "many" in case.tags]
        assert max(operation.problem(c, "float32").args[0].shape[1] for c in many) == MANY_CLASSES


def test_a_case_is_the_same_in_every_call():
    (softmax, *_) = OPERATIONS
    for case in softmax.cases[:20]:
        first, second = (softmax.problem(case, "float64").args[0] for _ in range(2))
        np.testing.assert_array_equal(first, second)


def test_unknown_dtypes_are_refused():
    with pytest.raises(TypeError):
        dtype_named("float17")


def note_network():
    """Return the second note's network on random numbers: arguments by name, and targets."""
    rng = np.random.default_rng(5)
    arguments = {
        "inputs": rng.standard_normal((6, 3)),
        "centers": rng.standard_normal((5, 3)),
        "beta": 0.2 + rng.random(5),
        "weight": rng.standard_normal((4, 5)),
        "bias": rng.standard_normal(4),
    }
    return arguments, rng.dirichlet(np.ones(4), 6)


def network(arguments, target, kind):
    """Loss and all gradients of the network, by the operations."""
    x, c, beta, w, b = (arguments[n] for n in ("inputs", "centers", "beta", "weight", "bias"))
    phi = crossent.gaussian_features(x, c, beta, kind=kind)
    loss, head = crossent.linear_cross_entropy_value_and_grad(phi, w, target, bias=b)
    body = crossent.gaussian_features_vjp(x, c, beta, head.inputs, kind=kind)
    gradients = {"weight": head.weight, "bias": head.bias} | body._asdict()
    return loss, gradients


@pytest.mark.parametrize("kind", ["additive", "radial"])
def test_every_gradient_of_the_network(kind):
    """dE/dW, db, dbeta, dc and dx against the truth and against central differences."""
    arguments, target = note_network()
    truth = _reference.network(**arguments, target=target, kind=kind)
    loss, gradients = network(arguments, target, kind)
    assert abs(loss - float(truth["loss"].value[0])) < 1e-15
    for name, gradient in gradients.items():
        assert worst(gradient, truth[name]).ulp < 8, name

        def loss_of(values, name=name):
            return network(arguments | {name: values}, target, kind)[0]

        def vjp(values, w, name=name):
            return w * network(arguments | {name: values}, target, kind)[1][name]

        check_gradients(loss_of, arguments[name], vjp=vjp)


OPTIONS = {
    "label_smoothing": 0.1, "temperature": 1.5, "softcap": 4.0, "z_loss": 0.05,
    "class_weight": [0.5, 1.0, 2.0, 0.25],
}  # fmt: skip


@pytest.mark.parametrize("options", [{}, OPTIONS], ids=["plain", "every option"])
def test_derivatives_by_central_differences(options):
    z = np.random.default_rng(6).standard_normal((3, 4))
    labels = np.array([0, 3, 1])
    check_gradients(
        lambda z: crossent.cross_entropy(z, labels, **options),
        z,
        vjp=lambda z, w: w * crossent.cross_entropy_value_and_grad(z, labels, **options)[1],
        jvp=lambda z, v: crossent.cross_entropy_jvp(z, labels, v, **options)[1],
        hvp=lambda z, v: crossent.cross_entropy_hvp(z, labels, v, **options),
    )
    for name in ("softmax", "log_softmax"):
        f, vjp, jvp = (getattr(crossent, name + end) for end in ("", "_vjp", "_jvp"))
        check_gradients(
            f, z, vjp=lambda z, w: vjp(f(z), w), jvp=lambda z, v: jvp(f(z), v)  # noqa: B023
        )  # fmt: skip
    check_gradients(crossent.logsumexp, z, vjp=crossent.logsumexp_vjp, jvp=crossent.logsumexp_jvp)
