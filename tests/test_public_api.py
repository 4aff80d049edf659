"""The public surface is exact: these names, these signatures, each documented with what runs."""

import doctest
import importlib
import inspect
import pathlib
import re

import pytest

import crossent

OPTIONS = (
    "class_weight=None, sample_weight=None, ignore_index=None, label_smoothing=0.0, "
    "temperature=1.0, softcap=None, z_loss=0.0, where=None, reduction='mean', normalizer='weight', "
    "empty='nan'"
)
BINARY_OPTIONS = OPTIONS.replace("softcap=None, z_loss=0.0, where=None, ", "")
ESTIMATOR_OPTIONS = (
    "fit_intercept=True, class_weight=None, label_smoothing=0.0, solver='auto', tol=0.0001, "
    "max_iter=1000, warm_start=False, workspace_bytes=None, dtype='auto', random_state=None, "
    "verbose=0, callback=None, early_stopping=False, validation_fraction=0.1, n_iter_no_change=10"
)

FUNCTIONS = {
    "softmax": "logits, *, axis=-1, where=None, out=None",
    "softmax_vjp": "probabilities, cotangent, *, axis=-1, out=None",
    "softmax_jvp": "probabilities, tangent, *, axis=-1, out=None",
    "softmax_jacobian": "probabilities",
    "log_softmax": "logits, *, axis=-1, where=None, out=None",
    "log_softmax_vjp": "log_probabilities, cotangent, *, axis=-1, out=None",
    "log_softmax_jvp": "log_probabilities, tangent, *, axis=-1, out=None",
    "log_softmax_jacobian": "log_probabilities",
    "logsumexp": "logits, *, axis=-1, where=None, keepdims=False, out=None",
    "logsumexp_vjp": "logits, cotangent, *, axis=-1, out=None",
    "logsumexp_jvp": "logits, tangent, *, axis=-1",
    "cross_entropy": f"logits, target, *, axis=-1, {OPTIONS}",
    "cross_entropy_value_and_grad": "logits, target, *, axis=-1, out=None, **options",
    "cross_entropy_jvp": "logits, target, tangent, *, axis=-1, **options",
    "cross_entropy_hvp": (
        "logits, target, tangent, *, axis=-1, gauss_newton=False, out=None, **options"
    ),
    "sigmoid": "x, *, out=None",
    "binary_cross_entropy": f"logits, target, *, {BINARY_OPTIONS}",
    "binary_cross_entropy_value_and_grad": "logits, target, *, out=None, **options",
    "linear_cross_entropy": (
        "inputs, weight, target, *, bias=None, workspace_bytes=None, deterministic=False, **options"
    ),
    "linear_cross_entropy_value_and_grad": (
        "inputs, weight, target, *, bias=None, workspace_bytes=None, deterministic=False, "
        "needs=('inputs', 'weight', 'bias'), cotangent=None, **options"
    ),
    "linear_cross_entropy_jvp": (
        "inputs, weight, target, *, tangents, bias=None, workspace_bytes=None, "
        "deterministic=False, **options"
    ),
    "linear_cross_entropy_hvp": (
        "inputs, weight, target, *, tangents, bias=None, gauss_newton=False, workspace_bytes=None, "
        "deterministic=False, needs=('inputs', 'weight', 'bias'), cotangent=None, **options"
    ),
    "sample": "logits, size=None, *, axis=-1, where=None, rng",
    "linear_sample": "inputs, weight, size=None, *, bias=None, workspace_bytes=None, rng",
    "linear_sampled_cross_entropy_value_and_grad": (
        "inputs, weight, labels, sampled, *, log_expected, label_log_expected=0.0, bias=None, "
        "sample_weight=None, reduction='mean', needs=('inputs', 'weight', 'bias')"
    ),
    "linear_statistics": (
        "inputs, weight, target=None, *, bias=None, top_k=0, workspace_bytes=None"
    ),
    "gaussian_features": "inputs, centers, beta, *, kind='additive', out=None",
    "gaussian_features_vjp": (
        "inputs, centers, beta, cotangent, *, kind='additive', needs=('inputs', 'centers', 'beta')"
    ),
    "set_num_threads": "n",
    "get_num_threads": "",
    "build_info": "",
}
ESTIMATORS = {
    "SoftmaxClassifier": f"C=1.0, *, {ESTIMATOR_OPTIONS}",
    "RBFClassifier": (
        "n_centers='auto', *, kind='radial', centers='kmeans', train_centers=True, "
        f"train_beta=True, train_scale=True, C=1.0, {ESTIMATOR_OPTIONS}"
    ),
    "TemperatureScaling": "estimator, *, method='temperature', cv=None, C=0.01, n_jobs=None",
}
RESULTS = {
    "LinearGradients": ("inputs", "weight", "bias"),
    "LinearStatistics": ("lse", "log_probability", "entropy", "argmax", "top_k"),
    "GaussianGradients": ("inputs", "centers", "beta"),
    "SampledGradients": ("inputs", "classes", "weight", "bias"),
    "TopKTargets": ("indices", "probabilities", "tail"),
}
PUBLIC = [*FUNCTIONS, *ESTIMATORS]
MODULES = (
    "bench", "boosting", "estimators", "metrics", "torch", "torch.integrations.transformers",
    "torch.nn", "verify",
)  # fmt: skip
ELSEWHERE = [
    f"{module}.{name}"
    for module in map("crossent.{}".format, MODULES)
    for name in importlib.import_module(module).__all__
    if inspect.isfunction(getattr(importlib.import_module(module), name))
]


