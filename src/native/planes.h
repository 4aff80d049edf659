// Classes along an axis that is not the last, walked as they lie: as many columns as there are lanes at a time,
// one lane a column. Sums are taken in the order in which a row of the last axis is summed, so that the bits are
// those of the kernels for rows.
#pragma once

#include "columns.h"
#include "rows.h"

namespace crossent::CROSSENT_ISA {
namespace {

// Up to kLanes columns of one matrix; number k of all of them is one vector at `z + k * apart`.
template <class T>
struct Strand {
  using C = Compute<T>;
  const T *z, *next;  // these columns, and those that come after them
  T* out;             // of the same layout, or null
  Vec<C>* kept;       // where exponentials wait
  int64_t count, apart, row;  // `row`: the first of them, counting all columns of the call
  int width;

  template <class N>
  INLINE Vec<C> at(int64_t k, N n) const {
    return load(z + k * apart, n);
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

// As sum_terms in batch.h sums a row: term(k) over the numbers of every column.
template <class C, class Term>
INLINE Pair<PerRow<C>> sum_columns(int64_t count, Term term) {
  constexpr int64_t n = kLanes<C>;
  LaneSums<C> sums{};
  int64_t k = 0;
  for (; k + kGroup<C> * n <= count; k += kGroup<C> * n)
    for (int64_t j = 0; j < n; ++j) {
      Vec<C> terms[kGroup<C>];
      for (int i = 0; i < kGroup<C>; ++i) terms[i] = term(k + i * n + j);
      add_group(sums.lane[j], terms);
    }
  for (; k < count; k += 2 * n)
    for (int64_t j = 0; j < n && k + j < count; ++j) {
      const Vec<C> first = term(k + j);
      sums.lane[j].add(k + n + j < count ? first + term(k + n + j) : first);
    }
  return sums.fold();
}

template <class T, class N>
INLINE Vec<Compute<T>> largest_of(const Strand<T>& s, N n) {  // NaN is passed over
  using C = Compute<T>;
  const Vec<C> lowest = splat(-C(kInf));
  Vec<C> best[4] = {lowest, lowest, lowest, lowest};
  int64_t k = 0;
  for (; k + 4 <= s.count; k += 4)
    for (int i = 0; i < 4; ++i) {
      if (s.out) __builtin_prefetch(s.out + (k + i) * s.apart, 1, 2);
      best[i] = larger(s.at(k + i, n), best[i]);
    }
  for (; k < s.count; ++k) best[0] = larger(s.at(k, n), best[0]);
  return larger(larger(best[0], best[1]), larger(best[2], best[3]));
}

// Sums of term(x, k), x being the shifted number k of every column; the columns to come are asked for.
template <class T, class N, class Term>
INLINE Pair<PerRow<Compute<T>>> sum_strand(const Strand<T>& s, N n, Vec<Compute<T>> subtracted, Term term) {
  using C = Compute<T>;
  const auto walk = [&](auto shifted) INLINED {
    return sum_columns<C>(s.count, [&](int64_t k) INLINED {
      __builtin_prefetch(s.next + k * s.apart, 0, 2);
      return term(minus(s.at(k, n), shifted), k);
    });
  };
  return count_equal(subtracted, Vec<C>{}) == kLanes<C> ? walk(None{}) : walk(subtracted);
}

// The sum of all classes, one maximal class of it exactly; the exponentials are kept.
template <class T, class N>
INLINE Pair<PerRow<Compute<T>>> whole_sum(const Strand<T>& s, N n, const PowerShift<Compute<T>>& shift,
                                          Vec<Compute<T>> maximum) {
  using V = Vec<T>;
  const auto term = [&](V x, int64_t k) INLINED {
    const V e = exp_for_softmax(x, shift.exponent);
    return s.kept[k] = e;
  };
  const V top = exp_for_softmax(maximum - shift.subtracted, shift.exponent);
  return with_exact_top(shift, maximum, top, sum_strand(s, n, shift.subtracted, term));
}

// The sums without the maximal classes.
template <class T, class N>
INLINE RowSums<Compute<T>> parted_sums(const Strand<T>& s, N n, const PowerShift<Compute<T>>& shift,
                                       Vec<Compute<T>> maximum) {
  using V = Vec<T>;
  const V top = exp_fitting(maximum - shift.subtracted, shift.exponent), one = splat(Compute<T>(1));
  V ties{};
  const auto term = [&](V x, int64_t) INLINED {
    const V e = exp_fitting(x, shift.exponent);
    ties += select(e == top, one, V{});
    return select(e == top, V{}, e);
  };
  const Pair<PerRow<Compute<T>>> below = sum_strand(s, n, shift.subtracted, term);
  return row_sums(shift, maximum, below, ties);
}

// The sums without the labelled classes; the exponentials are kept.
template <class T, class N>
INLINE Pair<PerRow<Compute<T>>> sums_beside(const Strand<T>& s, N n, const PowerShift<Compute<T>>& shift,
                                            Mask<Compute<T>> label) {
  using V = Vec<T>;
  const auto term = [&](V x, int64_t k) INLINED {
    const V e = s.kept[k] = exp_fitting(x, shift.exponent);
    return select(label == decltype(label[0] + 0)(k), V{}, e);
  };
  return sum_strand(s, n, shift.subtracted, term);
}

// out = scale * exponentials.
template <class T, class N>
INLINE void weigh_strand(const Strand<T>& s, N n, const RowScale<Compute<T>>& scale) {
  for (int64_t k = 0; k < s.count; ++k)
    store(s.out + k * s.apart, n, multiply(s.kept[k], scale.high, scale.low));
}

// ---------------------------------------------------------------- tiles begin ... end of a call

// body(strand, Full or the number of its columns) for all columns of the tiles.
template <class T, class Body>
INLINE void strands(const ColumnsCall& call, T* out, int64_t begin, int64_t end, Body body) {
  constexpr int64_t lanes = kLanes<T>;
  const T* z = (const T*)call.logits;
  Vec<T> kept[kLongestColumn];
  for (int64_t item = begin; item < end; ++item) {
    const Tile2D<T> tile(call, item), after(call, item + 1 < end ? item + 1 : item);
    for (int64_t j = 0; j < tile.width; j += lanes) {
      const int64_t at = tile.number(call) + j, left = tile.width - j;
      Strand<T> s{z + at, z + after.number(call) + j, out ? out + at : nullptr, kept, call.n_classes, call.inner,
                  tile.row(call) + j, int(at_most(left, lanes))};
      if (left >= lanes)
        body(s, Full{});
      else
        body(s, s.width);
    }
  }
}

template <class T>
void softmax_planes(const ColumnsCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  strands(call, (T*)call.out, begin, end, [&](const Strand<T>& s, auto n) INLINED {
    const Vec<C> maximum = largest_of(s, n);
    const PowerShift<C> shift(maximum);
    weigh_strand(s, n, scale_of<C>(constant<C>(1), whole_sum(s, n, shift, maximum), maximum));
  });
}

template <class T>
void log_softmax_planes(const ColumnsCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  strands(call, (T*)call.out, begin, end, [&](const Strand<T>& s, auto n) INLINED {
    const Vec<C> maximum = largest_of(s, n);
    const Pair<Vec<C>> lse = lse_of(maximum, parted_sums(s, n, PowerShift<C>(maximum), maximum));
    const Vec<C> high = lse.high + (maximum - maximum);
    for (int64_t k = 0; k < s.count; ++k)
      store(s.out + k * s.apart, n, log_probability<C>(s.at(k, n), high, lse.low));
  });
}

template <class T>
void logsumexp_planes(const ColumnsCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  strands<T>(call, nullptr, begin, end, [&](const Strand<T>& s, auto n) INLINED {
    const Vec<C> maximum = largest_of(s, n), spoiled = maximum - maximum;
    Vec<C> lse = lse_of(maximum, parted_sums(s, n, PowerShift<C>(maximum), maximum)).high;
    if (count_equal(spoiled, Vec<C>{}) != kLanes<C>) {
      Vec<C> instead = maximum;
      for (int64_t k = 0; k < s.count; ++k)
        instead = select(s.at(k, n) == s.at(k, n), instead, splat(C(kNaN)));
      lse = select(spoiled == 0, lse, instead);
    }
    store((T*)call.out + s.row, n, lse);
  });
}

template <class T>
double cross_entropy_planes(const ColumnsCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  double total = 0;
  strands(call, (T*)call.out, begin, end, [&](const Strand<T>& s, auto n) INLINED {
    const LabelledRows<C> given(*call.loss, s.row, s.width);
    const PerRow<C> factor = given.factors(call.loss->gradient_factor);
    const Vec<C> maximum = largest_of(s, n);
    Vec<C> labelled{};
    Mask<C> label{};
    for (int r = 0; r < s.width; ++r) {
      label[r] = given.label[r];
      labelled[r] = load_one(s.z + given.label[r] * s.apart + r);
    }
    const PowerShift<C> shift(maximum);
    const Vec<C> top = exp_fitting(maximum - shift.subtracted, shift.exponent);
    const Vec<C> own = exp_fitting(labelled - shift.subtracted, shift.exponent);
    const LabelledSums<C> sums = labelled_sums(shift, maximum, top, labelled, own, sums_beside(s, n, shift, label));
    if (s.out) weigh_strand(s, n, scale_of<C>(factor, sums.row.whole, maximum));
    const LabelResult<C> result = label_result(maximum, labelled, sums, factor);
    for (int r = 0; r < s.width && s.out; ++r)
      if (given.weight[r] == 0)
        for (int64_t k = 0; k < s.count; ++k) store_one(s.out + k * s.apart + r, C(0));
      else
        store_one(s.out + given.label[r] * s.apart + r, result.gradient[r]);
    total += given.put(*call.loss, s.row, s.width, result.loss);
  });
  return total;
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
