"""Sparse rows: the same model as from dense ones, and never a dense copy."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse as sp

from crossent import SoftmaxClassifier


def table(n_samples=300, n_inputs=30, n_classes=4, seed=0):
    rng = np.random.default_rng(seed)
    X = sp.random(n_samples, n_inputs, density=0.2, random_state=rng, format="csr")
    X.data += 1.0
    scores = X @ rng.normal(size=(n_inputs, n_classes)) + rng.gumbel(size=(n_samples, n_classes))
    return X, scores.argmax(axis=1), rng.uniform(0.5, 2.0, n_samples)


def words(n_samples, n_inputs, n_classes, length=30):
    """Rows of a few columns each, some of which tell the class."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, n_classes, n_samples)
    columns = rng.integers(0, n_inputs, (n_samples, length))
    columns[:, 0] = y
    starts = np.arange(0, n_samples * length + 1, length)
    parts = (np.ones(columns.size), columns.ravel(), starts)
    return sp.csr_matrix(parts, shape=(n_samples, n_inputs)), y


@pytest.mark.parametrize("form", ["csr_matrix", "csr_array", "csc_matrix", "coo_array"])
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_sparse_rows_give_the_model_of_dense_ones(form, n_classes, fit_intercept):
    X, y, weight = table(n_classes=n_classes)
    options = {"tol": 1e-9, "fit_intercept": fit_intercept, "label_smoothing": 0.05}
    options["class_weight"] = {0: 2.0, 1: 0.5}
    dense = SoftmaxClassifier(**options).fit(X.toarray(), y, sample_weight=weight)
    sparse = SoftmaxClassifier(**options).fit(getattr(sp, form)(X), y, sample_weight=weight)
    np.testing.assert_allclose(sparse.coef_, dense.coef_, atol=1e-4)
    np.testing.assert_allclose(sparse.intercept_, dense.intercept_, atol=1e-4)
    names = ["predict_proba", "predict_log_proba", "decision_function", "predict"]
    for name in names:
        found = getattr(dense, name)
        np.testing.assert_allclose(found(getattr(sp, form)(X)), found(X.toarray()), rtol=1e-9)


def test_sparse_rows_with_targets_and_absent_rows():
    X, y, weight = table()
    weight[::3] = 0.0
    targets = np.random.default_rng(1).dirichlet(np.ones(4), len(y))
    dense = SoftmaxClassifier(tol=1e-9).fit(X.toarray(), targets, weight, classes=range(4))
    sparse = SoftmaxClassifier(tol=1e-9).fit(X, targets, weight, classes=range(4))
    np.testing.assert_allclose(sparse.coef_, dense.coef_, atol=1e-4)


def test_sparse_float32_stays_float32_and_read_only_rows_are_taken():
    X, y, _ = table()
    single = X.astype(np.float32)
    for part in (single.data, single.indices, single.indptr):
        part.flags.writeable = False
    model = SoftmaxClassifier().fit(single, y)
    assert model.coef_.dtype == model.predict_proba(single).dtype == np.float32
    np.testing.assert_allclose(model.coef_, SoftmaxClassifier().fit(X, y).coef_, atol=2e-2)


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_columns_may_come_in_any_order_and_more_than_once(index):
    X, y, _ = table()
    rng = np.random.default_rng(3)
    halves = sp.vstack([X / 2, X / 2]).tocoo()
    order = rng.permutation(halves.nnz)
    row = halves.row[order] % X.shape[0]
    order = order[np.argsort(row, kind="stable")]
    starts = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=X.shape[0]))])
    mixed = sp.csr_matrix(
        (halves.data[order], halves.col[order].astype(index), starts.astype(index)), X.shape
    )
    mixed.indices, mixed.indptr = mixed.indices.astype(index), mixed.indptr.astype(index)
    assert not mixed.has_canonical_format
    model, other = (SoftmaxClassifier(tol=1e-9).fit(rows, y) for rows in (X, mixed))
    np.testing.assert_allclose(other.coef_, model.coef_, atol=1e-6)
    np.testing.assert_allclose(other.predict_proba(mixed), model.predict_proba(X), rtol=1e-6)


def test_columns_that_are_not_there_are_refused():
    X, y, _ = table()
    model = SoftmaxClassifier().fit(X, y)
    X.indices[7] = X.shape[1]
    with pytest.raises(ValueError, match="columns below 0, or beyond"):
        model.predict(X)


def test_blocks_of_sparse_rows_add_up():
    X, y, _ = table(n_samples=2000)
    whole = SoftmaxClassifier(tol=1e-9).fit(X, y)
    parts = SoftmaxClassifier(tol=1e-9, workspace_bytes=1 << 14).fit(X, y)
    np.testing.assert_allclose(parts.coef_, whole.coef_, atol=1e-4)
    np.testing.assert_allclose(parts.predict_proba(X), whole.predict_proba(X), atol=1e-4)


def test_a_million_columns_stay_sparse():
    """Dense rows would be 16 GB; what is held are the pairs of L-BFGS and a few gradients."""
    X, y = words(2000, 1_000_000, 4)
    tracemalloc.start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SoftmaxClassifier(max_iter=3).fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    of_parameters = 8 * model.coef_.size
    assert peak < 26 * of_parameters  # measured: 23.5
    assert model.score(X, y) > 0.9
