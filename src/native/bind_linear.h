// A linear layer with few classes and its loss, on the way through all rows, as a Python function.
//
// A part of the rows at a time: its inputs are read from memory once and found in the caches by the other
// products. Each thread's parts add to gradients of their own, which are added up in the order of the rows.
#pragma once

#include "bind_losses.h"
#include "bind_products.h"

namespace crossent {
namespace {

constexpr int64_t kShares = 32;            // of the rows, whatever the threads
constexpr int64_t kPartBytes = 256 << 10;  // of the inputs that are gone through at a time
constexpr int64_t kMostPartRows = 1024, kMostFewClasses = 64;

struct LinearRows {
  Strided x, w;
  const void* bias;
  CrossEntropyCall loss;
  bool plain;
  char *inputs_out, *weight_out;  // null: not wanted
  double* bias_sums;              // (shares, K)
  char* memory;                   // (shares, K n): sums; (shares, part K): logits
  int64_t part, share_rows, shares;

  int64_t itemsize() const { return kItemSize[x.dtype]; }
  char* inputs_at(int64_t row) const { return (char*)x.data + row * x.row * itemsize(); }

  void product(ProductCall call) const {
    const auto kernel = kernels->product[x.dtype];
    const int64_t items = kernels->plan_product[x.dtype](call, 1);
    kernel(call, 0, items, product_memory());
  }

  // The rows of one share: the sum of their losses.
  double run(int64_t share) const {
    const int64_t n = x.columns, k = w.rows, begin = share * share_rows;
    const int64_t end = std::min(x.rows, begin + share_rows);
    char* const sums = memory + share * k * n * itemsize();
    void* const z = memory + (shares * n + share * part) * k * itemsize();
    double total = 0;
    for (int64_t i = begin; i < end; i += part) {
      const int64_t rows = std::min(part, end - i);
      product({inputs_at(i), w.data, bias, z, rows, n, k,
               x.row, x.column, w.column, w.row, 0, k, false, 0, 0});
      total += of_logits(z, i, rows);
      if (inputs_out)
        product({z, w.data, nullptr, inputs_out + i * n * itemsize(), rows, k, n,
                 k, 1, w.row, w.column, 0, n, false, 0, 0});
      if (weight_out)
        product({z, inputs_at(i), i > begin ? sums : nullptr, sums, k, rows, n,
                 1, k, x.row, x.column, n, n, false, 0, 0});
      if (bias_sums && x.dtype == kFloat32) add_rows((const float*)z, rows, k, bias_sums + share * k);
      if (bias_sums && x.dtype == kFloat64) add_rows((const double*)z, rows, k, bias_sums + share * k);
    }
    return total;
  }

  double of_logits(void* z, int64_t i, int64_t rows) const {
    CrossEntropyCall call = loss;
    call.logits = z;
    call.labels += i;
    if (call.mask) call.mask += i * call.mask_stride;
    if (call.loss) call.loss += i;
    if (inputs_out || weight_out || bias_sums) call.out = z;
    return (plain ? kernels->cross_entropy : kernels->cross_entropy_general)[x.dtype](call, 0, rows);
  }

  template <class T>
  static void add_rows(const T* z, int64_t rows, int64_t k, double* sums) {
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t c = 0; c < k; ++c) sums[c] += double(z[i * k + c]);
  }

  // The shares' sums one after the other.
  template <class T>
  void add_up(T* bias_out) const {
    const int64_t count = w.rows * x.columns;
    T* const total = (T*)weight_out;
    for (int64_t s = 0; total && s < shares; ++s) {
      const T* from = (const T*)memory + s * count;
      for (int64_t i = 0; i < count; ++i) total[i] = s ? total[i] + from[i] : from[i];
    }
    for (int64_t c = 0; bias_out && c < w.rows; ++c) {
      double sum = 0;
      for (int64_t s = 0; s < shares; ++s) sum += bias_sums[s * w.rows + c];
      bias_out[c] = T(sum);
    }
  }
};

// Divides the rows, and returns how many numbers of memory that asks for: at most 32 K (n + 1024).
int64_t divide(LinearRows& call) {
  const Strided& x = call.x;
  const int64_t row = std::max<int64_t>(1, x.columns) * kItemSize[x.dtype];
  const int64_t part = std::max<int64_t>(1, std::min(kMostPartRows, kPartBytes / row));
  const int64_t parts = (x.rows + part - 1) / part, each = std::max<int64_t>(1, (parts + kShares - 1) / kShares);
  call.part = part;
  call.share_rows = each * part;
  call.shares = (parts + each - 1) / each;
  return call.shares * call.w.rows * (x.columns + part);
}

double linear_cross_entropy_rows(handle inputs, handle weight, handle bias, handle labels, double gradient_factor,
                                 handle options, handle loss, handle inputs_out, handle weight_out, handle bias_out,
                                 handle memory) {
  const Strided x(inputs, "inputs"), w(weight, "weight");
  const Options given(options);
  if (w.dtype != x.dtype || w.columns != x.columns || w.rows < 1 || w.rows > kMostFewClasses)
    refuse("weight", "(K, n) in the dtype of inputs (M, n), K from 1 to 64", weight.ptr());
  LinearRows call{x, w, nullptr, {}, given.plain(), nullptr, nullptr, nullptr, nullptr, 0, 0, 0};
  const int64_t wanted = divide(call), n = x.columns, k = w.rows;
  Numbers z(memory.ptr(), "memory", 1);
  if (z.dtype != x.dtype || z.rows < wanted || !PyArray_ISWRITEABLE((PyArrayObject*)memory.ptr()))
    refuse("memory", "writeable numbers like the inputs, 32 K (n + 1024) of them", memory.ptr());
  call.memory = (char*)z.data;
  if (!bias.is_none()) call.bias = second_of(bias.ptr(), "bias", x.dtype, k);
  if (!inputs_out.is_none()) call.inputs_out = (char*)output_of(inputs_out.ptr(), "inputs_out", x.dtype, x.rows, n);
  if (!weight_out.is_none()) call.weight_out = (char*)output_of(weight_out.ptr(), "weight_out", x.dtype, k, n);
  void* bias_to = bias_out.is_none() ? nullptr : output_of(bias_out.ptr(), "bias_out", x.dtype, k);
  double bias_sums[kShares * kMostFewClasses] = {};
  if (bias_to) call.bias_sums = bias_sums;
  z.rows = x.rows, z.columns = k;
  call.loss = call_of(z, labels, nb::none(), given);
  if (!call.loss.labels) refuse("labels", "int64 (M,)", labels.ptr());
  call.loss.gradient_factor = gradient_factor;
  call.loss.loss = losses(loss, x.rows);
  const double cost = double(x.rows) * (kPerRow + 3 * kPerTerm * double(n) * double(k));
  double totals[kShares] = {}, total = 0;
  share(call.shares, 1, cost, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) totals[s] = call.run(s);
  });
  for (double each : totals) total += each;
  if (x.dtype == kFloat32)
    call.add_up((float*)bias_to);
  else
    call.add_up((double*)bias_to);
  return total;
}

}  // namespace
}  // namespace crossent
