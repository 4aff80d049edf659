// Panels of classes along an axis that is not the last: a few vectors of neighbouring columns at a time, one lane
// a column. Sums are taken in the order in which a row of the last axis is summed, so that the bits are those of
// the kernels for rows. As rows, columns whose numbers are all near 0 are walked once.
#pragma once

#include "columns.h"
#include "exponentials.h"

namespace crossent::CROSSENT_ISA {
namespace {

// Where the exponentials of a panel wait, V vectors a class: the results may be the logits.
template <class C>
struct KeptColumns {
  Caution caution;
  alignas(64) C numbers[kLongestColumn * kGroup<C> * kLanes<C>];
};

// Up to V vectors of neighbouring columns of one matrix; number k of vector v is at `z + k * apart + v * kLanes`.
template <class T, int V>
struct Panel {
  using C = Compute<T>;
  static constexpr int kVectors = V;
  static constexpr int64_t L = kLanes<C>;
  const T *z, *next;  // these columns, and those that come after them
  T* out;             // of the same layout, or null
  KeptColumns<C>* kept;
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
  INLINE void keep(int64_t k, int v, Vec<C> x) const { store(kept->numbers + (k * V + v) * L, Full{}, x); }
  INLINE Vec<C> waiting(int64_t k, int v) const { return load(kept->numbers + (k * V + v) * L, Full{}); }
  // Asks for memory in the order in which it lies: of class k, those of the next columns, and its results.
  INLINE void expect(int64_t k) const {
    for (int64_t at = k * apart; at < k * apart + V * L; at += 64 / int64_t(sizeof(T))) {
      __builtin_prefetch(next + at, 0, 2);
      if (out) __builtin_prefetch(out + at, 1, 2);
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

// As add_terms in batch.h sums a row: term(k, v) over the numbers of every column. Memory that is to be `Expected`
// is asked for by the way, a share of a group's in each of its steps.
template <bool Expected, class T, int V, class Term>
INLINE void sum_columns(const Panel<T, V>& p, Pair<PerRow<Compute<T>>>* totals, Term term) {
  using C = Compute<T>;
  constexpr int64_t n = kLanes<C>, kRows = kGroup<C> / V;
  LaneSums<C> sums[V] = {};
  int64_t k = 0;
  for (; k + kGroup<C> * n <= p.count; k += kGroup<C> * n)
    for (int v = 0; v < V; ++v)
      for (int64_t j = 0; j < n; ++j) {
        for (int64_t i = 0; Expected && i < kRows; ++i) p.expect(k + (v * n + j) * kRows + i);
        Vec<C> terms[kGroup<C>];
        for (int i = 0; i < kGroup<C>; ++i) terms[i] = term(k + i * n + j, v);
        add_group(sums[v].lane[j], terms);
      }
  for (; k < p.count; k += 2 * n)
    for (int v = 0; v < V; ++v)
      for (int64_t j = 0; j < n && k + j < p.count; ++j) {
        for (int64_t i = 0; Expected && v == 0 && i < 2; ++i) p.expect(k + 2 * j + i);
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
    for (int i = 0; i < 2; ++i)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) best[i][v] = larger(p.at(k + i, v, n), best[i][v]);
  for (int v = 0; v < V; ++v) {
    if (k < p.count) best[0][v] = larger(p.at(k, v, n), best[0][v]);
    maximum[v] = larger(best[0][v], best[1][v]);
  }
}

// From what the exponentials of a panel are measured.
template <class C, int V>
struct Measured {
  Vec<C> maximum[V], top[V];  // the largest logits, and their exponentials
  PowerShift<C> shift[V];
  Vec<C> room[V];             // the headroom of the shift, where there is one
  bool near = false;          // whether one walk was enough, without a shift

  INLINE Measured() {
    for (Vec<C>& x : room) x = headroom<C>();
  }
  INLINE explicit Measured(const PerRow<C>* factor) {
    for (int v = 0; v < V; ++v) room[v] = headroom<C>(narrow(factor[v]));
  }
  template <class Use>
  INLINE void measure() {
    for (int v = 0; v < V; ++v) {
      shift[v] = near ? PowerShift<C>() : PowerShift<C>(maximum[v], room[v]);
      top[v] = Use::exp(maximum[v] - shift[v].subtracted, shift[v].power);
    }
  }
};

// body(each) with each(k, v) the exponential of number k of every column, which is kept, where all of them are near
// 0; false where they are not.
template <class Use, class T, int V, class N, class Body>
INLINE bool keep_if_near(const Panel<T, V>& p, N n, Measured<Compute<T>, V>& found, Body body) {
  using C = Compute<T>;
  Range<Vec<C>> range[V];
  Vec<C> far{};
  for (int v = 0; v < V; ++v) range[v] = Range<Vec<C>>(p.at(0, v, n));
  body([&](int64_t k, int v) INLINED {
    const Vec<C> x = p.at(k, v, n), e = exp_normal<Use::kFitting>(x);
    range[v].add(x);
    p.keep(k, v, e);
    return e;
  });
  for (int v = 0; v < V; ++v) {
    found.maximum[v] = range[v].most;
    far = select(range[v].is_near(), far, splat(C(1)));
  }
  found.near = count_equal(far, Vec<C>{}) == kLanes<C>;
  if (found.near) found.template measure<Use>();
  return found.near;
}

// The same for any numbers, in another walk after that for the largest.
template <class Use, class T, int V, class N, class Body>
INLINE void each_exponential(const Panel<T, V>& p, N n, Measured<Compute<T>, V>& found, Body body) {
  using C = Compute<T>;
  found.near = false;
  largest_of(p, n, found.maximum);
  found.template measure<Use>();
  int direct = 0;
  for (const PowerShift<C>& shift : found.shift) direct += count_equal(shift.subtracted, Vec<C>{});
  const auto& shift = found.shift;
  if (direct == V * kLanes<C>)
    body([&](int64_t k, int v) INLINED { return Use::exp(p.at(k, v, n), shift[v].power); });
  else
    body([&](int64_t k, int v) INLINED { return Use::exp(p.at(k, v, n) - shift[v].subtracted, shift[v].power); });
}

// Sums of term(e, k, v) for all exponentials e, which are kept.
template <class Use, class T, int V, class N, class Term>
INLINE void keep_and_sum_panel(const Panel<T, V>& p, N n, Measured<Compute<T>, V>& found,
                               Pair<PerRow<Compute<T>>>* totals, Term term) {
  if (p.kept->caution.ends()) {
    const auto near = [&](auto each) INLINED {
      sum_columns<true>(p, totals, [&](int64_t k, int v) INLINED { return term(each(k, v), k, v); });
    };
    if (keep_if_near<Use>(p, n, found, near)) return;
    p.kept->caution.take();
  }
  each_exponential<Use>(p, n, found, [&](auto each) INLINED {
    sum_columns<true>(p, totals, [&](int64_t k, int v) INLINED {
      const Vec<Compute<T>> e = each(k, v);
      p.keep(k, v, e);
      return term(e, k, v);
    });
  });
}

// The sums without the maximal classes.
template <class T, int V, class N>
INLINE void parted_sums(const Panel<T, V>& p, N n, Measured<Compute<T>, V>& found, RowSums<Compute<T>>* sums) {
  using C = Compute<T>;
  Pair<PerRow<C>> below[V];
  Vec<C> ties[V] = {};
  const auto part = [&](Vec<C> e, int v) INLINED {
    ties[v] += select(e == found.top[v], splat(C(1)), Vec<C>{});
    return select(e == found.top[v], Vec<C>{}, e);
  };
  const auto keep_all = [&](auto each) INLINED {
    for (int64_t k = 0; k < p.count; ++k) {
      p.expect(k);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) each(k, v);
    }
  };
  if (p.kept->caution.ends() && !keep_if_near<ToSum>(p, n, found, keep_all)) p.kept->caution.take();
  if (found.near)
    sum_columns<false>(p, below, [&](int64_t k, int v) INLINED { return part(p.waiting(k, v), v); });
  else
    each_exponential<ToSum>(p, n, found, [&](auto each) INLINED {
      sum_columns<true>(p, below, [&](int64_t k, int v) INLINED { return part(each(k, v), v); });
    });
  for (int v = 0; v < V; ++v) sums[v] = row_sums(found.shift[v], found.maximum[v], below[v], ties[v]);
}

// out = scale * exponentials.
template <class T, int V, class N>
INLINE void weigh_panel(const Panel<T, V>& p, N n, bool near, const RowScale<Compute<T>>* scale) {
  using C = Compute<T>;
  GradualScale<C> gradual[V];
  bool small = false;
  for (int v = 0; v < V; ++v) {
    gradual[v] = GradualScale<C>(scale[v]);
    for (int r = 0; r < p.width; ++r) small |= has_small(scale[v].high[r], near);
  }
  const auto put = [&](auto times) INLINED {
    for (int64_t k = 0; k < p.count; ++k)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) p.put(k, v, n, times(p.waiting(k, v), v));
  };
  if (small)
    put([&](Vec<C> x, int v) INLINED { return gradual[v](x); });
  else
    put([&](Vec<C> x, int v) INLINED { return multiply(x, scale[v].high, scale[v].low); });
}

// ---------------------------------------------------------------- tiles begin ... end of a call

// body(panel, Full or the number of its columns) for all columns of the tiles.
template <class T, class Body>
INLINE void panels(const ColumnsCall& call, T* out, int64_t begin, int64_t end, Body body) {
  using C = Compute<T>;
  constexpr int64_t L = kLanes<T>, wide = kGroup<C> * L;
  const T* z = (const T*)call.logits;
  KeptColumns<C> kept;
  for (int64_t item = begin; item < end; ++item) {
    const Tile2D<T> tile(call, item), after(call, item + 1 < end ? item + 1 : item);
    const auto panel = [&](auto vectors, int64_t j, int width) INLINED {
      const int64_t at = tile.number(call) + j, to = j + wide;
      const T* next = z + (to < tile.width ? at + wide : after.number(call));
      return Panel<T, decltype(vectors)::value>{z + at, next, out ? out + at : nullptr, &kept, call.n_classes,
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
