// Softmax, its logarithm, logsumexp and the loss of classes along an axis that is not the last, walked as they lie.
#pragma once

#include "panels.h"

namespace crossent::CROSSENT_ISA {
namespace {

// Whether the scales of all columns would be the same from exponentials a power of two larger or smaller.
template <class C, class T, int V>
INLINE bool are_exact(const Panel<T, V>& p, const Measured<C, V>& found, const RowScale<C>* scale,
                      const PerRow<C>* factor) {
  bool exact = true;
  for (int v = 0; v < V; ++v) exact &= is_exact<C>(scale[v], factor[v], found.maximum[v], found.room[v], p.width);
  return exact;
}

// factor(column, n) * softmax
template <class T, class Factor>
INLINE void scaled_softmax_planes(const ColumnsCall& call, int64_t begin, int64_t end, Factor factor) {
  using C = Compute<T>;
  panels(call, (T*)call.out, begin, end, [&](const auto& p, auto n) INLINED {
    constexpr int V = std::decay_t<decltype(p)>::kVectors;
    Pair<PerRow<C>> sums[V];
    PerRow<C> factors[V];
    RowScale<C> scale[V];
    for (int v = 0; v < V; ++v) factors[v] = factor(p.row + v * kLanes<C>, n);
    Measured<C, V> found(factors);
    do {
      keep_and_sum_panel<ToScale>(p, n, found, sums, [](Vec<C> e, int64_t, int) INLINED { return e; });
      for (int v = 0; v < V; ++v) {
        sums[v] = with_exact_top(found.shift[v], found.maximum[v], found.top[v], sums[v]);
        scale[v] = scale_of<C>(factors[v], sums[v], found.maximum[v]);
      }
    } while (found.near && !are_exact<C>(p, found, scale, factors) && p.kept->caution.take());
    weigh_panel(p, n, found.near, scale);
  });
}

template <class T>
void softmax_planes(const ColumnsCall& call, int64_t begin, int64_t end) {
  scaled_softmax_planes<T>(call, begin, end, [](int64_t, auto) INLINED { return constant<Compute<T>>(1); });
}

template <class T>
void logsumexp_vjp_planes(const ColumnsCall& call, int64_t begin, int64_t end) {
  scaled_softmax_planes<T>(call, begin, end, [&](int64_t column, auto n) INLINED {
    return per_row(load((const T*)call.second + column, n));
  });
}

template <class T>
void log_softmax_planes(const ColumnsCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  panels(call, (T*)call.out, begin, end, [&](const auto& p, auto n) INLINED {
    constexpr int V = std::decay_t<decltype(p)>::kVectors;
    Measured<C, V> found;
    Vec<C> high[V], low[V];
    RowSums<C> sums[V];
    parted_sums(p, n, found, sums);
    for (int v = 0; v < V; ++v) {
      const Pair<Vec<C>> lse = lse_of(found.maximum[v], sums[v]);
      high[v] = lse.high + (found.maximum[v] - found.maximum[v]);
      low[v] = lse.low;
    }
    for (int64_t k = 0; k < p.count; ++k)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) p.put(k, v, n, log_probability<C>(p.at(k, v, n), high[v], low[v]));
  });
}

template <class T>
void logsumexp_planes(const ColumnsCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  panels<T>(call, nullptr, begin, end, [&](const auto& p, auto n) INLINED {
    constexpr int V = std::decay_t<decltype(p)>::kVectors;
    Measured<C, V> found;
    RowSums<C> sums[V];
    parted_sums(p, n, found, sums);
    for (int v = 0; v < V; ++v) {
      const Vec<C> spoiled = found.maximum[v] - found.maximum[v];
      Vec<C> lse = lse_of(found.maximum[v], sums[v]).high;
      if (count_equal(spoiled, Vec<C>{}) != kLanes<C>) {
        Vec<C> instead = found.maximum[v];
        for (int64_t k = 0; k < p.count; ++k)
          instead = select(p.at(k, v, n) == p.at(k, v, n), instead, splat(C(kNaN)));
        lse = select(spoiled == 0, lse, instead);
      }
      store((T*)call.out + p.row + v * kLanes<C>, n, lse);
    }
  });
}

// The losses of one vector of columns, and the gradients of their labels' classes.
template <class T, int V>
INLINE double put_labelled(const CrossEntropyCall& call, const Panel<T, V>& p, int v, Vec<Compute<T>> maximum,
                           Vec<Compute<T>> labelled, const LabelledSums<Compute<T>>& sums) {
  using C = Compute<T>;
  const int64_t first = p.row + v * kLanes<C>;
  const LabelledRows<C> given(call, first, p.width);
  const LabelResult<C> result = label_result(maximum, labelled, sums, given.factors(call.gradient_factor));
  for (int r = 0; r < p.width && p.out; ++r) {
    T* column = p.out + v * kLanes<C> + r;
    if (given.weight[r] == 0)
      for (int64_t k = 0; k < p.count; ++k) store_one(column + k * p.apart, C(0));
    else
      store_one(column + given.label[r] * p.apart, result.gradient[r]);
  }
  return given.put(call, first, p.width, result.loss);
}

template <class T>
double cross_entropy_planes(const ColumnsCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  double total = 0;
  panels(call, (T*)call.out, begin, end, [&](const auto& p, auto n) INLINED {
    constexpr int V = std::decay_t<decltype(p)>::kVectors;
    constexpr int64_t L = kLanes<C>;
    Vec<C> labelled[V] = {};
    Mask<C> label[V] = {};
    Pair<PerRow<C>> beside[V];
    PerRow<C> factors[V];
    LabelledSums<C> sums[V];
    RowScale<C> scale[V];
    for (int v = 0; v < V; ++v) {
      const LabelledRows<C> given(*call.loss, p.row + v * L, p.width);
      factors[v] = given.factors(call.loss->gradient_factor);
      for (int r = 0; r < p.width; ++r) {
        label[v][r] = given.label[r];
        labelled[v][r] = load_one(p.z + given.label[r] * p.apart + v * L + r);
      }
    }
    Measured<C, V> found(factors);
    do {
      keep_and_sum_panel<ToSum>(p, n, found, beside, [&](Vec<C> e, int64_t k, int v) INLINED {
        return select(label[v] == decltype(label[v][0] + 0)(k), Vec<C>{}, e);
      });
      for (int v = 0; v < V; ++v) {
        const PowerShift<C>& shift = found.shift[v];
        const Vec<C> own = exp_fitting(labelled[v] - shift.subtracted, shift.power);
        sums[v] = labelled_sums(shift, found.maximum[v], found.top[v], labelled[v], own, beside[v]);
        scale[v] = scale_of<C>(factors[v], sums[v].row.whole, found.maximum[v]);
      }
    } while (p.out && found.near && !are_exact<C>(p, found, scale, factors) && p.kept->caution.take());
    if (p.out) weigh_panel(p, n, found.near, scale);
    for (int v = 0; v < V; ++v) total += put_labelled(*call.loss, p, v, found.maximum[v], labelled[v], sums[v]);
  });
  return total;
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
