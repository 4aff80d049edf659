"""One set of kernels on two floors with the same signatures: compiled, and in NumPy.

``_floor`` picks one at import; ``KERNELS`` is "native" or "numpy", ``ISA`` the instruction set.
"""

from __future__ import annotations

from ._class_sums import ClassBlock, ClassSums
from ._floor import ISA, KERNELS, floor, get_num_threads, set_num_threads

__all__ = [
    "ISA",
    "KERNELS",
    "ClassBlock",
    "ClassSums",
    "binary_cross_entropy_elements",
    "cross_entropy_columns",
    "cross_entropy_hvp_rows",
    "cross_entropy_jvp_rows",
    "cross_entropy_rows",
    "first_bad_label",
    "first_outside",
    "gaussian_features_rows",
    "gaussian_features_vjp_rows",
    "get_num_threads",
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
    "set_num_threads",
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

softmax_rows = floor.softmax_rows
softmax_vjp_rows = floor.softmax_vjp_rows
log_softmax_rows = floor.log_softmax_rows
log_softmax_vjp_rows = floor.log_softmax_vjp_rows
log_softmax_jvp_rows = floor.log_softmax_jvp_rows
logsumexp_rows = floor.logsumexp_rows
logsumexp_vjp_rows = floor.logsumexp_vjp_rows
logsumexp_jvp_rows = floor.logsumexp_jvp_rows
first_bad_label = floor.first_bad_label
first_outside = floor.first_outside
cross_entropy_rows = floor.cross_entropy_rows
cross_entropy_jvp_rows = floor.cross_entropy_jvp_rows
cross_entropy_hvp_rows = floor.cross_entropy_hvp_rows
sigmoid_elements = floor.sigmoid_elements
binary_cross_entropy_elements = floor.binary_cross_entropy_elements
gaussian_features_rows = floor.gaussian_features_rows
gaussian_features_vjp_rows = floor.gaussian_features_vjp_rows
radial_products_rows = floor.radial_products_rows
radial_products_vjp_rows = floor.radial_products_vjp_rows
softmax_columns = floor.softmax_columns
logsumexp_columns = floor.logsumexp_columns
log_softmax_columns = floor.log_softmax_columns
softmax_vjp_columns = floor.softmax_vjp_columns
log_softmax_vjp_columns = floor.log_softmax_vjp_columns
logsumexp_vjp_columns = floor.logsumexp_vjp_columns
matrix_product = floor.matrix_product
sparse_logits_rows = floor.sparse_logits_rows
sparse_sums_rows = floor.sparse_sums_rows
turned_matrix = floor.turned_matrix
vector_products = floor.vector_products
vector_sum = floor.vector_sum
linear_cross_entropy_rows = floor.linear_cross_entropy_rows
cross_entropy_columns = floor.cross_entropy_columns
