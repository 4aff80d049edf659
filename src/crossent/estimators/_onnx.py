"""Fitted classifiers as ONNX graphs: rows in, class names and probabilities out.

``X -> features -> logits -> softmax``, with the scaling of inputs inside. A calibration is linear
in the logits, and so becomes part of W and b; a class without rows has the logit -inf here too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from .._typing import Array
from .._version import __version__
from ._rbf import RBFClassifier
from ._scaling import Scaling
from ._softmax import SoftmaxClassifier
from ._temperature import TemperatureScaling

if TYPE_CHECKING:
    import onnx

__all__ = ["to_onnx"]

_OPSET = 17
_IR_VERSION = 8
"""Of 2022: runtimes of the years since read them."""


def to_onnx(model: Any) -> onnx.ModelProto:
    """A fitted classifier as an ONNX model.

    Parameters
    ----------
    model : SoftmaxClassifier, RBFClassifier, or TemperatureScaling of one
        Fitted.

    Returns
    -------
    onnx.ModelProto
        Input ``X``, float32 or float64 (N, D) as ``coef_`` is; outputs ``label`` (N,), of the type
        of the class names, and ``probabilities`` (N, K). ``onnx.save(model, path)`` writes it.

    Raises
    ------
    ImportError
        Without the package onnx.
    TypeError
        For another model, or class names that ONNX has no type for.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    Notes
    -----
    Squared distances of radial features are summed input by input, as differences, and so are the
    terms of additive ones: no product of large numbers cancels, and no (N, n, D) array is made.

    Examples
    --------
    >>> from crossent import SoftmaxClassifier
    >>> from crossent.estimators import to_onnx
    >>> model = to_onnx(SoftmaxClassifier().fit([[0.0], [1.0]], ["no", "yes"]))
    >>> [output.name for output in model.graph.output]
    ['label', 'probabilities']
    """
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise ImportError(
            'to_onnx needs onnx, which is not installed: pip install "crossent[onnx]"'
        ) from error
    network, weight, bias = _network(model)
    graph = _Graph(onnx, type(model).__name__)
    features = _gaussian_features(graph, network) if isinstance(network, RBFClassifier) else "X"
    names = _names(network.classes_)
    _classify(graph, features, weight, bias, names)
    found = onnx.helper.make_model(
        graph.made(
            [graph.value("X", weight.dtype, ["N", network.n_features_in_])],
            [
                graph.value("label", names.dtype, ["N"]),
                graph.value("probabilities", weight.dtype, ["N", len(names)]),
            ],
        ),
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        producer_name="crossent",
        producer_version=__version__,
        ir_version=_IR_VERSION,
    )
    onnx.checker.check_model(found, full_check=True)
    return found


class _Graph:
    """Nodes and constants of a graph; each node has one output, whose name it hands back."""

    def __init__(self, onnx: Any, name: str) -> None:
        self._onnx, self._name = onnx, name
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def constant(self, name: str, values: Array) -> str:
        self._constants.append(self.tensor(values, name))
        return name

    def tensor(self, values: Array, name: str = "") -> Any:
        return self._onnx.numpy_helper.from_array(values, name)

    def node(self, operation: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self._nodes.append(self._onnx.helper.make_node(operation, inputs, [output], **attributes))
        return output

    def value(self, name: str, dtype: np.dtype, shape: list[Any]) -> Any:
        """What an input or an output is: its name, type and shape."""
        code = self._onnx.helper.np_dtype_to_tensor_dtype(dtype)
        return self._onnx.helper.make_tensor_value_info(name, code, shape)

    def part(self, name: str) -> _Graph:
        """An empty graph for the body of a loop."""
        return _Graph(self._onnx, name)

    def made(self, inputs: list[Any], outputs: list[Any]) -> Any:
        return self._onnx.helper.make_graph(
            self._nodes, self._name, inputs, outputs, self._constants
        )


def _gaussian_features(graph: _Graph, model: RBFClassifier) -> str:
    """The Gaussian features (N, n) of X, summed over its columns."""
    dtype, n_features = model.coef_.dtype, len(model.beta_)
    centred = graph.node("Sub", ["X", graph.constant("mean", model.mean_)], "centred")
    scaled = graph.node("Div", [centred, graph.constant("scale", model.scale_)], "scaled")
    columns = graph.node("Transpose", [scaled], "columns", perm=[1, 0])
    last = graph.constant("last", np.array([-1]))
    across = graph.node("Unsqueeze", [columns, last], "across")  # (D, N, 1)
    centers = graph.constant("centers", np.ascontiguousarray(model.centers_.T)[:, None, :])
    narrow = graph.constant("narrow", -model.beta_)
    n_rows = graph.node("Shape", ["X"], "n_rows", start=0, end=1)
    width = graph.constant("n_features", np.array([n_features]))
    shape = graph.node("Concat", [n_rows, width], "shape", axis=0)
    first = graph.node("ConstantOfShape", [shape], "first", value=graph.tensor(np.zeros(1, dtype)))
    body = graph.part("one_input")
    difference = body.node("Sub", ["x", "c"], "difference")
    term = body.node("Mul", [difference, difference], "square")
    if model.kind_ == "additive":
        term = body.node("Exp", [body.node("Mul", [term, narrow], "exponent")], "bell")
    body.node("Add", ["sum", term], "sum_out")
    loop = body.made(
        [
            body.value("sum", dtype, ["N", n_features]),
            body.value("x", dtype, ["N", 1]),
            body.value("c", dtype, [1, n_features]),
        ],
        [body.value("sum_out", dtype, ["N", n_features])],
    )
    total = graph.node("Scan", [first, across, centers], "total", body=loop, num_scan_inputs=2)
    if model.kind_ == "additive":
        return total
    return graph.node("Exp", [graph.node("Mul", [total, narrow], "exponents")], "features")


def _classify(graph: _Graph, features: str, weight: Array, bias: Array, names: Array) -> None:
    """Logits, the name of the largest, and softmax."""
    turned = graph.constant("weight", np.ascontiguousarray(weight.T))
    product = graph.node("MatMul", [features, turned], "product")
    logits = graph.node("Add", [product, graph.constant("bias", bias)], "logits")
    graph.node("Softmax", [logits], "probabilities", axis=1)
    number = graph.node("ArgMax", [logits], "number", axis=1, keepdims=0)
    graph.node("Gather", [graph.constant("classes", names), number], "label", axis=0)


def _network(model: Any) -> tuple[Any, Array, Array]:
    """The network, with weight (K, n) and bias (K,) of all its logits, calibrated or not."""
    check_is_fitted(model)
    network, scaling = model, None
    if isinstance(model, TemperatureScaling):
        network, scaling = model.estimator_, model._scaling
        if isinstance(network, FrozenEstimator):
            network = network.estimator
    if not isinstance(network, (SoftmaxClassifier, RBFClassifier)):
        raise TypeError(
            "to_onnx takes a SoftmaxClassifier, an RBFClassifier or a TemperatureScaling of one, "
            f"got {model!r}"
        )
    weight, bias = network.coef_, network.intercept_
    if len(weight) == 1:
        weight = np.concatenate([np.zeros_like(weight), weight])
        bias = np.concatenate([np.zeros_like(bias), bias])
    if scaling is not None:
        weight, bias = _scaled_layer(scaling, weight, bias)
    return network, weight, bias


def _scaled_layer(scaling: Scaling, weight: Array, bias: Array) -> tuple[Array, Array]:
    """The layer whose logits are the scaled ones.

    Each column of W, and b, is a row of K numbers to a scaling, which is linear but for its
    intercept; that belongs to b alone.
    """
    rows = np.concatenate([weight.T, bias[None]]).astype(np.float64)
    impossible = np.isneginf(bias)
    rows[:, impossible] = -np.inf
    rows = scaling.scaled(rows)
    if scaling.intercept is not None:
        rows[:-1] -= scaling.intercept
    rows[:-1, impossible] = 0.0
    return rows[:-1].T.astype(weight.dtype), rows[-1].astype(weight.dtype)


def _names(classes: Array) -> Array:
    """Class names as ONNX has them: text as objects, numbers and bool as they are."""
    if all(isinstance(name, str) for name in classes.tolist()):
        return classes.astype(object)
    if classes.dtype.kind in "biuf":
        return classes.astype(classes.dtype.newbyteorder("="))
    raise TypeError(
        f"class names of dtype {classes.dtype} have no type in ONNX: use text, integers, "
        "floats or bool"
    )
