// Products with sparse rows, compiled once for each instruction set.
#include "sparse.h"
#include "table.h"

namespace crossent::CROSSENT_ISA {

extern const SparseKernels sparse_kernels;

constexpr SparseKernels sparse_kernels = {
    WIDE(sparse_logits),
    WIDE(sparse_sums),
    WIDE(turned),
};

}  // namespace crossent::CROSSENT_ISA
