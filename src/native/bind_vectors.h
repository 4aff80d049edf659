// Products and sums of long vectors as Python functions.
#pragma once

#include <vector>

#include "bind.h"

namespace crossent {
namespace {

// Rows (m, P) of float32 or float64, and a vector float64 (P,).
struct VectorRows {
  Numbers rows;
  VectorCall call{};

  VectorRows(handle rows_given, handle vector) : rows(rows_given.ptr(), "rows") {
    if (rows.dtype < kFloat32) refuse("rows", "(m, P) of float32 or float64", rows_given.ptr());
    call.rows = rows.data, call.n_rows = rows.rows, call.size = rows.columns;
    call.vector = (const double*)second_of(vector.ptr(), "vector", kFloat64, rows.columns);
  }
  double cost() const { return 0.2 * double(rows.rows + 1) * double(rows.columns); }
};

// out = rows vector.
void vector_products(handle rows, handle vector, handle out) {
  VectorRows given(rows, vector);
  VectorCall& call = given.call;
  double* const products = (double*)output_of(out.ptr(), "out", kFloat64, call.n_rows);
  const int64_t pieces = (call.size + kVectorNumbers - 1) / kVectorNumbers;
  call.block = (pieces + kMostSums - 1) / kMostSums * kVectorNumbers;
  const int64_t blocks = pieces == 0 ? 0 : (call.size + call.block - 1) / call.block;
  std::vector<double> sums(size_t(blocks * call.n_rows));
  call.products = sums.data();
  share(blocks, 1, given.cost(), [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b)
      kernels->vector_products[given.rows.dtype](call, b * call.block, std::min(call.size, (b + 1) * call.block));
  });
  std::fill_n(products, call.n_rows, 0.0);
  for (int64_t b = 0; b < blocks; ++b)
    for (int64_t r = 0; r < call.n_rows; ++r) products[r] += sums[size_t(b * call.n_rows + r)];
}

// out = factor vector + weights rows, float32 or float64; returns the sum of its squares.
double vector_sum(handle weights, handle rows, handle vector, double factor, handle out) {
  VectorRows given(rows, vector);
  VectorCall& call = given.call;
  call.weights = (const double*)second_of(weights.ptr(), "weights", kFloat64, call.n_rows);
  call.factor = factor;
  const int dtype = Numbers(out.ptr(), "out", 1).dtype;
  if (dtype < kFloat32) refuse("out", "(P,) of float32 or float64", out.ptr());
  call.narrow = dtype == kFloat32;
  call.out = output_of(out.ptr(), "out", dtype, call.size);
  return run_summed(kernels->vector_sum[given.rows.dtype], call, call.size, kVectorNumbers, given.cost());
}

}  // namespace
}  // namespace crossent
