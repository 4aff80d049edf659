"""Every kernel as its formula: the floor to read, and the one in use where nothing was compiled.

One notation (docs/notation.md): z logits, a their row maximum, p probabilities, l logsumexp,
y targets, g what comes back, v what goes forward. Arguments are trusted: the doors in ``ops``
have checked them. Arrays are C-contiguous; rows are (M, K); results go into the last arguments,
which may be the memory of the first. Work is done block of rows by block of rows, so that the
temporaries of a formula stay in cache and never grow with M.

float16, bfloat16 and float32 are computed in float64 and rounded once; float64 is computed in
float64, with the rounding error of every subtraction z - a carried into the exponential.
"""

from __future__ import annotations

from ._binary import binary_cross_entropy_elements, sigmoid_elements
from ._columns import (
    cross_entropy_columns,
    log_softmax_columns,
    log_softmax_vjp_columns,
    logsumexp_columns,
    logsumexp_vjp_columns,
    softmax_columns,
    softmax_vjp_columns,
)
from ._cross_entropy import (
    cross_entropy_hvp_rows,
    cross_entropy_jvp_rows,
    cross_entropy_rows,
    first_bad_label,
    first_outside,
)
from ._gaussian_features import gaussian_features_rows, gaussian_features_vjp_rows
from ._products import linear_cross_entropy_rows, matrix_product
from ._radial_products import radial_products_rows, radial_products_vjp_rows
from ._softmax import (
    log_softmax_jvp_rows,
    log_softmax_rows,
    log_softmax_vjp_rows,
    logsumexp_jvp_rows,
    logsumexp_rows,
    logsumexp_vjp_rows,
    softmax_rows,
    softmax_vjp_rows,
)
from ._sparse import sparse_logits_rows, sparse_sums_rows, turned_matrix
from ._vectors import vector_products, vector_sum

__all__ = [
    "binary_cross_entropy_elements",
    "cross_entropy_columns",
    "cross_entropy_hvp_rows",
    "cross_entropy_jvp_rows",
    "cross_entropy_rows",
    "first_bad_label",
    "first_outside",
    "gaussian_features_rows",
    "gaussian_features_vjp_rows",
    "linear_cross_entropy_rows",
    "log_softmax_columns",
    "log_softmax_jvp_rows",
    "log_softmax_rows",
    "log_softmax_vjp_columns",
    "log_softmax_vjp_rows",
    "logsumexp_columns",
    "logsumexp_jvp_rows",
    "logsumexp_rows",
    "logsumexp_vjp_columns",
    "logsumexp_vjp_rows",
    "matrix_product",
    "radial_products_rows",
    "radial_products_vjp_rows",
    "sigmoid_elements",
    "softmax_columns",
    "softmax_rows",
    "softmax_vjp_columns",
    "softmax_vjp_rows",
    "sparse_logits_rows",
    "sparse_sums_rows",
    "turned_matrix",
    "vector_products",
    "vector_sum",
]
