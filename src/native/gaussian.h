// Additive Gaussian features, and the gradients of both kinds by differences.
//
// Lanes are features: a tile of centers is transposed into the stack and every input is compared with all
// of them at once. Blocks have fixed sizes and are added in order, so no sum depends on the threads.
#pragma once

#include "derivatives.h"

namespace crossent::CROSSENT_ISA {
namespace {

constexpr int kRowBlock = 64;     // inputs whose exponentials are held at once
constexpr int kInputBlock = 128;  // coordinates of a transposed tile of centers

template <class C>
struct Gaussians {
  static constexpr int kTile = kLanes<C>;
  const C *inputs, *centers, *betas, *cotangent;
  int64_t n_samples, n_inputs, n_features;

  INLINE Gaussians(const GaussianCall& call)
      : inputs((const C*)call.inputs),
        centers((const C*)call.centers),
        betas((const C*)call.beta),
        cotangent((const C*)call.cotangent),
        n_samples(call.n_samples),
        n_inputs(call.n_inputs),
        n_features(call.n_features) {}

  INLINE int width(int64_t j) const { return int(n_features - j < kTile ? n_features - j : kTile); }
  INLINE Vec<C> beta(int64_t j) const { return load(betas + j, width(j)); }
  INLINE Vec<C> upstream(int64_t i, int64_t j) const { return load(cotangent + i * n_features + j, width(j)); }
};

template <class C>
struct Tile {
  Vec<C> center[kInputBlock];
  int64_t from;
  int count;

