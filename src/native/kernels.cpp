// All kernels of one instruction set, compiled once for each with -DCROSSENT_ISA=<name>.
#include "binary.h"
#include "cross_entropy_general.h"
#include "gaussian.h"
#include "softmax.h"

#define NAME_OF(isa) TEXT_OF(isa)
#define TEXT_OF(isa) #isa
#define ALL(kernel) {kernel<Float16>, kernel<BFloat16>, kernel<float>, kernel<double>}
#define WIDE(kernel) {nullptr, nullptr, kernel<float>, kernel<double>}

namespace crossent::CROSSENT_ISA {

extern const KernelTable kernels;

constexpr KernelTable kTable = {
    NAME_OF(CROSSENT_ISA),
    ALL(softmax_rows),
    ALL(log_softmax_rows),
    ALL(logsumexp_rows),
    ALL(softmax_vjp_rows),
    ALL(log_softmax_vjp_rows),
    ALL(log_softmax_jvp_rows),
    ALL(logsumexp_vjp_rows),
    ALL(logsumexp_jvp_rows),
    ALL(cross_entropy_rows),
    ALL(cross_entropy_general_rows),
    ALL(cross_entropy_jvp_rows),
    ALL(cross_entropy_hvp_rows),
    ALL(sigmoid_elements),
    ALL(binary_cross_entropy_elements),
    WIDE(gaussian_features_rows),
    WIDE(gaussian_inputs_vjp_rows),
    WIDE(gaussian_parameters_vjp_tiles),
    {kLanes<Float16>, kLanes<BFloat16>, kLanes<float>, kLanes<double>},
};

const KernelTable kernels = kTable;

}  // namespace crossent::CROSSENT_ISA
