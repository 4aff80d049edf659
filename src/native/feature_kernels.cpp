// Gaussian features and their derivatives, compiled once for each instruction set.
#include "gaussian.h"
#include "radial.h"
#include "table.h"

namespace crossent::CROSSENT_ISA {

extern const FeatureKernels feature_kernels;

constexpr FeatureKernels feature_kernels = {
    WIDE(additive_features_rows),
    WIDE(gaussian_inputs_vjp_rows),
    WIDE(gaussian_parameters_vjp_tiles),
    {kLanes<Float16>, kLanes<BFloat16>, kLanes<float>, kLanes<double>},
    {0, 0, kWide<float>, kWide<double>},
    WIDE(radial_panels),
    WIDE(radial_features_rows),
    WIDE(radial_vjp_parts),
    WIDE(radial_vjp_totals),
};

}  // namespace crossent::CROSSENT_ISA
