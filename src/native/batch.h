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

// ---------------------------------------------------------------- where exponentials wait

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
  Caution caution;
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

// ---------------------------------------------------------------- sums

// The running sums of the rows of a batch, folded once for all of them.
template <class C>
struct BatchSums {
  F64 high[kLanes<C>], low[sizeof(C) == 8 ? kLanes<C> : 1];

  INLINE explicit BatchSums(int rows) {
    for (int r = rows; r < kLanes<C>; ++r) high[r] = low[sizeof(C) == 8 ? r : 0] = F64{};
  }
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

// Adds term(k, n) over a row. A group of vectors, and of what is left pairs, are added before the wide sum takes
// them.
template <class C, class Term>
INLINE void add_terms(Sum<C>& sum, int64_t count, Term term) {
  constexpr int64_t kWidth = kLanes<C>;
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
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
