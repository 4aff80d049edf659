// Softmax, its logarithm and their derivatives, row by row, compiled once for each instruction set.
#include "binary.h"
#include "few_classes.h"
#include "rows.h"
#include "table.h"

namespace crossent::CROSSENT_ISA {

extern const SoftmaxKernels softmax_kernels;

constexpr SoftmaxKernels softmax_kernels = {
    ROWS(softmax, kSmall),
    ROWS(log_softmax, kSmall),
    ROWS(logsumexp, kSmall),
    ROWS(softmax_vjp, kSplit),
    ROWS(log_softmax_vjp, kSplit),
    ALL(log_softmax_jvp_rows),
    ROWS(logsumexp_vjp, kSmall),
    ALL(logsumexp_jvp_rows),
    ALL(sigmoid_elements),
};

}  // namespace crossent::CROSSENT_ISA
