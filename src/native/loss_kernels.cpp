// Cross-entropy and its derivatives, row by row, compiled once for each instruction set.
#include "binary.h"
#include "cross_entropy_general.h"
#include "few_derivatives.h"
#include "labelled_derivatives.h"
#include "labelled_rows.h"
#include "labels.h"
#include "table.h"

namespace crossent::CROSSENT_ISA {

extern const LossKernels loss_kernels;

constexpr LossKernels loss_kernels = {
    ROWS(cross_entropy, kSmall),
    ALL(cross_entropy_general_rows),
    ALL(cross_entropy_jvp_rows),
    ALL(cross_entropy_hvp_rows),
    ROWS(labelled_jvp, kSmall),
    ROWS(labelled_hvp, kSmall),
    ALL(binary_cross_entropy_elements),
    first_bad_label,
    ALL(first_outside),
};

}  // namespace crossent::CROSSENT_ISA
