// Backward passes of softmax, log-softmax and logsumexp along an axis that is not the last, walked as the
// classes lie. Sums are taken in the order of the kernels for rows, so that the bits are theirs.
#pragma once

#include "panels.h"

namespace crossent::CROSSENT_ISA {
namespace {

// Beside a panel of the first array, the same columns of the second, and those that come after them.
template <class T, int V>
struct Beside {
  using C = Compute<T>;
  static constexpr int64_t L = kLanes<C>;
  const T *at, *next;
  int64_t apart;

  INLINE Beside(const ColumnsCall& call, const Panel<T, V>& p)
      : at((const T*)call.second + (p.z - (const T*)call.logits)),
        next((const T*)call.second + (p.next - (const T*)call.logits)),
        apart(p.apart) {}

  template <class N>
  INLINE Vec<C> operator()(int64_t k, int v, N n) const {
    return load(at + k * apart + v * L, n);
  }
};

// Asks for a class of some columns.
template <class T>
INLINE void expect_row(const T* from, int64_t count) {
  for (int64_t at = 0; at < count; at += 64 / int64_t(sizeof(T))) __builtin_prefetch(from + at, 0, 2);
}

// add(sum, k, v) in the order in which a sweep over a row adds.
template <class T, int V, class Add>
INLINE void sweep_columns(const Panel<T, V>& p, LaneSums<Compute<T>>* sums, Add add) {
  constexpr int64_t n = kLanes<Compute<T>>;
  for (int64_t k = 0; k < p.count; k += n)
    for (int64_t j = 0; j < n && k + j < p.count; ++j) {
      if (p.out) expect_row(p.out + (k + j) * p.apart, V * n);
      for (int v = 0; v < V; ++v) add(sums[v].lane[j], k + j, v);
    }
}

// As total() of a row's running sum.
INLINE F32 total_of(LaneSums<float>& sums) { return narrow(sums.fold().high); }
INLINE F64 total_of(LaneSums<double>& sums) {
  F64 total{}, rest{}, errors[kLanes<double>];
  for (int i = 0; i < kLanes<double>; ++i) {
    const Pair<F64> next = two_sum(total, sums.lane[i].sum);
    rest += next.low;
    total = next.high;
    errors[i] = sums.lane[i].error;
  }
  for (int half = kLanes<double> / 2; half; half /= 2)
    for (int i = 0; i < half; ++i) errors[i] += errors[i + half];
  rest += errors[0];
  return select(rest == rest, total + rest, total);
}

// out = value(k, v), while the columns to come are asked for.
template <class T, int V, class N, class Value>
INLINE void derive_panel(const Panel<T, V>& p, const Beside<T, V>& second, N n, Value value) {
  constexpr int64_t wide = V * kLanes<Compute<T>>;
  for (int64_t k = 0; k < p.count; ++k) {
    expect_row(p.next + k * p.apart, wide);
    expect_row(second.next + k * p.apart, wide);
    for (int v = 0; v < V; ++v) p.put(k, v, n, value(k, v));
  }
}

template <class T>
void softmax_vjp_planes(const ColumnsCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  panels(call, (T*)call.out, begin, end, [&](const auto& p, auto n) INLINED {
    constexpr int V = std::decay_t<decltype(p)>::kVectors;
    const Beside<T, V> g(call, p);
    LaneSums<C> sums[V] = {};
    Vec<C> mean[V];
    sweep_columns(p, sums,
                  [&](Sum<C>& sum, int64_t k, int v) INLINED { sum.add_product(p.at(k, v, n), g(k, v, n)); });
    for (int v = 0; v < V; ++v) mean[v] = total_of(sums[v]);
    derive_panel(p, g, n, [&](int64_t k, int v) INLINED { return p.at(k, v, n) * (g(k, v, n) - mean[v]); });
  });
}

template <class T>
void log_softmax_vjp_planes(const ColumnsCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  panels(call, (T*)call.out, begin, end, [&](const auto& q, auto n) INLINED {
    constexpr int V = std::decay_t<decltype(q)>::kVectors;
    const Beside<T, V> g(call, q);
    LaneSums<C> sums[V] = {};
    Vec<C> total[V];
    sweep_columns(q, sums, [&](Sum<C>& sum, int64_t k, int v) INLINED { sum.add(g(k, v, n)); });
    for (int v = 0; v < V; ++v) total[v] = total_of(sums[v]);
    derive_panel(q, g, n,
                 [&](int64_t k, int v) INLINED { return fma(-exp(q.at(k, v, n)), total[v], g(k, v, n)); });
  });
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
