// Matrix products, compiled once for each instruction set.
#include "products.h"
#include "table.h"

namespace crossent::CROSSENT_ISA {

extern const ProductKernels product_kernels;

constexpr ProductKernels product_kernels = {
    WIDE(plan_product),
    WIDE(product_tiles),
};

}  // namespace crossent::CROSSENT_ISA
