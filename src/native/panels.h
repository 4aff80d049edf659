// Panels of classes along an axis that is not the last: a few vectors of neighbouring columns at a time, one lane
// a column. Sums are taken in the order in which a row of the last axis is summed, so that the bits are those of
// the kernels for rows.
#pragma once

#include "columns.h"
#include "rows.h"

namespace crossent::CROSSENT_ISA {
namespace {

// Up to V vectors of neighbouring columns of one matrix; number k of vector v is at `z + k * apart + v * kLanes`.
template <class T, int V>
struct Panel {
  using C = Compute<T>;
  static constexpr int kVectors = V;
  static constexpr int64_t L = kLanes<C>;
  const T *z, *next;  // these columns, and those that come after them
  T* out;             // of the same layout, or null
  C* kept;            // where exponentials wait if not in `out`: V vectors a class
  int64_t count, apart, row;  // `row`: the first of them, counting all columns of the call
  int width;          // of the one vector, where it is not whole

  template <class N>
  INLINE Vec<C> at(int64_t k, int v, N n) const {
    return load(z + k * apart + v * L, n);
  }
  template <class N>
  INLINE void put(int64_t k, int v, N n, Vec<C> x) const {
    store(out + k * apart + v * L, n, x);
  }
  template <class N>
  INLINE void keep(int64_t k, int v, N n, Vec<C> x) const {
    if constexpr (sizeof(T) == sizeof(C))
      put(k, v, n, x);
    else
      store(kept + (k * V + v) * L, Full{}, x);
  }
  template <class N>
  INLINE Vec<C> waiting(int64_t k, int v, N n) const {
    if constexpr (sizeof(T) == sizeof(C))
      return load(out + k * apart + v * L, n);
    else
      return load(kept + (k * V + v) * L, Full{});
  }
  // Asks for memory in the order in which it lies: of a group of classes k ..., those of the next columns, and
  // the results of the group to come; a share of both in each of the steps that a group takes.
  INLINE void expect(int64_t k, int64_t step) const {
    constexpr int64_t kLine = 64 / int64_t(sizeof(T)), kRows = kGroup<C> / V;
    for (int64_t i = 0; i < kRows; ++i) {
      const int64_t row = (k + step * kRows + i) * apart;
      for (int64_t at = row; at < row + V * L; at += kLine) {
        __builtin_prefetch(next + at, 0, 2);
        if (out) __builtin_prefetch(out + at + kGroup<C> * L * apart, 1, 2);
      }
    }
  }
};

// The sums of a row's numbers k, k + lanes, ...: what the lanes of a row's running sum hold.
template <class C>
struct LaneSums {
  Sum<C> lane[kLanes<C>];

