"""The compiled kernels: the signatures of ``_numpy``, and the choice of an instruction set."""

from ._numpy import binary_cross_entropy_elements as binary_cross_entropy_elements
from ._numpy import cross_entropy_columns as cross_entropy_columns
from ._numpy import cross_entropy_hvp_rows as cross_entropy_hvp_rows
from ._numpy import cross_entropy_jvp_rows as cross_entropy_jvp_rows
from ._numpy import cross_entropy_rows as cross_entropy_rows
from ._numpy import first_bad_label as first_bad_label
from ._numpy import first_outside as first_outside
from ._numpy import gaussian_features_rows as gaussian_features_rows
from ._numpy import gaussian_features_vjp_rows as gaussian_features_vjp_rows
from ._numpy import log_softmax_columns as log_softmax_columns
from ._numpy import log_softmax_jvp_rows as log_softmax_jvp_rows
from ._numpy import log_softmax_rows as log_softmax_rows
from ._numpy import log_softmax_vjp_columns as log_softmax_vjp_columns
from ._numpy import log_softmax_vjp_rows as log_softmax_vjp_rows
from ._numpy import logsumexp_columns as logsumexp_columns
from ._numpy import logsumexp_jvp_rows as logsumexp_jvp_rows
from ._numpy import logsumexp_rows as logsumexp_rows
from ._numpy import logsumexp_vjp_columns as logsumexp_vjp_columns
from ._numpy import logsumexp_vjp_rows as logsumexp_vjp_rows
from ._numpy import matrix_product as matrix_product
from ._numpy import radial_products_rows as radial_products_rows
from ._numpy import radial_products_vjp_rows as radial_products_vjp_rows
from ._numpy import sigmoid_elements as sigmoid_elements
from ._numpy import softmax_columns as softmax_columns
from ._numpy import softmax_rows as softmax_rows
from ._numpy import softmax_vjp_columns as softmax_vjp_columns
from ._numpy import softmax_vjp_rows as softmax_vjp_rows
from ._numpy import sparse_logits_rows as sparse_logits_rows
from ._numpy import sparse_sums_rows as sparse_sums_rows
from ._numpy import turned_matrix as turned_matrix
from ._numpy import vector_products as vector_products
from ._numpy import vector_sum as vector_sum

def set_num_threads(n: int) -> None: ...
def get_num_threads() -> int: ...
def available_isas() -> tuple[str, ...]: ...
def use(isa: str) -> None: ...
