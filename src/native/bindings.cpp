// The Python module: arguments in, one kernel over the rows, nothing else.
#include <nanobind/nanobind.h>
#include <unistd.h>


#include "arrays.h"
#include "dispatch.h"
#include "pool.h"

namespace nb = nanobind;
using nb::handle;

namespace crossent {
namespace {

const KernelTable* kernels = nullptr;

constexpr double kWorthUnlocking = 10'000;  // nanoseconds of work that pay for giving up the GIL

// What a number costs about, in nanoseconds: it decides on threads and the GIL, never on a result.
constexpr double kCheap = 0.5, kGeneral = 4, kPerRow = 20;

// Takes the GIL back. An interpreter that has begun to exit ends the thread instead, by unwinding its stack
// where the system does that; it must not pass through C++ frames, so such a thread waits for the end here.
void lock_again(PyThreadState* state) {
  try {
    PyEval_RestoreThread(state);
  } catch (...) {
    for (;;) pause();
  }
}

template <class Call>
struct Task {
  Kernel<Call> kernel;
  const Call* call;
};

template <class Call>
void run(Kernel<Call> kernel, const Call& call, int64_t items, int64_t grain, double nanoseconds) {
  if (items == 0) return;
  const Task<Call> task{kernel, &call};
  const Work work = [](const void* context, int64_t begin, int64_t end) {
    const Task<Call>& task = *static_cast<const Task<Call>*>(context);
    task.kernel(*task.call, begin, end);
  };
  if (nanoseconds < kWorthUnlocking) return parallel_for(items, grain, nanoseconds, work, &task);
  PyThreadState* state = PyEval_SaveThread();
  parallel_for(items, grain, nanoseconds, work, &task);
  lock_again(state);
}

double row_cost(const Numbers& rows, double per_number) {
  return double(rows.rows) * (kPerRow + per_number * double(rows.columns));
}

constexpr int64_t kRowGrain = 16;

// ---------------------------------------------------------------- softmax family

using RowsKernels = Kernel<RowsCall> (KernelTable::*)[kDTypes];

template <RowsKernels which>
void elementwise(handle first, handle out) {
  const Numbers z(first.ptr(), "logits");
  const RowsCall call{z.data, nullptr, output_of(out.ptr(), "out", z.dtype, z.rows, z.columns), z.columns};
  run((kernels->*which)[z.dtype], call, z.rows, kRowGrain, row_cost(z, kCheap));
}

void logsumexp_rows(handle logits, handle out) {
  const Numbers z(logits.ptr(), "logits");
  const RowsCall call{z.data, nullptr, output_of(out.ptr(), "out", z.dtype, z.rows), z.columns};
  run(kernels->logsumexp[z.dtype], call, z.rows, kRowGrain, row_cost(z, kCheap));
}

template <RowsKernels which>
void with_second(handle first, handle second, handle out) {
  const Numbers z(first.ptr(), "the first argument");
  const RowsCall call{z.data, second_of(second.ptr(), "the second argument", z.dtype, z.rows, z.columns),
                      output_of(out.ptr(), "out", z.dtype, z.rows, z.columns), z.columns};
  run((kernels->*which)[z.dtype], call, z.rows, kRowGrain, row_cost(z, kCheap));
}

void logsumexp_vjp_rows(handle logits, handle cotangent, handle out) {
  const Numbers z(logits.ptr(), "logits");
  const RowsCall call{z.data, second_of(cotangent.ptr(), "cotangent", z.dtype, z.rows),
                      output_of(out.ptr(), "out", z.dtype, z.rows, z.columns), z.columns};
  run(kernels->logsumexp_vjp[z.dtype], call, z.rows, kRowGrain, row_cost(z, kCheap));
}

void logsumexp_jvp_rows(handle logits, handle tangent, handle out) {
  const Numbers z(logits.ptr(), "logits");
  const RowsCall call{z.data, second_of(tangent.ptr(), "tangent", z.dtype, z.rows, z.columns),
                      output_of(out.ptr(), "out", z.dtype, z.rows), z.columns};
  run(kernels->logsumexp_jvp[z.dtype], call, z.rows, kRowGrain, row_cost(z, 2 * kCheap));
}

void sigmoid_elements(handle x, handle out) {
  const Numbers z(x.ptr(), "x", 1);
  const RowsCall call{z.data, nullptr, output_of(out.ptr(), "out", z.dtype, z.rows), 1};
  run(kernels->sigmoid[z.dtype], call, z.rows, 1024, kCheap * double(z.rows));
}

// ---------------------------------------------------------------- cross-entropy

const double* doubles(handle object, const char* name, int64_t count) {
  if (object.is_none()) return nullptr;
  return static_cast<const double*>(second_of(object.ptr(), name, kFloat64, count));
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
    const bool long_enough = PyArray_NDIM(array) == 1 && PyArray_DIM(array, 0) == z.rows;
    if (!long_enough || !PyArray_ISSIGNED(array) || PyArray_ITEMSIZE(array) != 8)
      refuse("target", "labels int64 (M,) or targets (M, K)", target.ptr());
    call.labels = static_cast<const int64_t*>(PyArray_DATA(array));
  }
  return call;
}

void cross_entropy_rows(handle logits, handle target, handle row_weight, double gradient_factor, handle options,
                        handle loss, handle gradient) {
  const Numbers z(logits.ptr(), "logits");
  const Options given(options);
  CrossEntropyCall call = call_of(z, target, row_weight, given);
  call.gradient_factor = gradient_factor;
  call.loss = static_cast<double*>(output_of(loss.ptr(), "loss", kFloat64, z.rows));
  if (!gradient.is_none()) call.out = output_of(gradient.ptr(), "gradient", z.dtype, z.rows, z.columns);
  if (call.labels && given.plain())
    run(kernels->cross_entropy[z.dtype], call, z.rows, kRowGrain, row_cost(z, kCheap));
  else
    run(kernels->cross_entropy_general[z.dtype], call, z.rows, kRowGrain, row_cost(z, kGeneral));
}

void cross_entropy_jvp_rows(handle logits, handle target, handle tangent, handle row_weight, handle options,
                            handle loss, handle loss_tangent) {
  const Numbers z(logits.ptr(), "logits");
  CrossEntropyCall call = call_of(z, target, row_weight, Options(options));
  call.tangent = second_of(tangent.ptr(), "tangent", z.dtype, z.rows, z.columns);
  call.loss = static_cast<double*>(output_of(loss.ptr(), "loss", kFloat64, z.rows));
  call.loss_tangent = static_cast<double*>(output_of(loss_tangent.ptr(), "loss_tangent", kFloat64, z.rows));
  run(kernels->cross_entropy_jvp[z.dtype], call, z.rows, kRowGrain, row_cost(z, kGeneral));
}

void cross_entropy_hvp_rows(handle logits, handle target, handle tangent, handle row_weight, double gradient_factor,
                            handle options, bool gauss_newton, handle out) {
  const Numbers z(logits.ptr(), "logits");
  CrossEntropyCall call = call_of(z, target, row_weight, Options(options));
  call.tangent = second_of(tangent.ptr(), "tangent", z.dtype, z.rows, z.columns);
  call.gradient_factor = gradient_factor;
  call.gauss_newton = gauss_newton;
  call.out = output_of(out.ptr(), "out", z.dtype, z.rows, z.columns);
  run(kernels->cross_entropy_hvp[z.dtype], call, z.rows, kRowGrain, row_cost(z, kGeneral));
}

void binary_cross_entropy_elements(handle logits, handle targets, handle row_weight, double gradient_factor,
                                   handle options, handle loss, handle gradient) {
  const Numbers z(logits.ptr(), "logits", 1);
  const Options given(options);
  const double* weights = doubles(given.class_weight, "class_weight", 2);
  BinaryCall call{};
  call.logits = z.data;
  call.targets = second_of(targets.ptr(), "targets", compute_dtype(z.dtype), z.rows);
  call.row_weight = doubles(row_weight, "row_weight", z.rows);
  call.gradient_factor = gradient_factor;
  call.label_smoothing = given.label_smoothing;
  call.temperature = given.temperature;
  call.weight_of_0 = weights ? weights[0] : 1;
  call.weight_of_1 = weights ? weights[1] : 1;
  call.loss = static_cast<double*>(output_of(loss.ptr(), "loss", kFloat64, z.rows));
  if (!gradient.is_none()) call.out = output_of(gradient.ptr(), "gradient", z.dtype, z.rows);
  run(kernels->binary_cross_entropy[z.dtype], call, z.rows, 1024, kGeneral * double(z.rows));
}

// ---------------------------------------------------------------- Gaussian features

GaussianCall gaussians(const Numbers& x, handle centers, handle beta, const char* kind) {
  if (x.dtype < kFloat32) throw TypeError("inputs must be float32 or float64");
  const Numbers c(centers.ptr(), "centers");
  if (c.dtype != x.dtype || c.columns != x.columns) refuse("centers", "(n, D) in the inputs' dtype", centers.ptr());
  GaussianCall call{};
  call.inputs = x.data;
  call.centers = c.data;
  call.beta = second_of(beta.ptr(), "beta", x.dtype, c.rows);
  call.n_samples = x.rows;
  call.n_inputs = x.columns;
  call.n_features = c.rows;
  call.radial = std::strcmp(kind, "radial") == 0;
  return call;
}

double gaussian_cost(const GaussianCall& call) {
  return double(call.n_samples) * double(call.n_features) * (1 + (call.radial ? 0.2 : 1) * double(call.n_inputs));
}

void gaussian_features_rows(handle inputs, handle centers, handle beta, const char* kind, handle out) {
  const Numbers x(inputs.ptr(), "inputs");
  GaussianCall call = gaussians(x, centers, beta, kind);
  call.out = output_of(out.ptr(), "out", x.dtype, x.rows, call.n_features);
  run(kernels->gaussian_features[x.dtype], call, x.rows, 64, gaussian_cost(call));
}

void gaussian_features_vjp_rows(handle inputs, handle centers, handle beta, handle cotangent, const char* kind,
                                handle inputs_out, handle centers_out, handle beta_out) {
  const Numbers x(inputs.ptr(), "inputs");
  GaussianCall call = gaussians(x, centers, beta, kind);
  call.cotangent = second_of(cotangent.ptr(), "cotangent", x.dtype, x.rows, call.n_features);
  if (!inputs_out.is_none()) {
    call.out = output_of(inputs_out.ptr(), "inputs_out", x.dtype, x.rows, x.columns);
    run(kernels->gaussian_inputs_vjp[x.dtype], call, x.rows, 64, gaussian_cost(call));
  }
  if (!centers_out.is_none())
    call.centers_out = output_of(centers_out.ptr(), "centers_out", x.dtype, call.n_features, x.columns);
  if (!beta_out.is_none()) call.beta_out = output_of(beta_out.ptr(), "beta_out", x.dtype, call.n_features);
  if (!call.centers_out && !call.beta_out) return;
  const int tile = kernels->feature_tile[x.dtype];
  run(kernels->gaussian_parameters_vjp[x.dtype], call, (call.n_features + tile - 1) / tile, 1, gaussian_cost(call));
}

// ---------------------------------------------------------------- the choice of an instruction set

nb::tuple available() {
  nb::list names;
  for (const char* const* name = available_isas(); *name; ++name) names.append(nb::str(*name));
  return nb::tuple(names);
}

void use(const char* isa) {
  const KernelTable* found = find_kernels(isa);
  if (!found) throw nb::value_error("no kernels of that name on this machine: see available_isas()");
  kernels = found;
}

}  // namespace
}  // namespace crossent

