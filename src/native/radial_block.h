// A block of inputs, as rows counted from an origin, and a number of theirs for each center: distances by
// differences or by matrix products, features, and gradients by products.
#pragma once

#include <stdlib.h>

#include "gaussian.h"
#include "products.h"

namespace crossent::CROSSENT_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kTallDifferences = 12;  // rows whose sums are held in registers
#else
constexpr int kTallDifferences = 4;
#endif

INLINE int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// A block of inputs x (rows, D), from the origin where there is one, and numbers (rows, n) of theirs.
template <class T>
struct RadialBlock {
  static constexpr int L = kLanes<T>, W = kWide<T>;
  static constexpr int64_t kFew = 2, kMany = 7;     // panels of rows
  static constexpr int64_t kSmallPanels = 1 << 17;  // bytes of centers that stay near

  const RadialCall& call;
  const int64_t D, n, x_row, row, most;
  const T *const panels, *const beta, *const squares;
  T *x, *numbers;
  T *whole, *stretched;            // (n,): sums over the rows of P and of P |x - c|^2
  T size[kMany * kTall];           // |x|^2
  Vec<T> of_row[kMany * kTall];    // sums over the centers of P beta
  int64_t at = 0;        // the first input
  int rows = 0;

  INLINE explicit RadialBlock(const RadialCall& call)
      : call(call),
        D(call.n_inputs),
        n(call.n_features),
        x_row(round_up(D, W)),
        row(round_up(n, W) + W),
        most((D * n * int64_t(sizeof(T)) <= kSmallPanels ? kFew : kMany) * (call.origin ? kTall : kTallDifferences)),
        panels((const T*)call.panels),
        beta((const T*)call.beta),
        squares((const T*)call.squares) {
    const size_t bytes = size_t(most * (x_row + row) + 2 * row) * sizeof(T);
    x = (T*)aligned_alloc(64, bytes);
    numbers = x + most * x_row;
    whole = numbers + most * row;
    stretched = whole + row;
    __builtin_memset(x, 0, bytes);
  }
  INLINE ~RadialBlock() { free(x); }
  RadialBlock(const RadialBlock&) = delete;

  INLINE int columns(int64_t j, int64_t count) const { return int(at_most(W, count - j)); }
  INLINE int left(int64_t r, int tall) const { return int(at_most(tall, rows - r)); }

  INLINE void read(int64_t first, int64_t count) {
    at = first;
    rows = int(count);
    const T *from = (const T*)call.inputs + first * D, *origin = (const T*)call.origin;
    for (int r = 0; r < rows; ++r, from += D) {
      T* to = x + r * x_row;
      Vec<T> square{};
      sweep<T>(D, [&](int64_t s, auto k) INLINED {
        const Vec<T> d = origin ? load(from + s, k) - load(origin + s, k) : load(from + s, k);
        store(to + s, k, d);
        square = fma(d, d, square);
      });
      Sum<T> sum;
      sum.add(square);
      size[r] = T(sum.total());
    }
  }

  // <x, c> for every center.
  INLINE void products() {
    for (int64_t k = 0; k < D; k += kDepth)
      for (int64_t j = 0; j < n; j += W)
        for (int64_t r = 0; r < rows; r += kTall) {
          const T *from = x + r * x_row + k, *centers = panels + j * D + k * W;
          const auto number = [&](int64_t s, int i) INLINED { return from[i * x_row + s]; };
          const Result<T> to = sum_into({numbers + r * row + j, row, 1}, k > 0);
          const int64_t depth = at_most(kDepth, D - k);
          if (j > 0)
            multiply<kTall>(number, centers, W, depth, to, left(r, kTall), columns(j, n));
          else
            multiply<kTall>(number, centers, W, depth, to, left(r, kTall), columns(j, n), next_inputs(r, k));
        }
  }
  // Asks, in a step of a product, for a line of the inputs to come.
  INLINE auto next_inputs(int64_t r, int64_t k) const {
    constexpr int64_t kLine = 64 / int64_t(sizeof(T));
    const T* next = (const T*)call.inputs + (at + rows + r) * D + k;
    return [=, apart = D](int64_t s) INLINED {
      __builtin_prefetch(next + s % kTall * apart + s / kTall * kLine, 0, 2);
    };
  }
  INLINE static Result<T> sum_into(Matrix<T> to, bool added) {
    return {{added ? to.at : nullptr, to.row, 1}, to, false};
  }

  // |x - c|^2 from the products, which they take the place of.
  INLINE Vec<T> distance(Vec<T> product, int r, Vec<T> square) const {
    return larger(fma(splat(T(-2)), product, splat(size[r]) + square), Vec<T>{});
  }

