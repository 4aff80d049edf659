// The softmax family and the sigmoid as Python functions.
#pragma once

#include "bind.h"

namespace crossent {
namespace {

using RowsKernels = Kernel<RowsCall> (SoftmaxKernels::*)[kDTypes];

template <RowsKernels which>
void elementwise(handle first, handle out) {
  const Numbers z(first.ptr(), "logits");
  void* result = output_of(out.ptr(), "out", z.dtype, z.rows, z.columns);
  const RowsCall call{z.data, nullptr, result, z.columns, streams(z, 2, result)};
  run((kernels->*which)[z.dtype], call, z.rows, row_grain(z), row_cost(z, kCheap));
}

void logsumexp_rows(handle logits, handle out) {
  const Numbers z(logits.ptr(), "logits");
  const RowsCall call{z.data, nullptr, output_of(out.ptr(), "out", z.dtype, z.rows), z.columns, false};
  run(kernels->logsumexp[z.dtype], call, z.rows, row_grain(z), row_cost(z, kCheap));
}

template <RowsKernels which>
void with_second(handle first, handle second, handle out) {
  const Numbers z(first.ptr(), "the first argument");
  const void* other = second_of(second.ptr(), "the second argument", z.dtype, z.rows, z.columns);
  void* result = output_of(out.ptr(), "out", z.dtype, z.rows, z.columns);
  const RowsCall call{z.data, other, result, z.columns, result != other && streams(z, 3, result)};
  run((kernels->*which)[z.dtype], call, z.rows, row_grain(z), row_cost(z, kCheap));
}

void logsumexp_vjp_rows(handle logits, handle cotangent, handle out) {
  const Numbers z(logits.ptr(), "logits");
  void* result = output_of(out.ptr(), "out", z.dtype, z.rows, z.columns);
  const RowsCall call{z.data, second_of(cotangent.ptr(), "cotangent", z.dtype, z.rows), result, z.columns,
                      streams(z, 2, result)};
  run(kernels->logsumexp_vjp[z.dtype], call, z.rows, row_grain(z), row_cost(z, kCheap));
}

void logsumexp_jvp_rows(handle logits, handle tangent, handle out) {
  const Numbers z(logits.ptr(), "logits");
  const RowsCall call{z.data, second_of(tangent.ptr(), "tangent", z.dtype, z.rows, z.columns),
                      output_of(out.ptr(), "out", z.dtype, z.rows), z.columns, false};
  run(kernels->logsumexp_jvp[z.dtype], call, z.rows, row_grain(z), row_cost(z, 2 * kCheap));
}

void sigmoid_elements(handle x, handle out) {
  const Numbers z(x.ptr(), "x", 1);
  const RowsCall call{z.data, nullptr, output_of(out.ptr(), "out", z.dtype, z.rows), 1, false};
  run(kernels->sigmoid[z.dtype], call, z.rows, 1024, kCheap * double(z.rows));
}

}  // namespace
}  // namespace crossent