  INLINE Pair<PerRow<C>> fold();
};

template <>
INLINE Pair<PerRow<float>> LaneSums<float>::fold() {
  constexpr int n = kLanes<double>;
  Pair<PerRow<float>> sums{};
  for (int j = 0; j < n; ++j) {
    lane[j].first += lane[j + n].first;
    lane[j].second += lane[j + n].second;
  }
  for (int half = n / 2; half; half /= 2)
    for (int j = 0; j < half; ++j) {
      lane[j].first += lane[j + half].first;
      lane[j].second += lane[j + half].second;
    }
  sums.high.part[0] = lane[0].first;
  sums.high.part[1] = lane[0].second;
  return sums;
}

template <>
INLINE Pair<PerRow<double>> LaneSums<double>::fold() {
  for (Sum<double>& sum : lane) sum.error = select(sum.error == sum.error, sum.error, F64{});
  for (int half = kLanes<double> / 2; half; half /= 2)
    for (int j = 0; j < half; ++j) {
      const Pair<F64> sum = two_sum(lane[j].sum, lane[j + half].sum);
      lane[j].sum = sum.high;
      lane[j].error = sum.low + (lane[j].error + lane[j + half].error);
    }
  const F64 error = lane[0].error;
  const Pair<F64> sum = two_sum(lane[0].sum, select(error == error, error, F64{}));
  return {{{sum.high}}, {{select(sum.low == sum.low, sum.low, F64{})}}};
}

// As sum_terms in batch.h sums a row: term(k, v) over the numbers of every column.
template <class T, int V, class Term>
INLINE void sum_columns(const Panel<T, V>& p, Pair<PerRow<Compute<T>>>* totals, Term term) {
  using C = Compute<T>;
  constexpr int64_t n = kLanes<C>;
  LaneSums<C> sums[V] = {};
  int64_t k = 0;
  for (; k + kGroup<C> * n <= p.count; k += kGroup<C> * n)
    for (int v = 0; v < V; ++v)
      for (int64_t j = 0; j < n; ++j) {
        p.expect(k, v * n + j);
        Vec<C> terms[kGroup<C>];
        for (int i = 0; i < kGroup<C>; ++i) terms[i] = term(k + i * n + j, v);
        add_group(sums[v].lane[j], terms);
      }
  for (; k < p.count; k += 2 * n)
    for (int v = 0; v < V; ++v)
      for (int64_t j = 0; j < n && k + j < p.count; ++j) {
        if (v == 0) p.expect(k, 2 * j), p.expect(k, 2 * j + 1);
        const Vec<C> first = term(k + j, v);
        sums[v].lane[j].add(k + n + j < p.count ? first + term(k + n + j, v) : first);
      }
  for (int v = 0; v < V; ++v) totals[v] = sums[v].fold();
}

template <class T, int V, class N>
INLINE void largest_of(const Panel<T, V>& p, N n, Vec<Compute<T>>* maximum) {  // NaN is passed over
  using C = Compute<T>;
  Vec<C> best[2][V];
  for (auto& row : best)
    for (Vec<C>& x : row) x = splat(-C(kInf));
  int64_t k = 0;
  for (; k + 2 <= p.count; k += 2)
    for (int i = 0; i < 2; ++i) {
      if (p.out && k < kGroup<C> * kLanes<C>) __builtin_prefetch(p.out + (k + i) * p.apart, 1, 2);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) best[i][v] = larger(p.at(k + i, v, n), best[i][v]);
    }
  for (int v = 0; v < V; ++v) {
    if (k < p.count) best[0][v] = larger(p.at(k, v, n), best[0][v]);
    maximum[v] = larger(best[0][v], best[1][v]);
  }
}

// Sums of term(x, exponent, k, v), x being the shifted number k of every column.
template <class T, int V, class N, class Term>
INLINE void sum_panel(const Panel<T, V>& p, N n, const Vec<Compute<T>>* maximum, Pair<PerRow<Compute<T>>>* totals,
                      Term term) {
  using C = Compute<T>;
  Vec<C> subtracted[V], exponent[V];
  int direct = 0;
  for (int v = 0; v < V; ++v) {
    const PowerShift<C> shift(maximum[v]);
    subtracted[v] = shift.subtracted;
    exponent[v] = shift.exponent;
    direct += count_equal(subtracted[v], Vec<C>{});
  }
  if (direct == V * kLanes<C>)
    sum_columns(p, totals, [&](int64_t k, int v) INLINED { return term(p.at(k, v, n), exponent[v], k, v); });
  else
    sum_columns(p, totals,
                [&](int64_t k, int v) INLINED { return term(p.at(k, v, n) - subtracted[v], exponent[v], k, v); });
}

// The sums of all classes, one maximal class of each column exactly; the exponentials are kept.
template <class T, int V, class N>
INLINE void whole_sums(const Panel<T, V>& p, N n, const Vec<Compute<T>>* maximum, Pair<PerRow<Compute<T>>>* totals) {
  using C = Compute<T>;
  sum_panel(p, n, maximum, totals, [&](Vec<C> x, Vec<C> exponent, int64_t k, int v) INLINED {
    const Vec<C> e = exp_for_softmax(x, exponent);
    p.keep(k, v, n, e);
    return e;
  });
  for (int v = 0; v < V; ++v) {
    const PowerShift<C> shift(maximum[v]);
    const Vec<C> top = exp_for_softmax(maximum[v] - shift.subtracted, shift.exponent);
    totals[v] = with_exact_top(shift, maximum[v], top, totals[v]);
  }
}

// The sums without the maximal classes.
template <class T, int V, class N>
INLINE void parted_sums(const Panel<T, V>& p, N n, const Vec<Compute<T>>* maximum, RowSums<Compute<T>>* sums) {
  using C = Compute<T>;
  Pair<PerRow<C>> below[V];
  Vec<C> top[V], ties[V] = {};
  for (int v = 0; v < V; ++v) {
    const PowerShift<C> shift(maximum[v]);
    top[v] = exp_fitting(maximum[v] - shift.subtracted, shift.exponent);
  }
  sum_panel(p, n, maximum, below, [&](Vec<C> x, Vec<C> exponent, int64_t, int v) INLINED {
    const Vec<C> e = exp_fitting(x, exponent);
    ties[v] += select(e == top[v], splat(C(1)), Vec<C>{});
    return select(e == top[v], Vec<C>{}, e);
  });
  for (int v = 0; v < V; ++v) sums[v] = row_sums(PowerShift<C>(maximum[v]), maximum[v], below[v], ties[v]);
}

// The sums without the labelled classes; the exponentials are kept where there are results.
template <class T, int V, class N>
INLINE void sums_beside(const Panel<T, V>& p, N n, const Vec<Compute<T>>* maximum, const Mask<Compute<T>>* label,
                        Pair<PerRow<Compute<T>>>* sums) {
  using C = Compute<T>;
  sum_panel(p, n, maximum, sums, [&](Vec<C> x, Vec<C> exponent, int64_t k, int v) INLINED {
    const Vec<C> e = exp_fitting(x, exponent);
    if (p.out) p.keep(k, v, n, e);
    return select(label[v] == decltype(label[v][0] + 0)(k), Vec<C>{}, e);
  });
}

// out = scale * exponentials.
template <class T, int V, class N>
INLINE void weigh_panel(const Panel<T, V>& p, N n, const RowScale<Compute<T>>* scale) {
  for (int64_t k = 0; k < p.count; ++k)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) p.put(k, v, n, multiply(p.waiting(k, v, n), scale[v].high, scale[v].low));
}

