// As many rows as there are lanes, each walked by itself, while maxima, sums, logarithms and quotients of all
// of them share vectors, one lane a row.
#pragma once

#include <stdlib.h>

#include "lanes.h"
#include "row_lanes.h"

namespace crossent::CROSSENT_ISA {
namespace {

// Numbers of a batch: with their exponentials they stay in the first cache.
template <class C>
constexpr int64_t kBatchNumbers = 16384 / int64_t(sizeof(C));

template <class T>
struct Batch {
  using C = Compute<T>;
  static constexpr int kRows = kLanes<C>;

  const T* z;
  int64_t count;
  int rows;

  INLINE static int64_t rows_at_once(int64_t count) {
    const int64_t rows = kBatchNumbers<C> / count;
    return rows < 1 ? 1 : rows < kRows ? rows : kRows;
  }
  INLINE const T* row(int r) const { return z + r * count; }
};

// body(batch, i) for the rows begin ... end.
template <class T, class Body>
INLINE void batches(const T* z, int64_t count, int64_t begin, int64_t end, Body body) {
  const int64_t together = Batch<T>::rows_at_once(count);
  for (int64_t i = begin; i < end; i += together)
    body(Batch<T>{z + i * count, count, int(end - i < together ? end - i : together)}, i);
}

// Lane r of a vector for the whole of row r.
template <class C>
struct ByRow {
  C lane[kLanes<C>];
  INLINE explicit ByRow(Vec<C> x) { __builtin_memcpy(lane, &x, sizeof lane); }
  INLINE Vec<C> operator[](int r) const { return splat(lane[r]); }
};

// ---------------------------------------------------------------- maxima

template <class T>
INLINE Vec<Compute<T>> partial_maximum(const T* row, int64_t count) {  // NaN is passed over
  using C = Compute<T>;
  const Vec<C> lowest = splat(-C(kInf));
  Vec<C> best[4] = {lowest, lowest, lowest, lowest};
  sweep_groups<C, 4>(
      count,
      [&](int64_t k) INLINED {
        for (int i = 0; i < 4; ++i) best[i] = larger(load(row + k + i * kLanes<C>, Full{}), best[i]);
      },
      [&](int64_t k, auto n) INLINED { best[0] = larger(load(row + k, n, -C(kInf)), best[0]); });
  return larger(larger(best[0], best[1]), larger(best[2], best[3]));
}

template <class T>
INLINE Vec<Compute<T>> maxima(const Batch<T>& batch) {
  using V = Vec<Compute<T>>;
  V parts[Batch<T>::kRows];
  for (int r = 0; r < Batch<T>::kRows; ++r)
    parts[r] = r < batch.rows ? partial_maximum(batch.row(r), batch.count) : V{};
  return fold_lanes(parts, [](V a, V b) INLINED { return larger(a, b); });
}

// ---------------------------------------------------------------- exponentials

// Where the exponentials of a batch wait: beside its results, whose memory may still be on its way, or in
// them where they are too many. Results that pass the caches by are no place to wait in: a long row has
// memory of its own then, for the time of the call; where that is too much, nothing passes the caches by.
template <class T>
struct Kept {
  using C = Compute<T>;
  static constexpr bool kNarrow = sizeof(T) != sizeof(C);  // results have no room for them
  static constexpr int64_t kLongest = (kNarrow ? 4 : 1) * kBatchNumbers<C>;
  static constexpr int64_t kMostBytes = 1 << 20;

  const int64_t count;
  C* const long_row;  // or null
  const bool streamed;
  alignas(64) C numbers[kLongest + Batch<T>::kRows * kLanes<C>];

  INLINE Kept(int64_t count, bool streamed)
      : count(count),
        long_row(streamed && !holds(count) && bytes() <= kMostBytes ? (C*)aligned_alloc(64, bytes()) : nullptr),
        streamed(streamed && (holds(count) || long_row || kNarrow)) {}
  INLINE ~Kept() { free(long_row); }
  Kept(const Kept&) = delete;