  // Coordinates from ... from + count of the centers j ... j + kTile, one vector a coordinate.
  INLINE void read(const Gaussians<C>& g, int64_t j, int64_t from_, int64_t to) {
    from = from_;
    count = int(to - from_);
    C lanes[kInputBlock][kLanes<C>];
    const int width = g.width(j);
    for (int lane = 0; lane < kLanes<C>; ++lane) {
      const C* center = g.centers + (j + (lane < width ? lane : 0)) * g.n_inputs + from;
      for (int s = 0; s < count; ++s) lanes[s][lane] = center[s];
    }
    __builtin_memcpy(center, lanes, sizeof(Vec<C>) * count);
  }
};

// exp(-beta t): what its last roundings are worth, that of the exponent outweighs.
template <class V>
INLINE V gaussian(V beta, V t) {
  return exp_quick(-beta * t, None{});
}

INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// The exponents of one feature block are sums over coordinates (radial) or the features themselves are
// (additive): values[i] is the sum of terms(difference) over the coordinates for each of the inputs.
template <class C, class Term>
INLINE void sum_coordinates(const Gaussians<C>& g, int64_t i, int rows, int64_t j, Vec<C>* values, Term term) {
  Tile<C> tile;
  for (int r = 0; r < rows; ++r) values[r] = Vec<C>{};
  for (int64_t from = 0; from < g.n_inputs; from += kInputBlock) {
    tile.read(g, j, from, smaller(from + kInputBlock, g.n_inputs));
    for (int r = 0; r < rows; ++r) {
      const C* x = g.inputs + (i + r) * g.n_inputs + from;
      Vec<C> sum{};
      for (int s = 0; s < tile.count; ++s) sum += term(splat(x[s]) - tile.center[s]);
      values[r] += sum;
    }
  }
}

template <class C>
INLINE void radial_block(const Gaussians<C>& g, int64_t i, int rows, int64_t j, Vec<C>* values) {
  const Vec<C> beta = g.beta(j);
  sum_coordinates(g, i, rows, j, values, [](Vec<C> d) INLINED { return d * d; });
  for (int r = 0; r < rows; ++r) values[r] = gaussian(beta, values[r]);
}

template <class C>
INLINE void additive_block(const Gaussians<C>& g, int64_t i, int rows, int64_t j, Vec<C>* values) {
  const Vec<C> beta = g.beta(j);
  sum_coordinates(g, i, rows, j, values, [&](Vec<C> d) INLINED { return gaussian(beta, d * d); });
}

template <class C>
void additive_features_rows(const GaussianCall& call, int64_t begin, int64_t end) {
  const Gaussians<C> g(call);
  Vec<C> values[kRowBlock];
  for (int64_t i = begin; i < end; i += kRowBlock) {
    const int rows = int(smaller(kRowBlock, end - i));
    for (int64_t j = 0; j < g.n_features; j += kLanes<C>) {
      additive_block(g, i, rows, j, values);
      for (int r = 0; r < rows; ++r) store((C*)call.out + (i + r) * g.n_features + j, g.width(j), values[r]);
    }
  }
}

// h_ij e_ij of a block, the part of every radial gradient that does not depend on the coordinate.
template <class C>
INLINE void radial_pull(const Gaussians<C>& g, int64_t i, int rows, int64_t j, Vec<C>* values) {
  radial_block(g, i, rows, j, values);
  for (int r = 0; r < rows; ++r) values[r] *= g.upstream(i + r, j);
}

// k = h d exp(...), the summand of every gradient; the radial exponential comes in with the pull.
template <class C>
INLINE Vec<C> pulled(bool radial, Vec<C> pull, Vec<C> beta, Vec<C> d) {
  return radial ? pull * d : pull * d * gaussian(beta, d * d);
}

// dE/dx_is = -2 sum_j beta_j k_ijs: a few inputs and coordinates at a time, over all features.
constexpr int kInputsTogether = 8, kCoordinates = 32;

template <class C>
INLINE void additive_inputs_block(const Gaussians<C>& g, int64_t i, int rows, int64_t from, C* out) {
  Vec<C> sums[kInputsTogether][kCoordinates] = {};
  const int count = int(smaller(kCoordinates, g.n_inputs - from));
  Tile<C> tile;
  for (int64_t j = 0; j < g.n_features; j += kLanes<C>) {
    tile.read(g, j, from, from + count);
    const Vec<C> beta = g.beta(j);
    for (int r = 0; r < rows; ++r) {
      const C* x = g.inputs + (i + r) * g.n_inputs + from;
      const Vec<C> pull = g.upstream(i + r, j) * beta;
      for (int s = 0; s < count; ++s)
        sums[r][s] += pulled<C>(false, pull, beta, splat(x[s]) - tile.center[s]);
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int s = 0; s < count; ++s) {
      Sum<C> sum;
      sum.add(sums[r][s]);
      out[(i + r) * g.n_inputs + from + s] = C(-2 * sum.total());
    }
}

// The same with one exponential a feature: lanes are coordinates.
template <class C>
INLINE void radial_inputs_block(const Gaussians<C>& g, int64_t i, int rows, C* out) {
  for (int r = 0; r < rows; ++r) fill_row(out + (i + r) * g.n_inputs, g.n_inputs, C(0));
  Vec<C> pulls[kRowBlock];
  for (int64_t j = 0; j < g.n_features; j += kLanes<C>) {
    radial_pull(g, i, rows, j, pulls);
    const Vec<C> beta = g.beta(j);
    const int width = g.width(j);
    for (int r = 0; r < rows; ++r) {
      const Vec<C> pull = splat(C(-2)) * beta * pulls[r];
      const C* x = g.inputs + (i + r) * g.n_inputs;
      C* row = out + (i + r) * g.n_inputs;
      sweep<C>(g.n_inputs, [&](int64_t s, auto n) INLINED {
        const Vec<C> at = load(x + s, n);
        Vec<C> sum{};
        for (int lane = 0; lane < width; ++lane)
          sum += splat(C(pull[lane])) * (at - load(g.centers + (j + lane) * g.n_inputs + s, n));
        store(row + s, n, load(row + s, n) + sum);
      });
    }
  }
}

template <class C>
void gaussian_inputs_vjp_rows(const GaussianCall& call, int64_t begin, int64_t end) {
  const Gaussians<C> g(call);
  C* out = (C*)call.out;
  if (call.radial) {
    for (int64_t i = begin; i < end; i += kRowBlock)
      radial_inputs_block(g, i, int(smaller(kRowBlock, end - i)), out);
    return;
  }
  for (int64_t i = begin; i < end; i += kInputsTogether)
    for (int64_t from = 0; from < g.n_inputs; from += kCoordinates)
      additive_inputs_block(g, i, int(smaller(kInputsTogether, end - i)), from, out);
}

// ---------------------------------------------------------------- centers and beta

// Sums over a block of inputs in C, over the blocks in float64.
template <class C>
struct Total {
  F64 parts[sizeof(C) == 4 ? 2 : 1] = {};
  INLINE void add(Vec<C> x) {
    if constexpr (sizeof(C) == 4) {
      const Pair<F64> wide = widen(x);
      parts[0] += wide.high;
      parts[1] += wide.low;
    } else {
      parts[0] += x;
    }
  }
  INLINE double lane(int i) const { return parts[i / kLanes<double>][i % kLanes<double>]; }
};

template <class C>
struct ParameterTotals {
  Total<C> center[kInputBlock];
  Total<C> beta;
};

// One block of inputs added to the sums of one tile of features, coordinates from ... of it.
template <class C>
INLINE void add_block(const Gaussians<C>& g, bool radial, int64_t i, int rows, int64_t j, const Tile<C>& tile,
                      ParameterTotals<C>& totals) {
  Vec<C> pulls[kRowBlock], of_center[kInputBlock] = {}, of_beta{};
  const Vec<C> beta = g.beta(j);
  if (radial)
    radial_pull(g, i, rows, j, pulls);
  else
    for (int r = 0; r < rows; ++r) pulls[r] = g.upstream(i + r, j);
  for (int r = 0; r < rows; ++r) {
    const C* x = g.inputs + (i + r) * g.n_inputs + tile.from;
    Vec<C> of_row{};
    for (int s = 0; s < tile.count; ++s) {
      const Vec<C> d = splat(x[s]) - tile.center[s], k = pulled<C>(radial, pulls[r], beta, d);
      of_center[s] += k;
      of_row += k * d;
    }
    of_beta += of_row;
  }
  for (int s = 0; s < tile.count; ++s) totals.center[s].add(of_center[s]);
  totals.beta.add(of_beta);
}

// dE/dc_js = 2 beta_j sum_i k_ijs and dE/dbeta_j = -sum_is k_ijs d_ijs for the tiles begin ... end.
template <class C>
void gaussian_parameters_vjp_tiles(const GaussianCall& call, int64_t begin, int64_t end) {
  const Gaussians<C> g(call);
  for (int64_t t = begin; t < end; ++t) {
    const int64_t j = t * kLanes<C>;
    const int width = g.width(j);
    double of_beta[kLanes<C>] = {};
    for (int64_t from = 0; from < g.n_inputs; from += kInputBlock) {
      Tile<C> tile;
      tile.read(g, j, from, smaller(from + kInputBlock, g.n_inputs));
      ParameterTotals<C> totals{};
      for (int64_t i = 0; i < g.n_samples; i += kRowBlock)
        add_block(g, call.radial, i, int(smaller(kRowBlock, g.n_samples - i)), j, tile, totals);
      for (int lane = 0; lane < width; ++lane) {
        of_beta[lane] -= totals.beta.lane(lane);
        if (!call.centers_out) continue;
        C* out = (C*)call.centers_out + (j + lane) * g.n_inputs + from;
        for (int s = 0; s < tile.count; ++s)
          out[s] = C(2 * double(g.betas[j + lane]) * totals.center[s].lane(lane));
      }
    }
    if (call.beta_out)
      for (int lane = 0; lane < width; ++lane) ((C*)call.beta_out)[j + lane] = C(of_beta[lane]);
  }
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
