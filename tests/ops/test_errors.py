"""Every error text of the array functions: what was expected, what came, what to do."""

import numpy as np
import pytest
from scipy import sparse

import crossent as ce

Z = np.zeros((3, 4))
T = [0, 1, 2]
Y = np.full((3, 4), 0.25)
READ_ONLY = np.zeros((3, 4))
READ_ONLY.flags.writeable = False


def masked(row, column):
    where = np.ones((3, 4), bool)
    where[row, column] = False
    return where


# (name, call, error, what the text says)
ERRORS = [
    ("complex", lambda: ce.softmax(Z * 1j), TypeError, "complex128: convert it first"),
    ("object", lambda: ce.softmax([None, 1]), TypeError, "dtype is object"),
    ("text", lambda: ce.softmax(["a"]), TypeError, "logits must hold real numbers"),
    ("longdouble", lambda: ce.softmax(np.zeros(3, np.longdouble)), TypeError, "float64, integers"),
    ("masked array", lambda: ce.softmax(np.ma.zeros(3)), TypeError, "the mask as `where`"),
    ("sparse", lambda: ce.softmax(sparse.csr_array(Z)), TypeError,
     r"logits is a sparse csr_array: pass logits.toarray\(\)"),
    ("sparse target", lambda: ce.cross_entropy(Z, sparse.csr_array(Y)), TypeError, "is a sparse"),
    ("ragged", lambda: ce.softmax([[1.0, 2.0], [3.0]]), ValueError, "not all of one length"),
    ("ragged target", lambda: ce.cross_entropy(Z, [[0], [1, 2]]), ValueError, "target is no array"),
    ("named labels", lambda: ce.cross_entropy(Z, ["a", "b", "a"]), TypeError, "return_inverse"),
    ("class weights by name", lambda: ce.cross_entropy(Z, T, class_weight={0: 2.0}), TypeError,
     r"array of 4 numbers, one for each class in their order, got \{0: 2.0\}"),
    ("balanced", lambda: ce.cross_entropy(Z, T, class_weight="balanced"), TypeError, "'balanced'"),
    ("masked out", lambda: ce.softmax(Z, out=np.ma.zeros((3, 4))), TypeError, "got MaskedArray"),
    ("axis bool", lambda: ce.softmax(Z, axis=True), TypeError, "one integer, got True"),
    ("masked labels", lambda: ce.cross_entropy(Z, np.ma.array(T)), TypeError, "target is a masked"),
    ("masked binary", lambda: ce.binary_cross_entropy(Z, np.ma.zeros((3, 4), int)), TypeError,
     "target is a masked"),
    ("too large for float32", lambda: ce.cross_entropy(Z.astype("f4"), Y * 1e40), ValueError,
     "not negative in float32"),
    ("temperature text", lambda: ce.cross_entropy(Z, T, temperature="2"), TypeError, "got '2'"),
    ("smoothing array", lambda: ce.cross_entropy(Z, T, label_smoothing=[0.1]), TypeError,
     "must be a number"),
    ("ignore_index", lambda: ce.cross_entropy(Z, T, ignore_index=1.5), TypeError, "one integer"),
    ("infinite mean", lambda: ce.cross_entropy(Z, T, sample_weight=[1e308] * 3), ValueError,
     "sum to inf"),
    ("tiny mean", lambda: ce.cross_entropy(Z, T, sample_weight=[5e-324, 0, 0]), ValueError,
     "nearer to 1"),
    ("complex cotangent", lambda: ce.gaussian_features_vjp(Z, Z, [1.0] * 3, Z @ Z.T * 1j),
     TypeError, "cotangent must hold real"),
    ("scalar", lambda: ce.softmax(1.0), ValueError, "single number"),
    ("no classes", lambda: ce.softmax(np.zeros((3, 0))), ValueError, "class axis 1 is empty"),
    ("axis range", lambda: ce.softmax(Z, axis=2), ValueError, "axis must be in -2 ... 1"),
    ("axis type", lambda: ce.softmax(Z, axis=0.5), TypeError, "axis must be one integer, got 0.5"),
    ("where dtype", lambda: ce.softmax(Z, where=[1, 0, 1, 1]), TypeError, "True keeps a class"),
    ("where shape", lambda: ce.softmax(Z, where=[True] * 3), ValueError, "does not broadcast"),
    ("out type", lambda: ce.softmax(Z, out=[]), TypeError, "out must be a NumPy array"),
    ("out shape", lambda: ce.softmax(Z, out=np.zeros(4)), ValueError, r"result has shape \(3, 4\)"),
    ("out dtype", lambda: ce.softmax(Z, out=np.zeros((3, 4), "f4")), ValueError, "dtype float64"),
    ("out read-only", lambda: ce.softmax(Z, out=READ_ONLY), ValueError, "out is read-only"),
    ("lse out", lambda: ce.logsumexp(Z, out=np.zeros(4)), ValueError, r"shape \(3,\)"),
    ("cotangent", lambda: ce.softmax_vjp(Y, [1.0]), ValueError,
     r"expected \(3, 4\) for probabilities"),
    ("tangent", lambda: ce.log_softmax_jvp(Z, [1.0]), ValueError, "tangent has shape"),
    ("lse cotangent", lambda: ce.logsumexp_vjp(Z, Z), ValueError, "without the class axis"),
    ("label high", lambda: ce.cross_entropy(Z, [0, 12, 1]), ValueError,
     r"labels\[1\] is 12, but there are 4 classes \(0 ... 3\)"),
    ("label low", lambda: ce.cross_entropy(Z, [0, 1, -1]), ValueError, "ignore_index"),
    ("label huge", lambda: ce.cross_entropy(Z, np.uint64([0, 1, 2**63 + 1])), ValueError,
     "labels.2. is 9223372036854775809"),
    ("label float", lambda: ce.cross_entropy(Z, [0.0, 1.0, 2.0]), TypeError, "astype"),
    ("label shape", lambda: ce.cross_entropy(Z, [0, 1]), ValueError, r"labels of shape \(3,\)"),
    ("label 2d", lambda: ce.cross_entropy(np.zeros((2, 2, 4)), [[0, 1], [9, 0]]), ValueError,
     r"labels\[1, 0\] is 9"),
    ("target negative", lambda: ce.cross_entropy(Z, Y * [1, 1, 1, -1]), ValueError,
     "targets of row 0 hold -0.25 for class 3"),
    ("target nan", lambda: ce.cross_entropy(Z, np.where(Y > 1, Y, np.nan)), ValueError, "nan"),
    ("target inf", lambda: ce.cross_entropy(Z, Y * np.inf), ValueError, "must be finite"),
    ("ignored targets", lambda: ce.cross_entropy(Z, Y, ignore_index=0), ValueError, "belongs to"),
    ("masked label", lambda: ce.cross_entropy(Z, T, where=masked(1, 1)), ValueError,
     r"labels\[1\] is 1, a class that `where` masks"),
    ("masked target", lambda: ce.cross_entropy(Z, Y, where=masked(2, 0)), ValueError, "row 2"),
    ("sample weight", lambda: ce.cross_entropy(Z, T, sample_weight=[1, -1, 1]), ValueError,
     r"sample_weight\[1\] is -1.0"),
    ("weight nan", lambda: ce.cross_entropy(Z, T, sample_weight=[1, 1, np.nan]), ValueError,
     "finite and not negative"),
    ("weight shape", lambda: ce.cross_entropy(Z, T, sample_weight=[1]), ValueError, "one weight"),
    ("class weight", lambda: ce.cross_entropy(Z, T, class_weight=[1, 1]), ValueError, "4 classes"),
    ("smoothing", lambda: ce.cross_entropy(Z, T, label_smoothing=1.5), ValueError, r"in \[0, 1\]"),
    ("smoothing type", lambda: ce.cross_entropy(Z, T, label_smoothing="a"), TypeError, "number"),
    ("temperature", lambda: ce.cross_entropy(Z, T, temperature=0), ValueError, "positive and"),
    ("temperature nan", lambda: ce.cross_entropy(Z, T, temperature=np.nan), ValueError, "got nan"),
    ("softcap", lambda: ce.cross_entropy(Z, T, softcap=-1.0), ValueError, "softcap"),
    ("z-loss", lambda: ce.cross_entropy(Z, T, z_loss=-1.0), ValueError, "z_loss must be finite"),
    ("reduction", lambda: ce.cross_entropy(Z, T, reduction="avg"), ValueError, "'none', 'sum'"),
    ("normalizer", lambda: ce.cross_entropy(Z, T, normalizer="rows"), ValueError, "'count'"),
    ("normalizer 0", lambda: ce.cross_entropy(Z, T, normalizer=0), ValueError, "positive"),
    ("normalizer bool", lambda: ce.cross_entropy(Z, T, normalizer=True), TypeError, "a number"),
    ("empty", lambda: ce.cross_entropy(Z, T, empty="none"), ValueError, "'nan', 'zero', 'raise'"),
    ("empty mean", lambda: ce.cross_entropy(Z[:0], [], empty="raise"), ValueError, "no rows"),
    ("empty rows", lambda: ce.cross_entropy(Z[:0], np.zeros(0, int), empty="raise"), ValueError,
     "the mean is over no rows"),
    ("unknown option", lambda: ce.cross_entropy_value_and_grad(Z, T, smoothing=1), TypeError,
     "smoothing"),
    ("binary label", lambda: ce.binary_cross_entropy([0.0], [2]), ValueError, "2 classes"),
    ("binary target", lambda: ce.binary_cross_entropy([0.0], [1.5]), ValueError, r"in \[0, 1\]"),
    ("binary shape", lambda: ce.binary_cross_entropy([0.0], [[1]]), ValueError, "target has shape"),
    ("beta", lambda: ce.gaussian_features(Z, Z, [1, 1, 0]), ValueError, r"beta\[2\] is 0.0"),
    ("one beta", lambda: ce.gaussian_features(Z, Z[:1], 1.0), ValueError,
     r"beta has shape \(\), expected \(1,\) for 1 centers"),
    ("beta shape", lambda: ce.gaussian_features(Z, Z, [1.0]), ValueError, "3 centers"),
    ("centers", lambda: ce.gaussian_features(Z, Z.T, [1.0] * 4), ValueError, "one center a"),
    ("kind", lambda: ce.gaussian_features(Z, Z, [1.0] * 3, kind="rbf"), ValueError, "'radial'"),
    ("features vjp", lambda: ce.gaussian_features_vjp(Z, Z, [1.0] * 3, Z), ValueError, "features"),
    ("weight columns", lambda: ce.linear_cross_entropy(Z, Z.T, T), ValueError, r"\(K, 4\)"),
    ("bias", lambda: ce.linear_cross_entropy(Z, Z, T, bias=[1.0]), ValueError, "3 classes"),
    ("workspace", lambda: ce.linear_cross_entropy(Z, Z, T, workspace_bytes=1), ValueError,
     "needs .* at least"),
    ("workspace type", lambda: ce.linear_cross_entropy(Z, Z, T, workspace_bytes="1G"), TypeError,
     "must be one integer"),
    ("needs", lambda: ce.linear_cross_entropy_value_and_grad(Z, Z, T, needs=("x",)), ValueError,
     "each of needs"),
    ("needs text", lambda: ce.linear_cross_entropy_value_and_grad(Z, Z, T, needs="bias"),
     TypeError, "tuple of names"),
    ("no cotangent", lambda: ce.linear_cross_entropy_value_and_grad(Z, Z, T, reduction="none"),
     ValueError, "needs a cotangent"),
    ("cotangent of a mean", lambda: ce.linear_cross_entropy_value_and_grad(Z, Z, T, cotangent=T),
     ValueError, "leave it out"),
    ("tangents", lambda: ce.linear_cross_entropy_jvp(Z, Z, T, tangents=Z), TypeError,
     r"LinearGradients\(inputs, weight, bias\)"),
    ("tangent shape", lambda: ce.linear_cross_entropy_jvp(Z, Z, T, tangents=(T, None, None)),
     ValueError, "tangents.inputs has shape"),
    ("tangent of no bias", lambda: ce.linear_cross_entropy_hvp(Z, Z, T, tangents=(None, None, T)),
     ValueError, "there is no bias"),
    ("top_k", lambda: ce.linear_statistics(Z, Z, top_k=4), ValueError, r"top_k must be in 0 ... 3"),
    ("threads", lambda: ce.set_num_threads(0), ValueError, r"in 1 ... 1024"),
    ("threads type", lambda: ce.set_num_threads("2"), TypeError, "must be one integer"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "text"), [e[1:] for e in ERRORS],
                         ids=[e[0] for e in ERRORS])  # fmt: skip
def test_errors_say_what_to_do(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_a_bad_argument_is_found_before_anything_is_written():
    out = np.full((3, 4), 7.0)
    with pytest.raises(ValueError, match="labels"):
        ce.cross_entropy_value_and_grad(Z, [0, 1, 9], out=out)
    assert (out == 7.0).all()
