// Losses, their derivatives and the check of labels as Python functions.
#pragma once

#include "bind.h"

namespace crossent {
namespace {

const double* doubles(handle object, const char* name, int64_t count) {
  if (object.is_none()) return nullptr;
  return static_cast<const double*>(second_of(object.ptr(), name, kFloat64, count));
}

double* losses(handle object, int64_t count) {
  if (object.is_none()) return nullptr;
  return static_cast<double*>(output_of(object.ptr(), "loss", kFloat64, count));
}

// The fields of crossent._arguments.LossOptions, in its order.
struct Options {
  double label_smoothing, temperature, softcap, z_loss;
  handle class_weight, mask;

  explicit Options(handle options) {
    if (!PyTuple_Check(options.ptr()) || PyTuple_GET_SIZE(options.ptr()) != 6)
      throw TypeError("options must be LossOptions, the tuple of its six fields");
    const auto field = [&](int i) { return handle(PyTuple_GET_ITEM(options.ptr(), i)); };
    label_smoothing = nb::cast<double>(field(0));
    temperature = nb::cast<double>(field(1));
    softcap = field(2).is_none() ? 0.0 : nb::cast<double>(field(2));
    z_loss = nb::cast<double>(field(3));
    class_weight = field(4);
    mask = field(5);
  }

