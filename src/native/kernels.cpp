// All kernels of one instruction set, compiled once for each with -DCROSSENT_ISA=<name>.
#include "binary.h"
#include "columns.h"
#include "cross_entropy_general.h"
#include "few_classes.h"
#include "gaussian.h"
#include "labelled_derivatives.h"
#include "labelled_rows.h"
#include "labels.h"
#include "plane_derivatives.h"
#include "planes.h"
#include "products.h"
#include "radial.h"

#define NAME_OF(isa) TEXT_OF(isa)
#define TEXT_OF(isa) #isa
#define ALL(kernel) {kernel<Float16>, kernel<BFloat16>, kernel<float>, kernel<double>}
#define WIDE(kernel) {nullptr, nullptr, kernel<float>, kernel<double>}

namespace crossent::CROSSENT_ISA {

namespace {

// A kernel for rows of a few classes, another for longer ones.
template <auto few, auto many, int64_t most_of_few, class Call>
auto by_length(const Call& call, int64_t begin, int64_t end) {
  const StreamEnd end_of_stream{call.streamed};
  return (call.n_classes <= most_of_few ? few : many)(call, begin, end);
}

// Columns of a few classes, or of more as they lie.
template <auto few, auto planes, int64_t most_of_few>
void columns_by_length(const ColumnsCall& call, int64_t begin, int64_t end) {
  (call.n_classes <= most_of_few ? few : planes)(call, begin, end);
}

// The same, or turned into rows.
template <auto few, auto planes, auto rows>
auto columns_by_shape(const ColumnsCall& call, int64_t begin, int64_t end) {
  if (call.n_classes <= kSmall) return few(call, begin, end);
  return (call.planes ? planes : rows)(call, begin, end);
}

}  // namespace

#define ROWS(name, most)                                                                       \
  {BY_LENGTH(name, most, Float16), BY_LENGTH(name, most, BFloat16), BY_LENGTH(name, most, float), \
   BY_LENGTH(name, most, double)}
#define BY_LENGTH(name, most, T) by_length<name##_few<T>, name##_rows<T>, most>
#define COLUMNS(walk, name)                                                                          \
  {COLUMNS_OF(walk, name, Float16), COLUMNS_OF(walk, name, BFloat16), COLUMNS_OF(walk, name, float), \
   COLUMNS_OF(walk, name, double)}
#define COLUMNS_OF(walk, name, T) \
  columns_by_shape<name##_few_columns<T>, name##_planes<T>, walk<T, name##_rows<Compute<T>>>>
#define VJP_COLUMNS(name, most)                                                        \
  {VJP_COLUMNS_OF(name, most, Float16), VJP_COLUMNS_OF(name, most, BFloat16),          \
   VJP_COLUMNS_OF(name, most, float), VJP_COLUMNS_OF(name, most, double)}
#define VJP_COLUMNS_OF(name, most, T) columns_by_length<name##_few_columns<T>, name##_planes<T>, most>
#define GENERAL(T) loss_columns<T, cross_entropy_general_rows<Compute<T>>>

extern const KernelTable kernels;

constexpr KernelTable kTable = {
    NAME_OF(CROSSENT_ISA),
    ROWS(softmax, kSmall),
    ROWS(log_softmax, kSmall),
    ROWS(logsumexp, kSmall),
    ROWS(softmax_vjp, kSplit),
    ROWS(log_softmax_vjp, kSplit),
    ALL(log_softmax_jvp_rows),
    ROWS(logsumexp_vjp, kSmall),
    ALL(logsumexp_jvp_rows),
    ROWS(cross_entropy, kSmall),
    ALL(cross_entropy_general_rows),
    ALL(cross_entropy_jvp_rows),
    ALL(cross_entropy_hvp_rows),
    ALL(labelled_jvp_rows),
    ALL(labelled_hvp_rows),
    COLUMNS(columns, softmax),
    COLUMNS(columns, log_softmax),
    COLUMNS(reduced_columns, logsumexp),
    VJP_COLUMNS(softmax_vjp, kSplit),
    VJP_COLUMNS(log_softmax_vjp, kSplit),
    VJP_COLUMNS(logsumexp_vjp, kSmall),
    COLUMNS(loss_columns, cross_entropy),
    {GENERAL(Float16), GENERAL(BFloat16), GENERAL(float), GENERAL(double)},
    ALL(sigmoid_elements),
    ALL(binary_cross_entropy_elements),
    WIDE(additive_features_rows),
    WIDE(gaussian_inputs_vjp_rows),
    WIDE(gaussian_parameters_vjp_tiles),
    {kLanes<Float16>, kLanes<BFloat16>, kLanes<float>, kLanes<double>},
    {0, 0, kWide<float>, kWide<double>},
    WIDE(radial_panels),
    WIDE(radial_features_rows),
    WIDE(radial_vjp_parts),
    WIDE(radial_vjp_totals),
    WIDE(plan_product),
    WIDE(product_tiles),
    first_bad_label,
    ALL(first_outside),
};

const KernelTable kernels = kTable;

}  // namespace crossent::CROSSENT_ISA
