// Radial Gaussian features as Python functions: by differences, and by the kernels' own matrix products.
#pragma once

#include <memory>

#include "bind_gaussian.h"

namespace crossent {
namespace {

constexpr double kPerProduct = 0.02, kPerExponential = 1;  // nanoseconds
constexpr int64_t kRadialGrain = 84;                       // rows: whole panels on every instruction set
constexpr int64_t kMostParts = 32, kLeastPart = 128;

double radial_cost(const RadialCall& call, double products) {
  const double numbers = double(call.n_samples) * double(call.n_features);
  return kPerRow + numbers * (kPerExponential + products * kPerProduct * double(call.n_inputs));
}

// Uninitialised memory for whole cache lines.
class Lines {
 public:
  explicit Lines(int64_t bytes) : memory_(new char[size_t(bytes) + 64]) {}
  void* begin() const { return (void*)((uintptr_t(memory_.get()) + 63) / 64 * 64); }

 private:
  std::unique_ptr<char[]> memory_;
};

// The centers in panels for a call, which points there.
struct Panels {
  Lines centers, scaled;

  Panels(RadialCall& call, int dtype, bool inputs_gradient)
      : centers(bytes(call.n_features, call.n_inputs, dtype)),
        scaled(inputs_gradient ? bytes(call.n_inputs, call.n_features, dtype) : 0) {
    call.panels = centers.begin();
    call.scaled_panels = scaled.begin();
    const int64_t items = panels(call.n_features, dtype) + (inputs_gradient ? panels(call.n_inputs, dtype) : 0);
    run(kernels->radial_panels[dtype], call, items, 1, double(call.n_features) * double(call.n_inputs));
  }

 private:
  static int64_t panels(int64_t count, int dtype) {
    const int64_t wide = kernels->radial_panel[dtype];
    return (count + wide - 1) / wide;
  }
  static int64_t bytes(int64_t wide, int64_t deep, int dtype) {
    return panels(wide, dtype) * kernels->radial_panel[dtype] * deep * kItemSize[dtype];
  }
};

RadialCall radials(const GaussianCall& given) {
  RadialCall call{};
  call.inputs = given.inputs;
  call.centers = given.centers;
  call.beta = given.beta;
  call.n_samples = given.n_samples;
  call.n_inputs = given.n_inputs;
  call.n_features = given.n_features;
  return call;
}

// With what a product needs: the inputs' origin, |c|^2 from there, and where |x|^2 goes.
RadialCall radials(const Numbers& x, handle origin, handle centers, handle squares, handle beta, handle sizes) {
  RadialCall call = radials(gaussians(x, centers, beta, "radial"));
  call.origin = second_of(origin.ptr(), "origin", x.dtype, call.n_inputs);
  call.squares = second_of(squares.ptr(), "squares", x.dtype, call.n_features);
  call.sizes = output_of(sizes.ptr(), "sizes", x.dtype, call.n_samples);
  return call;
}

void radial_features(RadialCall& call, int dtype) {
  if (call.n_samples == 0 || call.n_features == 0) return;
  const Panels panels(call, dtype, false);
  run(kernels->radial_features[dtype], call, call.n_samples, kRadialGrain, radial_cost(call, 1));
}

void gaussian_features_rows(handle inputs, handle centers, handle beta, const char* kind, handle out) {
  const Numbers x(inputs.ptr(), "inputs");
  GaussianCall call = gaussians(x, centers, beta, kind);
  call.out = output_of(out.ptr(), "out", x.dtype, x.rows, call.n_features);
  if (!call.radial) return run(kernels->additive_features[x.dtype], call, x.rows, 64, gaussian_cost(call));
  RadialCall radial = radials(call);
  radial.out = call.out;
  radial_features(radial, x.dtype);
}

void radial_products_rows(handle inputs, handle origin, handle centers, handle squares, handle beta, handle out,
                          handle sizes) {
  const Numbers x(inputs.ptr(), "inputs");
  RadialCall call = radials(x, origin, centers, squares, beta, sizes);
  call.out = output_of(out.ptr(), "out", x.dtype, x.rows, call.n_features);
  radial_features(call, x.dtype);
}

// How many parts the sums over the inputs are made in depends on the shape alone.
int64_t part_of(const RadialCall& call) {
  const int64_t least = std::max(call.n_features / 4, kLeastPart);
  const int64_t parts = std::clamp<int64_t>(call.n_samples / least, 1, kMostParts);
  return (call.n_samples + parts - 1) / parts;
}

void radial_products_vjp_rows(handle inputs, handle origin, handle centers, handle squares, handle beta,
                              handle cotangent, double reach, handle sizes, handle inputs_out, handle centers_out,
                              handle beta_out) {
  const Numbers x(inputs.ptr(), "inputs");
  RadialCall call = radials(x, origin, centers, squares, beta, sizes);
  const int64_t n = call.n_features;
  call.cotangent = second_of(cotangent.ptr(), "cotangent", x.dtype, x.rows, n);
  call.reach = reach;
  if (!inputs_out.is_none()) call.out = output_of(inputs_out.ptr(), "inputs_out", x.dtype, x.rows, x.columns);
  if (!centers_out.is_none()) call.centers_out = output_of(centers_out.ptr(), "centers_out", x.dtype, n, x.columns);
  if (!beta_out.is_none()) call.beta_out = output_of(beta_out.ptr(), "beta_out", x.dtype, n);
  call.part = std::max<int64_t>(1, part_of(call));
  const int64_t parts = (call.n_samples + call.part - 1) / call.part;
  const Lines sums(parts * 2 * n * 8), of_centers(call.centers_out ? parts * n * x.columns * kItemSize[x.dtype] : 0);
  call.part_sums = (double*)sums.begin();
  call.part_centers = of_centers.begin();
  const Panels panels(call, x.dtype, call.out != nullptr);
  run(kernels->radial_vjp_parts[x.dtype], call, parts, 1, radial_cost(call, 3));
  run(kernels->radial_vjp_totals[x.dtype], call, n, 8, double(parts) * double(n) * double(x.columns));
}

}  // namespace
}  // namespace crossent
