// The kernels for classes along a middle axis as Python functions.
#pragma once

#include "bind_losses.h"

namespace crossent {
namespace {

struct Columns {
  Numbers z;
  int64_t rows, width = 1, tiles = 0;
  bool planes;

  // Not as they lie: losses with options, more classes than a kernel keeps, columns for less than half the lanes.
  explicit Columns(handle logits, bool plain = true)
      : z(logits.ptr(), "logits", 3),
        rows(z.rows * z.inner),
        planes(plain && z.columns <= kLongestColumn && z.inner >= 8) {
    if (z.columns > kColumnNumbers) throw TypeError("classes along a middle axis are limited to 32768");
    if (rows == 0) return;
    width = std::min((planes ? kPlaneNumbers : kColumnNumbers) / z.columns, kWidestTile);
    if (planes) width = std::max(width, kWidestTile / 2);
    if (width >= 16) width -= width % 16;  // whole cache lines
    width = std::min(width, z.inner);
    tiles = z.rows * ((z.inner + width - 1) / width);
  }
  double cost(double per_number) const { return double(rows) * (kPerRow + per_number * double(z.columns)); }
  ColumnsCall call(void* out, const CrossEntropyCall* loss = nullptr) const {
    return {z.data, nullptr, out, z.columns, z.inner, width, planes, loss};
  }
  void* like(handle array, const char* name, bool writes = true) const {
    const Numbers numbers(array.ptr(), name, 3);
    if (numbers.dtype != z.dtype || numbers.rows != z.rows || numbers.columns != z.columns ||
        numbers.inner != z.inner || (writes && !PyArray_ISWRITEABLE((PyArrayObject*)array.ptr())))
      refuse(name, "writeable, of the shape and dtype of the first argument", array.ptr());
    return numbers.data;
  }
};

using ColumnsKernels = Kernel<ColumnsCall> (ColumnKernels::*)[kDTypes];

template <ColumnsKernels which>
void turned(handle logits, handle out) {
  const Columns columns(logits);
  const ColumnsCall call = columns.call(columns.like(out, "out"));
  run((kernels->*which)[columns.z.dtype], call, columns.tiles, 1, columns.cost(2 * kCheap));
}

void logsumexp_columns(handle logits, handle out) {
  const Columns columns(logits);
  const ColumnsCall call = columns.call(output_of(out.ptr(), "out", columns.z.dtype, columns.rows));
  run(kernels->logsumexp_columns[columns.z.dtype], call, columns.tiles, 1, columns.cost(2 * kCheap));
}

ColumnsCall backward_call(const Columns& columns, handle out) {
  if (columns.z.columns > kLongestColumn) throw TypeError("backward passes along a middle axis are limited to 2048 classes");
  return columns.call(columns.like(out, "out"));
}

// Backward passes, from a cotangent like the results.
template <ColumnsKernels which>
void turned_back(handle given, handle cotangent, handle out) {
  const Columns columns(given);
  ColumnsCall call = backward_call(columns, out);
  call.second = columns.like(cotangent, "cotangent", false);
  run((kernels->*which)[columns.z.dtype], call, columns.tiles, 1, columns.cost(2 * kCheap));
}

void logsumexp_vjp_columns(handle logits, handle cotangent, handle out) {
  const Columns columns(logits);
  ColumnsCall call = backward_call(columns, out);
  call.second = second_of(cotangent.ptr(), "cotangent", columns.z.dtype, columns.rows);
  run(kernels->logsumexp_vjp_columns[columns.z.dtype], call, columns.tiles, 1, columns.cost(2 * kCheap));
}

double cross_entropy_columns(handle logits, handle labels, handle row_weight, double gradient_factor, handle options,
                             handle loss, handle gradient) {
  const Options given(options);
  const Columns columns(logits, given.plain());
  if (!given.mask.is_none()) throw TypeError("cross_entropy_columns takes no mask");
  Numbers rows = columns.z;
  rows.rows = columns.rows;
  CrossEntropyCall of_rows = call_of(rows, labels, row_weight, given);
  if (!of_rows.labels) throw TypeError("cross_entropy_columns takes labels int64 (M,)");
  of_rows.gradient_factor = gradient_factor;
  of_rows.loss = losses(loss, columns.rows);
  const ColumnsCall call = columns.call(gradient.is_none() ? nullptr : columns.like(gradient, "gradient"), &of_rows);
  const auto& chosen = given.plain() ? kernels->cross_entropy_columns : kernels->cross_entropy_general_columns;
  return run_summed(chosen[columns.z.dtype], call, columns.tiles, 1, columns.cost(given.plain() ? 2 * kCheap : kGeneral));
}

}  // namespace
}  // namespace crossent
