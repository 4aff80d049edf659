// Matrix products as a Python function.
#pragma once

#include <memory>

#include "bind.h"

namespace crossent {
namespace {

// (M, K) with any steps of whole numbers.
struct Strided {
  void* data;
  int dtype;
  int64_t rows, columns, row, column;

  Strided(handle object, const char* name) {
    PyArrayObject* array = (PyArrayObject*)object.ptr();
    if (!PyArray_Check(object.ptr()) || PyArray_NDIM(array) != 2 || !PyArray_ISBEHAVED_RO(array))
      refuse(name, "a matrix of float32 or float64", object.ptr());
    dtype = dtype_of(array);
    const int64_t itemsize = PyArray_ITEMSIZE(array);
    row = PyArray_STRIDE(array, 0) / itemsize;
    column = PyArray_STRIDE(array, 1) / itemsize;
    if (dtype < kFloat32 || row * itemsize != PyArray_STRIDE(array, 0) || column * itemsize != PyArray_STRIDE(array, 1))
      refuse(name, "a matrix of float32 or float64", object.ptr());
    data = PyArray_DATA(array);
    rows = PyArray_DIM(array, 0);
    columns = PyArray_DIM(array, 1);
  }

  bool has(int64_t m, int64_t p) const { return rows == m && columns == p && (column == 1 || rows * columns <= rows); }
};

constexpr double kPerTerm = 0.01;  // nanoseconds

// Of this thread, for the copies that a product makes.
double* product_memory() {
  thread_local std::unique_ptr<double[]> memory(new double[kProductNumbers]);
  return memory.get();
}

// out = start + a b; start may be out, a row for all rows (of step 0) or None.
void matrix_product(handle left, handle right, handle out, handle start, bool in_order) {
  const Strided a(left, "a"), b(right, "b"), z(out, "out");
  const bool fits = b.dtype == a.dtype && z.dtype == a.dtype && a.columns == b.rows && z.has(a.rows, b.columns);
  if (!fits || !PyArray_ISWRITEABLE((PyArrayObject*)out.ptr()))
    refuse("out", "a writeable matrix (M, P) in the dtype of a (M, C) and b (C, P)", out.ptr());
  ProductCall call{a.data, b.data, nullptr, z.data, a.rows, a.columns, b.columns,
                   a.row, a.column, b.row, b.column, 0, z.row, in_order, 0, 0};
  if (!start.is_none()) {
    const Strided from(start, "start");
    if (from.dtype != a.dtype || !from.has(z.rows, z.columns)) refuse("start", "a matrix like out", start.ptr());
    call.start = from.data;
    call.start_row = from.row;
  }
  if (call.m == 0 || call.p == 0) return;
  const int64_t items = kernels->plan_product[a.dtype](call, thread_count());
  const auto kernel = kernels->product[a.dtype];
  const double cost = kPerRow + kPerTerm * double(call.m) * double(call.p) * double(call.c + 1);
  share(items, 1, cost, [&](int64_t begin, int64_t end) {
    kernel(call, begin, end, product_memory());
  });
}

}  // namespace
}  // namespace crossent
