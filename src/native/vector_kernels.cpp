// Products and sums of long vectors, compiled once for each instruction set.
#include "table.h"
#include "vectors.h"

namespace crossent::CROSSENT_ISA {

extern const VectorKernels vector_kernels;

constexpr VectorKernels vector_kernels = {
    WIDE(vector_products),
    WIDE(vector_sum),
};

}  // namespace crossent::CROSSENT_ISA
