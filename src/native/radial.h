// Radial Gaussian features by differences and by matrix products, and their gradients by matrix products.
//
// What a product would spoil, rows that lie too far out, is left to the kernels that form every difference. Each
// number is summed in one order: the rows of a block are independent, and parts of the inputs have fixed sizes.
#pragma once

#include "radial_block.h"

namespace crossent::CROSSENT_ISA {
namespace {

// ---------------------------------------------------------------- panels of centers

// Panels begin ... end of centers: those of kWide<T> centers, then, where they are wanted, those of kWide<T>
// coordinates of 2 beta c.
template <class T>
void radial_panels(const RadialCall& call, int64_t begin, int64_t end) {
  constexpr int W = kWide<T>;
  const int64_t D = call.n_inputs, n = call.n_features, of_centers = (n + W - 1) / W;
  const T *centers = (const T*)call.centers, *beta = (const T*)call.beta;
  for (int64_t p = begin; p < end; ++p) {
    if (p < of_centers) {
      const int64_t j = p * W;
      pack<W>(Matrix<const T>{centers + j * D, D, 1}, int(at_most(W, n - j)), D, (T*)call.panels + j * D);
      continue;
    }
    const int64_t s = (p - of_centers) * W;
    const int count = int(at_most(W, D - s));
    T* panel = (T*)call.scaled_panels + s * n;
    for (int64_t j = 0; j < n; ++j)
      for (int i = 0; i < W; ++i) panel[j * W + i] = i < count ? 2 * beta[j] * centers[j * D + s + i] : T(0);
  }
}

// ---------------------------------------------------------------- inputs begin ... end of a call

template <class T>
void radial_features_rows(const RadialCall& call, int64_t begin, int64_t end) {
  RadialBlock<T> block(call);
  for (int64_t i = begin; i < end; i += block.most) {
    block.read(i, at_most(block.most, end - i));
    if (!call.origin) {
      block.differences();
      block.features([](Vec<T> distance, int, int64_t, auto) INLINED { return distance; });
      continue;
    }
    block.products();
    block.features([&](Vec<T> product, int r, int64_t j, auto k) INLINED {
      return block.distance(product, r, load(block.squares + j, k));
    });
    __builtin_memcpy((T*)call.sizes + i, block.size, sizeof(T) * size_t(block.rows));
  }
}

// Gradients of the parts begin ... end: the inputs' whole, of centers and beta the sums over each part.
template <class T>
void radial_vjp_parts(const RadialCall& call, int64_t begin, int64_t end) {
  RadialBlock<T> block(call);
  const int64_t D = call.n_inputs, n = call.n_features;
  for (int64_t part = begin; part < end; ++part) {
    double* sums = call.part_sums + part * 2 * n;
    T* of_centers = call.centers_out ? (T*)call.part_centers + part * n * D : nullptr;
    for (int64_t j = 0; j < 2 * n; ++j) sums[j] = 0;
    const int64_t first = part * call.part, last = at_most(first + call.part, call.n_samples);
    for (int64_t i = first; i < last; i += block.most) {
      block.read(i, at_most(block.most, last - i));
      block.products();
      block.pulls(sums);
      if (call.out) block.inputs_gradient();
      if (of_centers) block.add_centers_gradient(of_centers, i == first);
      __builtin_memcpy((T*)call.sizes + i, block.size, sizeof(T) * size_t(block.rows));
    }
  }
}

// dE/dc = 2 beta (P^T x - c sum_i P) and dE/dbeta = -sum_i P |x - c|^2 of the centers begin ... end.
template <class T>
void radial_vjp_totals(const RadialCall& call, int64_t begin, int64_t end) {
  const int64_t D = call.n_inputs, n = call.n_features, parts = (call.n_samples + call.part - 1) / call.part;
  for (int64_t j = begin; j < end; ++j) {
    double whole = 0, stretched = 0;
    for (int64_t p = 0; p < parts; ++p) {
      whole += call.part_sums[p * 2 * n + j];
      stretched += call.part_sums[(p * 2 + 1) * n + j];
    }
    if (call.beta_out) ((T*)call.beta_out)[j] = T(-stretched);
    if (!call.centers_out) continue;
    const double slope = 2 * double(((const T*)call.beta)[j]);
    const T* center = (const T*)call.centers + j * D;
    T* out = (T*)call.centers_out + j * D;
    for (int64_t s = 0; s < D; ++s) {
      double sum = 0;
      for (int64_t p = 0; p < parts; ++p) sum += double(((const T*)call.part_centers)[(p * n + j) * D + s]);
      out[s] = T(slope * (sum - double(center[s]) * whole));
    }
  }
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
