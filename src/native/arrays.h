// NumPy arrays as the kernels take them: a pointer and a dtype. Read straight from the array's struct: the
// buffer protocol and DLPack cost more than a small softmax.
#pragma once

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#include <numpy/arrayobject.h>

#include <cstring>
#include <stdexcept>
#include <string>

#include "kernels.h"

namespace crossent {

struct TypeError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[noreturn]] inline void refuse(const char* name, const char* wanted, PyObject* given) {
  std::string got = Py_TYPE(given)->tp_name;
  if (PyArray_Check(given)) {
    PyObject* text = PyObject_Str((PyObject*)PyArray_DESCR((PyArrayObject*)given));
    const char* dtype = text ? PyUnicode_AsUTF8(text) : nullptr;
    got = "an array of " + std::string(dtype ? dtype : "?") + " with " +
          std::to_string(PyArray_NDIM((PyArrayObject*)given)) + " dimensions";
    Py_XDECREF(text);
    PyErr_Clear();
  }
  throw TypeError(std::string(name) + " must be " + wanted + " (C-contiguous, aligned), got " + got);
}

// bfloat16 has no number of its own in NumPy: ml_dtypes' type is known by its name, its bits by uint16.
inline int dtype_of(PyArrayObject* array) {
  switch (PyArray_TYPE(array)) {
    case NPY_FLOAT: return kFloat32;
    case NPY_DOUBLE: return kFloat64;
    case NPY_HALF: return kFloat16;
    case NPY_UINT16: return kBFloat16;
  }
  const char* name = PyArray_DESCR(array)->typeobj->tp_name;
  const char* last = std::strrchr(name, '.');
  return std::strcmp(last ? last + 1 : name, "bfloat16") == 0 ? kBFloat16 : -1;
}

inline PyArrayObject* plain_array(PyObject* object, const char* name, const char* wanted) {
  if (!PyArray_Check(object)) refuse(name, wanted, object);
  PyArrayObject* array = (PyArrayObject*)object;
  if (!PyArray_IS_C_CONTIGUOUS(array) || !PyArray_ISALIGNED(array) || !PyArray_ISNOTSWAPPED(array))
    refuse(name, wanted, object);
  return array;
}

constexpr const char* kWanted[] = {"", "floating-point numbers (M,)", "rows (M, K) of floating-point numbers",
                                   "floating-point numbers (outer, K, inner)"};

// Rows of numbers: (M, K), or (M,) where `dimensions` is 1. (outer, K, inner) has `columns` K.
struct Numbers {
  void* data;
  int dtype;
  int64_t rows, columns, inner = 1;

  Numbers(PyObject* object, const char* name, int dimensions = 2) {
    PyArrayObject* array = plain_array(object, name, "an array of floating-point numbers");
    dtype = dtype_of(array);
    if (dtype < 0 || PyArray_NDIM(array) != dimensions)
      refuse(name, kWanted[dimensions], object);
    data = PyArray_DATA(array);
    rows = PyArray_DIM(array, 0);
    columns = dimensions >= 2 ? PyArray_DIM(array, 1) : 1;
    if (dimensions == 3) inner = PyArray_DIM(array, 2);
  }
};

inline void* numbers_like(PyObject* object, const char* name, int dtype, int64_t rows, int64_t columns, bool writes) {
  const bool flat = columns < 0;
  const Numbers numbers(object, name, flat ? 1 : 2);
  if (numbers.dtype != dtype || numbers.rows != rows || (!flat && numbers.columns != columns))
    refuse(name, "of the dtype and shape that the other arguments ask for", object);
  if (writes && !PyArray_ISWRITEABLE((PyArrayObject*)object)) refuse(name, "writeable", object);
  return numbers.data;
}

// (M, K) or (M,) as the first argument, to read or to write.
inline const void* second_of(PyObject* object, const char* name, int dtype, int64_t rows, int64_t columns = -1) {
  return numbers_like(object, name, dtype, rows, columns, false);
}
inline void* output_of(PyObject* object, const char* name, int dtype, int64_t rows, int64_t columns = -1) {
  return numbers_like(object, name, dtype, rows, columns, true);
}

constexpr int64_t kItemSize[] = {2, 2, 4, 8};  // by dtype

inline int compute_dtype(int dtype) { return dtype == kFloat64 ? kFloat64 : kFloat32; }

}  // namespace crossent
