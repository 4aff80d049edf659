"""How a linear layer's work is cut: the one file where measurements decide.

Measured with OpenBLAS 0.3.31 on two cores (AVX-512, 2 MiB of L2 each), float32, GF/s of
``z = x W^T``, ``dx = G W``, ``dW = G^T x`` for blocks of so many rows; a square product: 320.

==================  =============  =============  =============  =============
n, K                256 rows       512            1024           4096
==================  =============  =============  =============  =============
256, 32000          291  264  291  350  309  309  364  328  316
768, 50257          318  313  342  329  329  335  351  319  340
64, 100000          225  235  175  226  234  204
100, 1000           264  262  227  277  271  246  287  218  249  309  288  263
784, 10              49   36   42   54   34   51   51   67   55   48   55   59
20, 5                13   12   14   16   15   19   17   18   22   19   19   24
==================  =============  =============  =============  =============

The compiled kernels' products of 512 rows beside the BLAS's in the same run, theirs adding the last
one to what is there, which costs the BLAS another pass over it:

==================  =============  =============
n, K                compiled       BLAS
==================  =============  =============
256, 32000          282  269  244  260  239  240
768, 50257          288  251  290  281  269  296
64, 100000          235  196  178  177  184  137
==================  =============  =============

More rows gain nothing that shows: 1536 x 128 x 32000 took one thread 974, 997, 947 and 983 ms in
blocks of 256, 384, 512 and 768.

Few classes, one thread's milliseconds with all rows in one kernel and in blocks: 200000 x 20 x 5
9.5 and 10.0, 12000 x 784 x 10 64.5 and 63.9, 20000 x 100 x 32 8.2 and 9.0, 20000 x 100 x 64 9.2 and
10.3. With more threads the kernel's wait for each other once a call, and not four times a block.

One loop whose products use the BLAS's threads reaches what two loops with one thread each reach,
within 10 % (20 x 5: 30 %), in half the memory; so there is one loop.
"""

from __future__ import annotations

__all__ = [
    "FEW_CLASSES",
    "MOST_FEW_BYTES",
    "PRODUCT_ELEMENTS",
    "default_workspace",
    "most_block_rows",
]

PRODUCT_ELEMENTS = 1 << 20
"""Of a piece of a product that is added to what is there, or of an operand that is converted."""

FEW_CLASSES = 64
"""Up to here all rows go through one kernel; no more than 64, which is what it has room for."""

_LEAST_BYTES, _MOST_BYTES = 64 << 20, 256 << 20
_GOOD_ROWS, _MOST_ROWS = 512, 16384
_BLOCK_ELEMENTS = 4 << 20

MOST_FEW_BYTES = _LEAST_BYTES
"""Of the kernel for few classes, where no workspace is given."""


def default_workspace(row_bytes: int) -> int:
    """64 MiB; up to 256 MiB where that holds fewer than 256 rows."""
    return min(max(_LEAST_BYTES, 256 * row_bytes * 4 // 3), _MOST_BYTES)


def most_block_rows(n_features: int, n_classes: int) -> int:
    """Rows beyond which a block only leaves the cache, and the products gain nothing."""
    wide = _BLOCK_ELEMENTS // (n_features + n_classes)
    return min(max(wide, _GOOD_ROWS), _MOST_ROWS)