  bool plain() const {
    return label_smoothing == 0 && temperature == 1 && softcap == 0 && z_loss == 0 && mask.is_none();
  }
};

void set_mask(CrossEntropyCall& call, handle mask, const Numbers& z) {
  if (mask.is_none()) return;
  PyArrayObject* array = plain_array(mask.ptr(), "mask", "an array of bool, (M, K) or (K,)");
  const int dimensions = PyArray_NDIM(array);
  if (PyArray_TYPE(array) != NPY_BOOL || dimensions < 1 || dimensions > 2 ||
      PyArray_DIM(array, dimensions - 1) != z.columns || (dimensions == 2 && PyArray_DIM(array, 0) != z.rows))
    refuse("mask", "bool, (M, K) or (K,)", mask.ptr());
  call.mask = static_cast<const uint8_t*>(PyArray_DATA(array));
  call.mask_stride = dimensions == 2 ? z.columns : 0;
}

// Labels int64 (M,), or null where the target is something else.
const int64_t* labels_or_null(handle target, int64_t rows) {
  PyArrayObject* array = plain_array(target.ptr(), "target", "an array");
  const bool fits = PyArray_NDIM(array) == 1 && PyArray_DIM(array, 0) == rows;
  if (!fits || !PyArray_ISSIGNED(array) || PyArray_ITEMSIZE(array) != 8) return nullptr;
  return static_cast<const int64_t*>(PyArray_DATA(array));
}

CrossEntropyCall call_of(const Numbers& z, handle target, handle row_weight, const Options& options) {
  CrossEntropyCall call{};
  call.logits = z.data;
  call.n_classes = z.columns;
  call.row_weight = doubles(row_weight, "row_weight", z.rows);
  call.class_weight = doubles(options.class_weight, "class_weight", z.columns);
  call.label_smoothing = options.label_smoothing;
  call.temperature = options.temperature;
  call.softcap = options.softcap;
  call.z_loss = options.z_loss;
  call.gradient_factor = 1;
  set_mask(call, options.mask, z);
  PyArrayObject* array = plain_array(target.ptr(), "target", "labels int64 (M,) or targets (M, K)");
  if (PyArray_NDIM(array) == 2) {
    call.targets = second_of(target.ptr(), "targets", compute_dtype(z.dtype), z.rows, z.columns);
  } else {
    call.labels = labels_or_null(target, z.rows);
    if (!call.labels) refuse("target", "labels int64 (M,) or targets (M, K)", target.ptr());
  }
  return call;
}

double cross_entropy_rows(handle logits, handle target, handle row_weight, double gradient_factor, handle options,
                        handle loss, handle gradient) {
  const Numbers z(logits.ptr(), "logits");
  const Options given(options);
  CrossEntropyCall call = call_of(z, target, row_weight, given);
  call.gradient_factor = gradient_factor;
  call.loss = losses(loss, z.rows);
  if (!gradient.is_none()) call.out = output_of(gradient.ptr(), "gradient", z.dtype, z.rows, z.columns);
  call.streamed = streams(z, 2, call.out);
  if (call.labels && given.plain())
    return run_summed(kernels->cross_entropy[z.dtype], call, z.rows, row_grain(z), row_cost(z, kCheap));
  return run_summed(kernels->cross_entropy_general[z.dtype], call, z.rows, row_grain(z), row_cost(z, kGeneral));
}

// By halves: the rounding error grows as the logarithm of the count.
double sum_of(const double* x, int64_t count) {
  if (count > 64) return sum_of(x, count / 2) + sum_of(x + count / 2, count - count / 2);
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += x[i];
  return sum;
}

nb::tuple cross_entropy_jvp_rows(handle logits, handle target, handle tangent, handle row_weight, handle options,
                                 handle loss, handle loss_tangent) {
  const Numbers z(logits.ptr(), "logits");
  const Options given(options);
  CrossEntropyCall call = call_of(z, target, row_weight, given);
  call.tangent = second_of(tangent.ptr(), "tangent", z.dtype, z.rows, z.columns);
  call.loss = static_cast<double*>(output_of(loss.ptr(), "loss", kFloat64, z.rows));
  call.loss_tangent = static_cast<double*>(output_of(loss_tangent.ptr(), "loss_tangent", kFloat64, z.rows));
  if (call.labels && given.plain())
    run(kernels->labelled_jvp[z.dtype], call, z.rows, row_grain(z), row_cost(z, kCheap));
  else
    run(kernels->cross_entropy_jvp[z.dtype], call, z.rows, row_grain(z), row_cost(z, kGeneral));
  return nb::make_tuple(sum_of(call.loss, z.rows), sum_of(call.loss_tangent, z.rows));
}

void cross_entropy_hvp_rows(handle logits, handle target, handle tangent, handle row_weight, double gradient_factor,
                            handle options, bool gauss_newton, handle out, handle gradient) {
  const Numbers z(logits.ptr(), "logits");
  const Options given(options);
  CrossEntropyCall call = call_of(z, target, row_weight, given);
  call.tangent = second_of(tangent.ptr(), "tangent", z.dtype, z.rows, z.columns);
  call.gradient_factor = gradient_factor;
  call.gauss_newton = gauss_newton;
  call.out = output_of(out.ptr(), "out", z.dtype, z.rows, z.columns);
  if (!gradient.is_none()) call.gradient = output_of(gradient.ptr(), "gradient", z.dtype, z.rows, z.columns);
  if (call.labels && given.plain())
    return run(kernels->labelled_hvp[z.dtype], call, z.rows, row_grain(z), row_cost(z, kCheap));
  run(kernels->cross_entropy_hvp[z.dtype], call, z.rows, row_grain(z), row_cost(z, kGeneral));
  if (!call.gradient) return;
  call.out = call.gradient;
  run_summed(kernels->cross_entropy_general[z.dtype], call, z.rows, row_grain(z), row_cost(z, kGeneral));
}

double binary_cross_entropy_elements(handle logits, handle target, handle row_weight, double gradient_factor,
                                   handle options, handle loss, handle gradient) {
  const Numbers z(logits.ptr(), "logits", 1);
  const Options given(options);
  const double* weights = doubles(given.class_weight, "class_weight", 2);
  BinaryCall call{};
  call.logits = z.data;
  call.labels = labels_or_null(target, z.rows);
  if (!call.labels) call.targets = second_of(target.ptr(), "targets", compute_dtype(z.dtype), z.rows);
  call.row_weight = doubles(row_weight, "row_weight", z.rows);
  call.gradient_factor = gradient_factor;
  call.label_smoothing = given.label_smoothing;
  call.temperature = given.temperature;
  call.weight_of_0 = weights ? weights[0] : 1;
  call.weight_of_1 = weights ? weights[1] : 1;
  call.loss = losses(loss, z.rows);
  if (!gradient.is_none()) call.out = output_of(gradient.ptr(), "gradient", z.dtype, z.rows);
  call.plain = given.plain() && !weights && !call.row_weight;
  const double cost = (call.plain ? 2 * kCheap : 2 * kGeneral) * double(z.rows);
  return run_summed(kernels->binary_cross_entropy[z.dtype], call, z.rows, 1024, cost);
}

// The least index that `find` gives for any part of 0 ... count, or -1.
template <class Find>
int64_t first_of(int64_t count, const Find& find) {
  std::atomic<int64_t> first{count};
  share(count, 4096, kOfLabel * double(count), [&](int64_t begin, int64_t end) {
    if (begin >= first.load(std::memory_order_relaxed)) return;
    const int64_t found = find(begin, end);
    int64_t known = first.load(std::memory_order_relaxed);
    while (found >= 0 && found < known && !first.compare_exchange_weak(known, found)) {
    }
  });
  return first == count ? -1 : first.load();
}

int64_t first_bad_label(handle labels, int64_t n_classes) {
  PyArrayObject* array = plain_array(labels.ptr(), "labels", "int64 (M,)");
  if (PyArray_NDIM(array) != 1 || !PyArray_ISSIGNED(array) || PyArray_ITEMSIZE(array) != 8)
    refuse("labels", "int64 (M,)", labels.ptr());
  const LabelsCall call{static_cast<const int64_t*>(PyArray_DATA(array)), n_classes};
  return first_of(PyArray_DIM(array, 0),
                  [&](int64_t begin, int64_t end) { return kernels->first_bad_label(call, begin, end); });
}

int64_t first_outside(handle values, double most) {
  PyArrayObject* array = plain_array(values.ptr(), "values", "an array of floating-point numbers");
  const int dtype = dtype_of(array);
  if (dtype < 0) refuse("values", "an array of floating-point numbers", values.ptr());
  const RangeCall call{PyArray_DATA(array), most};
  return first_of(PyArray_SIZE(array),
                  [&](int64_t begin, int64_t end) { return kernels->first_outside[dtype](call, begin, end); });
}

}  // namespace
}  // namespace crossent
