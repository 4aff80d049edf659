// Softmax, its logarithm, the loss and their derivatives, of classes along another axis than the last, compiled once
// for each instruction set.
#include "cross_entropy_general.h"
#include "few_classes.h"
#include "labelled_rows.h"
#include "plane_derivatives.h"
#include "planes.h"
#include "table.h"

namespace crossent::CROSSENT_ISA {
namespace {

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

extern const ColumnKernels column_kernels;

constexpr ColumnKernels column_kernels = {
    COLUMNS(columns, softmax),
    COLUMNS(columns, log_softmax),
    COLUMNS(reduced_columns, logsumexp),
    VJP_COLUMNS(softmax_vjp, kSplit),
    VJP_COLUMNS(log_softmax_vjp, kSplit),
    VJP_COLUMNS(logsumexp_vjp, kSmall),
    COLUMNS(loss_columns, cross_entropy),
    {GENERAL(Float16), GENERAL(BFloat16), GENERAL(float), GENERAL(double)},
};

}  // namespace crossent::CROSSENT_ISA
