// Gaussian features as Python functions.
#pragma once

#include "bind.h"

namespace crossent {
namespace {

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

}  // namespace
}  // namespace crossent