  INLINE static bool holds(int64_t count) { return count <= kLongest; }
  // Where those of row r wait, or null: they are computed again.
  INLINE auto rows(T* out) {
    C* const first = holds(count) ? numbers : kNarrow || streamed ? long_row : (C*)out;  // one row, if too long
    return [first, apart = stride()](int r) INLINED { return first ? first + r * apart : nullptr; };
  }
  // Results that are on their way while the exponentials are computed, or null.
  INLINE const T* expected(const T* out) const { return streamed ? nullptr : out; }

 private:
  INLINE int64_t stride() const { return (count + kLanes<C> - 1) / kLanes<C> * kLanes<C>; }
  INLINE size_t bytes() const { return size_t(stride()) * sizeof(C); }
};

// The running sums of the rows of a batch, folded once for all of them.
template <class C>
struct BatchSums {
  F64 high[kLanes<C>] = {}, low[kLanes<C>] = {};

  INLINE void put(int r, const Sum<float>& sum) { high[r] = sum.first + sum.second; }
  INLINE void put(int r, const Sum<double>& sum) {
    high[r] = sum.sum;
    low[r] = select(sum.error == sum.error, sum.error, F64{});
  }
  INLINE Pair<PerRow<C>> fold() {
    Pair<PerRow<C>> sums{};
    for (int i = 0; i < PerRow<C>::kParts; ++i) {
      if constexpr (sizeof(C) == 4) {
        sums.high.part[i] = fold_lanes(high + i * kLanes<double>, [](F64 a, F64 b) INLINED { return a + b; });
      } else {
        const Pair<F64> lanes = sum_lanes(high, low);
        const Pair<F64> sum = two_sum(lanes.high, select(lanes.low == lanes.low, lanes.low, F64{}));
        sums.high.part[i] = sum.high;
        sums.low.part[i] = select(sum.low == sum.low, sum.low, F64{});
      }
    }
    return sums;
  }
};

// term(k, n) over a row. Pairs of vectors are added before the wide sum takes them: one rounding.
template <class C, class Term>
INLINE Sum<C> sum_terms(int64_t count, Term term) {
  constexpr int64_t kWidth = kLanes<C>;
  Sum<C> sum;
  int64_t k = 0;
  for (; k + kGroup<C> * kWidth <= count; k += kGroup<C> * kWidth) {
    Vec<C> terms[kGroup<C>];
    for (int i = 0; i < kGroup<C>; ++i) terms[i] = term(k + i * kWidth, Full{});
    add_group(sum, terms);
  }
  if (kGroup<C> > 2 && k + 2 * kWidth <= count) {
    sum.add(term(k, Full{}) + term(k + kWidth, Full{}));
    k += 2 * kWidth;
  }
  if (k + kWidth < count)
    sum.add(term(k, Full{}) + term(k + kWidth, int(count - k - kWidth)));
  else if (k < count)
    sum.add(term(k, int(count - k)));
  return sum;
}

// What every number of a row is taken with.
template <class C>
struct Bounds {
  Vec<C> top, power;      // of the shifted numbers
  C* kept;                // where its exponentials wait, or null
  int64_t tied = 0;       // numbers that are the largest
};

// How far ahead of the numbers that are worked on memory is asked for: the next batch, and the results.
struct Ahead {
  int64_t numbers, results;
  template <class T>
  INLINE explicit Ahead(const Batch<T>& batch) : numbers(batch.rows * batch.count), results(0) {
    if (Kept<T>::holds(batch.count)) return;
    results = kFarAhead;
    if (numbers > kNear) numbers = kFar;  // a row that long is not in the cache itself
  }
  static constexpr int64_t kFarAhead = 2048, kNear = 65536, kFar = 16384;
};

// Sums of term(bounds, x, k, n) over the rows of a batch, x being the shifted number k of a row. Results, if any
// are to follow, are asked for on the way.
template <class T, class KeptRow, class Term>
INLINE Pair<PerRow<Compute<T>>> sum_batch(const Batch<T>& batch, const T* out, const PowerShift<Compute<T>>& shift,
                                          Vec<Compute<T>> maximum, Vec<Compute<T>>& ties, KeptRow kept, Term term) {
  using C = Compute<T>;
  const ByRow<C> top(maximum - shift.subtracted), subtracted(shift.subtracted), power(shift.exponent);
  const Ahead ahead(batch);
  BatchSums<C> sums;
  for (int r = 0; r < batch.rows; ++r) {
    const T* z = batch.row(r);
    const T* results = out ? out + r * batch.count + ahead.results : z;
    Bounds<C> bounds{top[r], power[r], kept(r)};
    const auto walk = [&](auto shifted) INLINED {
      sums.put(r, sum_terms<C>(batch.count, [&](int64_t k, auto n) INLINED {
        __builtin_prefetch(z + k + ahead.numbers, 0, 2);
        __builtin_prefetch(results + k, 1, 2);
        return term(bounds, minus(load(z + k, n, -C(kInf)), shifted), k, n);
      }));
    };
    if (subtracted.lane[r] == 0)
      walk(None{});
    else
      walk(subtracted[r]);
    ties[r] = C(bounds.tied);
  }
  return sums.fold();
}

// ---------------------------------------------------------------- sums without the maximal classes

// As a sum under a logarithm needs its exponentials; nothing is kept.
template <class T>
INLINE RowSums<Compute<T>> log_sum_batch(const Batch<T>& batch, const T* out, Vec<Compute<T>> maximum) {
  using C = Compute<T>;
  const PowerShift<C> shift(maximum);
  Vec<C> ties{};
  const auto none = [](int) INLINED { return (C*)nullptr; };
  const auto term = [](Bounds<C>& row, Vec<C> x, int64_t, auto) INLINED {
    return exp_apart(x, row.power, row.top, row.tied);
  };
  const Pair<PerRow<C>> below = sum_batch(batch, out, shift, maximum, ties, none, term);
  return row_sums(shift, maximum, below, ties);
}

// The same, the exponentials being kept.
template <class T>
INLINE RowSums<Compute<T>> keep_parted(const Batch<T>& batch, T* out, Kept<T>& kept, Vec<Compute<T>> maximum) {
  using C = Compute<T>;
  const PowerShift<C> shift(maximum);
  Vec<C> ties{};
  const auto term = [&](Bounds<C>& row, Vec<C> x, int64_t k, auto n) INLINED {
    const Vec<C> e = exp_fitting(x, row.power);
    if (row.kept) store(row.kept + k, n, e);
    row.tied += count_equal(x, row.top);
    return select(x == row.top, Vec<C>{}, e);
  };
  const Pair<PerRow<C>> below = sum_batch(batch, kept.expected(out), shift, maximum, ties, kept.rows(out), term);
  return row_sums(shift, maximum, below, ties);
}

INLINE F32 exp_for_softmax(F32 x, F32 shift) { return exp_quick(x, shift); }
INLINE F64 exp_for_softmax(F64 x, F64 shift) { return exp_close(x, shift); }

// The sum of all classes, one maximal class of it exactly.
template <class T>
INLINE Pair<PerRow<Compute<T>>> keep_whole(const Batch<T>& batch, T* out, Kept<T>& kept, Vec<Compute<T>> maximum) {
  using C = Compute<T>;
  const PowerShift<C> shift(maximum);
  Vec<C> ties{};
  const auto term = [&](Bounds<C>& row, Vec<C> x, int64_t k, auto n) INLINED {
    const Vec<C> e = exp_for_softmax(x, row.power);
    if (row.kept) store(row.kept + k, n, e);
    return e;
  };
  const Vec<C> top = exp_for_softmax(maximum - shift.subtracted, shift.exponent);
  return with_exact_top(shift, maximum, top, sum_batch(batch, kept.expected(out), shift, maximum, ties, kept.rows(out), term));
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