NB_MODULE(_native, m) {
  using namespace crossent;
  using namespace nb::literals;
  if (_import_array() < 0) throw nb::python_error();
  kernels = find_kernels(available_isas()[0]);
  nb::register_exception_translator(
      [](const std::exception_ptr& error, void*) {
        try {
          std::rethrow_exception(error);
        } catch (const TypeError& wrong) {
          PyErr_SetString(PyExc_TypeError, wrong.what());
        }
      },
      nullptr);
  m.def("softmax_rows", elementwise<&KernelTable::softmax>);
  m.def("log_softmax_rows", elementwise<&KernelTable::log_softmax>);
  m.def("logsumexp_rows", logsumexp_rows);
  m.def("softmax_vjp_rows", with_second<&KernelTable::softmax_vjp>);
  m.def("log_softmax_vjp_rows", with_second<&KernelTable::log_softmax_vjp>);
  m.def("log_softmax_jvp_rows", with_second<&KernelTable::log_softmax_jvp>);
  m.def("logsumexp_vjp_rows", logsumexp_vjp_rows);
  m.def("logsumexp_jvp_rows", logsumexp_jvp_rows);
  m.def("cross_entropy_rows", cross_entropy_rows, "logits"_a, "target"_a, "row_weight"_a.none(),
        "gradient_factor"_a, "options"_a, "loss"_a, "gradient"_a.none());
  m.def("cross_entropy_jvp_rows", cross_entropy_jvp_rows, "logits"_a, "target"_a, "tangent"_a,
        "row_weight"_a.none(), "options"_a, "loss"_a, "loss_tangent"_a);
  m.def("cross_entropy_hvp_rows", cross_entropy_hvp_rows, "logits"_a, "target"_a, "tangent"_a,
        "row_weight"_a.none(), "gradient_factor"_a, "options"_a, "gauss_newton"_a, "out"_a);
  m.def("sigmoid_elements", sigmoid_elements);
  m.def("binary_cross_entropy_elements", binary_cross_entropy_elements, "logits"_a, "targets"_a,
        "row_weight"_a.none(), "gradient_factor"_a, "options"_a, "loss"_a, "gradient"_a.none());
  m.def("gaussian_features_rows", gaussian_features_rows);
  m.def("gaussian_features_vjp_rows", gaussian_features_vjp_rows, "inputs"_a, "centers"_a, "beta"_a,
        "cotangent"_a, "kind"_a, "inputs_out"_a.none(), "centers_out"_a.none(), "beta_out"_a.none());
  m.def("set_num_threads", set_thread_count);
  m.def("get_num_threads", thread_count);
  m.def("available_isas", available);
  m.def("use", use);
}
