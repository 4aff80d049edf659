// Long vectors of float64: their products with rows of numbers, and sums of such rows. In blocks that stay in the
// first cache, whose results are added in order, so that they do not depend on threads.
#pragma once

#include "kernels.h"
#include "sweep.h"
#include "transpose.h"

namespace crossent::CROSSENT_ISA {
namespace {

INLINE F64 load_wide(const double* from, Full) { return load(from, Full{}); }
INLINE F64 load_wide(const double* from, int n) { return load(from, n); }
INLINE F64 load_wide(const float* from, Full) { return to_float64(load_bits<F32Half>(from)); }
INLINE F64 load_wide(const float* from, int n) { return to_float64(load_bits<F32Half>(from, n)); }

template <class T>
INLINE double product_of(const T* row, const double* vector, int64_t count) {
  constexpr int kSums = 4;
  F64 sums[kSums] = {};
  sweep_groups<double, kSums>(
      count,
      [&](int64_t k) INLINED {
        for (int i = 0; i < kSums; ++i) {
          const int64_t at = k + i * kLanes<double>;
          sums[i] = fma(load_wide(row + at, Full{}), load(vector + at, Full{}), sums[i]);
        }
      },
      [&](int64_t k, auto n) INLINED { sums[0] = fma(load_wide(row + k, n), load(vector + k, n), sums[0]); });
  return sum_of_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

// body(first, count) for what the blocks begin ... end of a call have, a few of them a cacheful at a time.
template <class Body>
INLINE void by_pieces(int64_t begin, int64_t end, Body body) {
  for (int64_t first = begin; first < end; first += kVectorNumbers) body(first, at_most(kVectorNumbers, end - first));
}

// The products of the rows with the numbers begin ... end of the vector, added to sums (m,) of their own.
template <class T>
void vector_products(const VectorCall& call, int64_t begin, int64_t end) {
  double* const sums = call.products + begin / call.block * call.n_rows;
  by_pieces(begin, end, [&](int64_t first, int64_t count) INLINED {
    for (int64_t r = 0; r < call.n_rows; ++r)
      sums[r] += product_of((const T*)call.rows + r * call.size + first, call.vector + first, count);
  });
}

// out = factor vector + sum_r weights_r rows_r at begin ... end, float64; returns the sum of its squares.
template <class T>
double vector_sum(const VectorCall& call, int64_t begin, int64_t end) {
  double total = 0;
  by_pieces(begin, end, [&](int64_t first, int64_t count) INLINED {
    double sum[kVectorNumbers];
    const F64 factor = splat(call.factor);
    sweep<double>(count, [&](int64_t k, auto n) INLINED { store(sum + k, n, factor * load(call.vector + first + k, n)); });
    for (int64_t r = 0; r < call.n_rows; ++r) {
      const T* const row = (const T*)call.rows + r * call.size + first;
      const F64 weight = splat(call.weights[r]);
      sweep<double>(count, [&](int64_t k, auto n) INLINED {
        store(sum + k, n, fma(weight, load_wide(row + k, n), load(sum + k, n)));
      });
    }
    total += product_of(sum, sum, count);
    if (call.narrow)
      for (int64_t k = 0; k < count; ++k) ((float*)call.out)[first + k] = float(sum[k]);
    else
      __builtin_memcpy((double*)call.out + first, sum, size_t(count) * sizeof(double));
  });
  return total;
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