// ---------------------------------------------------------------- tiles begin ... end of a call

// body(panel, Full or the number of its columns) for all columns of the tiles.
template <class T, class Body>
INLINE void panels(const ColumnsCall& call, T* out, int64_t begin, int64_t end, Body body) {
  using C = Compute<T>;
  constexpr int64_t L = kLanes<T>, wide = kGroup<C> * L;
  const T* z = (const T*)call.logits;
  alignas(64) C kept[sizeof(T) == sizeof(C) ? 1 : kLongestColumn * wide];
  for (int64_t item = begin; item < end; ++item) {
    const Tile2D<T> tile(call, item), after(call, item + 1 < end ? item + 1 : item);
    const auto panel = [&](auto vectors, int64_t j, int width) INLINED {
      const int64_t at = tile.number(call) + j, to = j + wide;
      const T* next = z + (to < tile.width ? at + wide : after.number(call));
      return Panel<T, decltype(vectors)::value>{z + at, next, out ? out + at : nullptr, kept, call.n_classes,
                                               call.inner, tile.row(call) + j, width};
    };
    int64_t j = 0;
    for (; j + wide <= tile.width; j += wide)
      body(panel(std::integral_constant<int, kGroup<C>>{}, j, int(L)), Full{});
    for (; j + L <= tile.width; j += L) body(panel(std::integral_constant<int, 1>{}, j, int(L)), Full{});
    const int left = int(tile.width - j);
    if (left > 0) body(panel(std::integral_constant<int, 1>{}, j, left), left);
  }
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
