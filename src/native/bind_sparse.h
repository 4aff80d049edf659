// Products with sparse rows as Python functions.
#pragma once

#include <vector>

#include "bind.h"

namespace crossent {
namespace {

// Where the numbers of rows in the CSR form stand, the starts checked; the columns are looked at by the kernels.
struct Places {
  const void *columns, *starts;
  bool wide;
  int64_t n_rows, n_numbers;

  Places(handle columns_given, handle starts_given, int64_t n_numbers) : n_numbers(n_numbers) {
    PyArrayObject* at = plain_array(columns_given.ptr(), "columns", kIntegers);
    PyArrayObject* from = plain_array(starts_given.ptr(), "starts", kIntegers);
    wide = PyArray_TYPE(at) == NPY_INT64;
    const bool fits = (wide || PyArray_TYPE(at) == NPY_INT32) && PyArray_TYPE(from) == PyArray_TYPE(at);
    if (!fits || PyArray_NDIM(at) != 1 || PyArray_DIM(at, 0) < n_numbers)
      refuse("columns", "int32 or int64, as the starts are, one a number", columns_given.ptr());
    if (PyArray_NDIM(from) != 1 || PyArray_DIM(from, 0) < 1) refuse("starts", kIntegers, starts_given.ptr());
    columns = PyArray_DATA(at);
    starts = PyArray_DATA(from);
    n_rows = PyArray_DIM(from, 0) - 1;
    if (!(wide ? in_order<int64_t>() : in_order<int32_t>()))
      throw nb::value_error("the starts of sparse rows must begin at 0 or above, never fall, and end within the numbers");
  }

  template <class Index>
  bool in_order() const {
    const Index* at = (const Index*)starts;
    if (at[0] < 0 || at[n_rows] > n_numbers) return false;
    for (int64_t i = 0; i < n_rows; ++i)
      if (at[i + 1] < at[i]) return false;
    return true;
  }

  int64_t start(int64_t row) const { return wide ? ((const int64_t*)starts)[row] : ((const int32_t*)starts)[row]; }
  int64_t column(int64_t i) const { return wide ? ((const int64_t*)columns)[i] : ((const int32_t*)columns)[i]; }
  double cost(int64_t n_classes) const {
    return double(n_rows) * kPerRow + double(start(n_rows) - start(0)) * (kPerNumber + kPerClass * double(n_classes));
  }

  static constexpr const char* kIntegers = "int32 or int64 (M,)";
  static constexpr double kPerNumber = 2, kPerClass = 0.2;  // nanoseconds
};

// Numbers of float32 or float64, and the rows they stand in.
struct SparseNumbers {
  Numbers numbers;
  Places at;
  int dtype;

  SparseNumbers(handle given, handle columns, handle starts)
      : numbers(given.ptr(), "numbers", 1), at(columns, starts, numbers.rows), dtype(numbers.dtype) {
    if (dtype < kFloat32) refuse("numbers", "float32 or float64 (E,)", given.ptr());
  }
  SparseCall call(int64_t n_columns, int64_t n_classes) const {
    SparseCall call{};
    call.numbers = numbers.data, call.columns = at.columns, call.starts = at.starts, call.wide = at.wide;
    call.n_rows = at.n_rows, call.n_columns = n_columns, call.n_classes = n_classes;
    return call;
  }
};

// out = phi W^T + b, from W^T (n, K).
void sparse_logits_rows(handle numbers, handle columns, handle starts, handle weight_t, handle bias, handle out) {
  const SparseNumbers rows(numbers, columns, starts);
  const Numbers weight(weight_t.ptr(), "weight_t");
  if (weight.dtype != rows.dtype) refuse("weight_t", "(n, K) in the dtype of the numbers", weight_t.ptr());
  SparseCall call = rows.call(weight.rows, weight.columns);
  call.weight = weight.data;
  call.bias = second_of(bias.ptr(), "bias", rows.dtype, call.n_classes);
  call.out = output_of(out.ptr(), "out", rows.dtype, call.n_rows, call.n_classes);
  if (run_summed(kernels->sparse_logits[rows.dtype], call, call.n_rows, 16, rows.at.cost(call.n_classes)) > 0)
    throw nb::value_error("sparse rows have columns below 0, or beyond those of the weight");
}

// Where to cut the columns into parts of about as many numbers, as some of these show.
std::vector<int64_t> column_cuts(const Places& rows, int64_t n_columns, int64_t parts) {
  constexpr int64_t kSome = 8192;
  const int64_t begin = rows.start(0), end = rows.start(rows.n_rows), step = (end - begin) / kSome + 1;
  std::vector<int64_t> some, cuts{0};
  if (parts > 1)
    for (int64_t i = begin; i < end; i += step) some.push_back(std::clamp<int64_t>(rows.column(i), 0, n_columns));
  std::sort(some.begin(), some.end());
  for (int64_t part = 1; part < parts && !some.empty(); ++part)
    cuts.push_back(some[some.size() * size_t(part) / size_t(parts)]);
  cuts.push_back(n_columns);
  return cuts;
}

// sums += phi^T G, float64 (n, K).
void sparse_sums_rows(handle numbers, handle columns, handle starts, handle gradient, handle sums) {
  constexpr int64_t kPartsPerThread = 2;  // a part of rare columns takes longer
  const SparseNumbers rows(numbers, columns, starts);
  const Numbers total(sums.ptr(), "sums");
  if (total.dtype != kFloat64 || !PyArray_ISWRITEABLE((PyArrayObject*)sums.ptr()))
    refuse("sums", "writeable float64 (n, K)", sums.ptr());
  SparseCall call = rows.call(total.rows, total.columns);
  call.gradient = second_of(gradient.ptr(), "gradient", rows.dtype, call.n_rows, call.n_classes);
  call.sums = (double*)total.data;
  const double cost = rows.at.cost(call.n_classes);
  const int64_t threads = cost < kWorthUnlocking ? 1 : thread_count();
  const std::vector<int64_t> cuts = column_cuts(rows.at, call.n_columns, threads > 1 ? threads * kPartsPerThread : 1);
  call.cuts = cuts.data();
  run(kernels->sparse_sums[rows.dtype], call, int64_t(cuts.size()) - 1, 1, cost);
}

// out (columns, rows), the matrix turned.
void turned_matrix(handle matrix, handle out) {
  const Numbers from(matrix.ptr(), "matrix");
  if (from.dtype < kFloat32) refuse("matrix", "float32 or float64 (M, K)", matrix.ptr());
  const TurnCall call{from.data, output_of(out.ptr(), "out", from.dtype, from.columns, from.rows), from.rows, from.columns};
  const int64_t parts = (std::max(from.rows, from.columns) + kTurnedNumbers - 1) / kTurnedNumbers;
  run(kernels->turned[from.dtype], call, parts, 1, kCheap * double(from.rows) * double(from.columns));
}

}  // namespace
}  // namespace crossent
