// The Python module: arguments in, one kernel over the rows, nothing else.
#include "bind_columns.h"
#include "bind_linear.h"
#include "bind_products.h"
#include "bind_radial.h"
#include "bind_softmax.h"
#include "bind_sparse.h"
#include "bind_vectors.h"

namespace crossent {
namespace {

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
  m.def("softmax_rows", elementwise<&SoftmaxKernels::softmax>);
  m.def("log_softmax_rows", elementwise<&SoftmaxKernels::log_softmax>);
  m.def("logsumexp_rows", logsumexp_rows);
  m.def("softmax_vjp_rows", with_second<&SoftmaxKernels::softmax_vjp>);
  m.def("log_softmax_vjp_rows", with_second<&SoftmaxKernels::log_softmax_vjp>);
  m.def("log_softmax_jvp_rows", with_second<&SoftmaxKernels::log_softmax_jvp>);
  m.def("logsumexp_vjp_rows", logsumexp_vjp_rows);
  m.def("logsumexp_jvp_rows", logsumexp_jvp_rows);
  m.def("cross_entropy_rows", cross_entropy_rows, "logits"_a, "target"_a, "row_weight"_a.none(),
        "gradient_factor"_a, "options"_a, "loss"_a.none(), "gradient"_a.none());
  m.def("cross_entropy_jvp_rows", cross_entropy_jvp_rows, "logits"_a, "target"_a, "tangent"_a,
        "row_weight"_a.none(), "options"_a, "loss"_a, "loss_tangent"_a);
  m.def("cross_entropy_hvp_rows", cross_entropy_hvp_rows, "logits"_a, "target"_a, "tangent"_a,
        "row_weight"_a.none(), "gradient_factor"_a, "options"_a, "gauss_newton"_a, "out"_a,
        "gradient"_a.none() = nb::none());
  m.def("softmax_columns", turned<&ColumnKernels::softmax_columns>);
  m.def("log_softmax_columns", turned<&ColumnKernels::log_softmax_columns>);
  m.def("logsumexp_columns", logsumexp_columns);
  m.def("softmax_vjp_columns", turned_back<&ColumnKernels::softmax_vjp_columns>);
  m.def("log_softmax_vjp_columns", turned_back<&ColumnKernels::log_softmax_vjp_columns>);
  m.def("logsumexp_vjp_columns", logsumexp_vjp_columns);
  m.def("cross_entropy_columns", cross_entropy_columns, "logits"_a, "labels"_a, "row_weight"_a.none(),
        "gradient_factor"_a, "options"_a, "loss"_a.none(), "gradient"_a.none());
  m.def("sigmoid_elements", sigmoid_elements);
  m.def("binary_cross_entropy_elements", binary_cross_entropy_elements, "logits"_a, "targets"_a,
        "row_weight"_a.none(), "gradient_factor"_a, "options"_a, "loss"_a.none(), "gradient"_a.none());
  m.def("gaussian_features_rows", gaussian_features_rows);
  m.def("gaussian_features_vjp_rows", gaussian_features_vjp_rows, "inputs"_a, "centers"_a, "beta"_a,
        "cotangent"_a, "kind"_a, "inputs_out"_a.none(), "centers_out"_a.none(), "beta_out"_a.none());
  m.def("radial_products_rows", radial_products_rows);
  m.def("radial_products_vjp_rows", radial_products_vjp_rows, "inputs"_a, "origin"_a, "centers"_a, "squares"_a,
        "beta"_a, "cotangent"_a, "reach"_a, "sizes"_a, "inputs_out"_a.none(), "centers_out"_a.none(),
        "beta_out"_a.none());
  m.def("matrix_product", matrix_product, "a"_a, "b"_a, "out"_a, "start"_a.none(), "in_order"_a);
  m.def("linear_cross_entropy_rows", linear_cross_entropy_rows, "inputs"_a, "weight"_a, "bias"_a.none(), "labels"_a,
        "gradient_factor"_a, "options"_a, "loss"_a.none(), "inputs_out"_a.none(), "weight_out"_a.none(),
        "bias_out"_a.none(), "memory"_a);
  m.def("sparse_logits_rows", sparse_logits_rows);
  m.def("sparse_sums_rows", sparse_sums_rows);
  m.def("turned_matrix", turned_matrix);
  m.def("vector_products", vector_products);
  m.def("vector_sum", vector_sum);
  m.def("first_bad_label", first_bad_label);
  m.def("first_outside", first_outside);
  m.def("set_num_threads", set_thread_count);
  m.def("get_num_threads", thread_count);
  m.def("available_isas", available);
  m.def("use", use);
}