  // |x - c|^2 by differences.
  INLINE void differences() {
    for (int64_t k = 0; k < D; k += kDepth)
      for (int64_t j = 0; j < n; j += W)
        for (int64_t r = 0; r < rows; r += kTallDifferences) {
          const T *from = x + r * x_row + k, *centers = panels + j * D + k * W;
          T* to = numbers + r * row + j;
          const int64_t depth = at_most(kDepth, D - k);
          if (columns(j, n) > L)
            square_differences<2>(from, centers, depth, to, k > 0);
          else
            square_differences<1>(from, centers, depth, to, k > 0);
        }
  }
  template <int Vectors>
  INLINE void square_differences(const T* from, const T* centers, int64_t depth, T* to, bool added) const {
    constexpr int R = kTallDifferences;
    Vec<T> sum[R][Vectors] = {};
    for (int64_t k = 0; k < depth; ++k, centers += W) {
      Vec<T> center[Vectors];
      for (int v = 0; v < Vectors; ++v) center[v] = load(centers + v * L, Full{});
#pragma GCC unroll 12
      for (int i = 0; i < R; ++i) {
        const Vec<T> number = splat(from[i * x_row + k]);
#pragma GCC unroll 2
        for (int v = 0; v < Vectors; ++v) {
          const Vec<T> d = number - center[v];
          sum[i][v] = fma(d, d, sum[i][v]);
        }
      }
    }
#pragma GCC unroll 12
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) {
        T* at = to + i * row + v * L;
        store(at, Full{}, added ? load(at, Full{}) + sum[i][v] : sum[i][v]);
      }
  }

  // exp(-beta |x - c|^2) to where the call wants it.
  template <class Distance>
  INLINE void features(Distance distance) {
    for (int r = 0; r < rows; ++r) {
      const T* from = numbers + r * row;
      T* to = (T*)call.out + (at + r) * n;
      sweep<T>(n, [&](int64_t j, auto k) INLINED {
        store(to + j, k, gaussian(load(beta + j, k), distance(load(from + j, k), r, j, k)));
      });
    }
  }

  // P = h exp(-beta |x - c|^2) in place of the products, 0 in rows too far out; its sums over the rows, those
  // with |x - c|^2 too, are added to sums (2, n).
  INLINE void pulls(double* sums) {
    for (int64_t j = 0; j < row; j += L) {
      store(whole + j, Full{}, Vec<T>{});
      store(stretched + j, Full{}, Vec<T>{});
    }
    for (int r = 0; r < rows; ++r) {
      const T* h = (const T*)call.cotangent + (at + r) * n;
      T* from = numbers + r * row;
      const bool near = double(size[r]) <= call.reach;
      Vec<T> sum{};
      sweep<T>(n, [&](int64_t j, auto k) INLINED {
        const Vec<T> b = load(beta + j, k), t = distance(load(from + j, Full{}), r, load(squares + j, k));
        const Vec<T> given = load(h + j, k) * gaussian(b, t), pull = near ? given : Vec<T>{};
        store(from + j, Full{}, pull);
        store(whole + j, Full{}, load(whole + j, Full{}) + pull);
        store(stretched + j, Full{}, fma(pull, t, load(stretched + j, Full{})));
        sum = fma(pull, b, sum);
      });
      of_row[r] = sum;
    }
    for (int64_t j = 0; j < n; ++j) {
      sums[j] += double(whole[j]);
      sums[n + j] += double(stretched[j]);
    }
  }

  // dE/dx = 2 (P beta c - x sum_j P beta)
  INLINE void inputs_gradient() {
    T* out = (T*)call.out + at * D;
    for (int r = 0; r < rows; ++r) {
      Sum<T> sum;
      sum.add(of_row[r]);
      const Vec<T> pull = splat(T(-2 * sum.total()));
      sweep<T>(D, [&](int64_t s, auto k) INLINED { store(out + r * D + s, k, pull * load(x + r * x_row + s, k)); });
    }
    const T* scaled = (const T*)call.scaled_panels;
    for (int64_t k = 0; k < n; k += kDepth)
      for (int64_t s = 0; s < D; s += W)
        for (int64_t r = 0; r < rows; r += kTall) {
          const T* from = numbers + r * row + k;
          multiply<kTall>([&](int64_t j, int i) INLINED { return from[i * row + j]; }, scaled + s * n + k * W, W,
                          at_most(kDepth, n - k), sum_into({out + r * D + s, D, 1}, true), left(r, kTall),
                          columns(s, D));
        }
  }

  // sums (n, D) of P x
  INLINE void add_centers_gradient(T* sums, bool first) {
    for (int64_t s = 0; s < D; s += W)
      for (int64_t j = 0; j < n; j += kTall) {
        const T* from = numbers + j;
        multiply<kTall>([&](int64_t r, int i) INLINED { return from[r * row + i]; }, x + s, x_row, rows,
                        sum_into({sums + j * D + s, D, 1}, !first), int(at_most(kTall, n - j)), columns(s, D));
      }
  }
};

}  // namespace
}  // namespace crossent::CROSSENT_ISA