def parameters_of(public) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(public).parameters)


def written(public) -> str:
    """Return the signature without annotations, as the tables above write it."""
    bare = [p.replace(annotation=p.empty) for p in parameters_of(public).values()]
    return str(inspect.Signature(bare))[1:-1]


def section(public, name: str) -> str:
    """Return the body of one numpydoc section, or an empty string."""
    text = inspect.getdoc(public) or ""
    found = re.search(rf"^{name}\n-+\n(.*?)(?=^\S[^\n]*\n---|\Z)", text, re.MULTILINE | re.DOTALL)
    return found.group(1) if found else ""


def documented(public) -> list[str]:
    """Return the names that the Parameters section describes."""
    heads = re.findall(r"^(?! )(.+?)(?: :.*)?$", section(public, "Parameters"), re.MULTILINE)
    return [name.strip(" *") for head in heads for name in head.split(",")]


def test_all_is_exact():
    assert sorted(crossent.__all__) == sorted([*PUBLIC, *RESULTS, "BuildInfo", "__version__"])


def test_dir_shows_what_is_public():
    assert set(crossent.__all__) <= set(dir(crossent))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="sotfmax"):
        crossent.sotfmax  # noqa: B018


@pytest.mark.parametrize("name", PUBLIC)
def test_signature(name):
    assert written(getattr(crossent, name)) == (FUNCTIONS | ESTIMATORS)[name]


@pytest.mark.parametrize("name", RESULTS)
def test_results_are_named_tuples(name):
    assert getattr(crossent, name)._fields == RESULTS[name]


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_is_complete(name):
    public = getattr(crossent, name)
    first, blank, *_ = [*(inspect.getdoc(public) or "").splitlines(), "", ""]
    assert first.endswith("."), "one line that says what it is"
    assert blank == ""
    assert sorted(documented(public)) == sorted(parameters_of(public))
    assert ">>> " in section(public, "Examples")
    if not inspect.isclass(public):
        assert section(public, "Returns") or name == "set_num_threads"
    if parameters_of(public) and not inspect.isclass(public):
        assert section(public, "Raises")


def failed_examples(public, name: str, known: dict | None = None) -> str:
    """Run every example of a docstring, nothing `known` beforehand; report those that failed."""
    finder = doctest.DocTestFinder(recurse=inspect.isclass(public))
    found = [test for test in finder.find(public, name, globs=known or {}) if test.examples]
    assert found, f"{name} has no example"
    report: list[str] = []
    for test in found:
        doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS).run(
            test, out=report.append
        )
    return "".join(report)


@pytest.mark.parametrize("name", [*PUBLIC, "TopKTargets"])
def test_examples_run(name):
    assert failed_examples(getattr(crossent, name), name) == ""


@pytest.mark.parametrize("name", ELSEWHERE)
def test_examples_run_in_their_module(name):
    module = importlib.import_module(name.rpartition(".")[0])
    public = getattr(module, name.rpartition(".")[2])
    assert failed_examples(public, name, vars(module)) == ""


def test_a_wrong_example_is_seen():
    def wrong():
        """.

        >>> 1 + 1
        3
        """

    assert "Expected:\n    3\nGot:\n    2" in failed_examples(wrong, "wrong")


def test_the_types_are_there_for_others():
    """Without this file the checkers of other projects read none of the type hints."""
    assert (pathlib.Path(crossent.__file__).parent / "py.typed").is_file()
