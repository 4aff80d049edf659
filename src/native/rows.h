// Rows of more than a few classes: up to as many at once as there are lanes, each walked by itself, while
// maxima, sums, logarithms and quotients of all of them share vectors, one lane a row.
#pragma once

#include "lanes.h"
#include "row_lanes.h"

namespace crossent::CROSSENT_ISA {
namespace {

constexpr int64_t kBatchNumbers = 16384;  // numbers of a batch, which stay in the second cache

template <class T>
struct Batch {
  using C = Compute<T>;
  static constexpr int kRows = kLanes<C>;
  static constexpr bool kBuffers = sizeof(T) != sizeof(C);  // exponentials of 16-bit numbers

  const T* z;
  int64_t count;
  int rows;

  INLINE static int64_t rows_at_once(int64_t count) {
    const int64_t rows = kBatchNumbers / count;
    return rows < 1 ? 1 : rows < kRows ? rows : kRows;
  }
  INLINE const T* row(int r) const { return z + r * count; }
};

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

// Lane r of a vector for the whole of row r.
template <class C>
struct ByRow {
  C lane[kLanes<C>];
  INLINE explicit ByRow(Vec<C> x) { __builtin_memcpy(lane, &x, sizeof lane); }
  INLINE Vec<C> operator[](int r) const { return splat(lane[r]); }
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
  Sum<C> sum;
  sweep_groups<C, kGroup<C>>(
      count,
      [&](int64_t k) INLINED {
        Vec<C> terms[kGroup<C>];
        for (int i = 0; i < kGroup<C>; ++i) terms[i] = term(k + i * kLanes<C>, Full{});
        add_group(sum, terms);
      },
      [&](int64_t k, auto n) INLINED { sum.add(term(k, n)); });
  return sum;
}

// Exponentials of a batch by exponential(z, exponent), into `kept` where that is wanted, and their sums
// without the maximal classes, which are counted.
template <bool Keep, class T, class Exponential>
INLINE RowSums<Compute<T>> sum_batch(const Batch<T>& batch, Compute<T>* kept, Vec<Compute<T>> maximum,
                                     Exponential exponential) {
  using C = Compute<T>;
  const PowerShift<C> shift(maximum);
  BatchSums<C> sums;
  Vec<C> ties{};
  const ByRow<C> top(maximum), subtracted(shift.subtracted), exponent(shift.exponent);
  int64_t ahead = batch.rows * batch.count;
  if (ahead > 4 * kBatchNumbers) ahead = kBatchNumbers;  // a row that long is not in the cache itself
  for (int r = 0; r < batch.rows; ++r) {
    const T* z = batch.row(r);
    [[maybe_unused]] C* to = kept + r * batch.count;
    const Vec<C> a = top[r], s = subtracted[r], power = exponent[r];
    int64_t tied = 0;
    sums.put(r, sum_terms<C>(batch.count, [&](int64_t k, auto n) INLINED {
      __builtin_prefetch(z + k + ahead, 0, 2);  // the next batch comes while this one is worked on
      const Vec<C> x = load(z + k, n, -C(kInf)), e = exponential(x - s, power);
      if constexpr (Keep) store(to + k, n, e);
      tied += count_equal(x, a);
      return select(x == a, Vec<C>{}, e);
    }));
    ties[r] = C(tied);
  }
  return row_sums(shift, maximum, sums.fold(), ties);
}

// As sums under a logarithm need the exponentials.
template <class T>
INLINE RowSums<Compute<T>> log_sum_batch(const Batch<T>& batch, Vec<Compute<T>> maximum) {
  using C = Compute<T>;
  return sum_batch<false>(batch, (C*)nullptr, maximum,
                          [](Vec<C> x, Vec<C> power) INLINED { return exp_fitting(x, power); });
}

template <class T>
INLINE void scale_batch(const Batch<T>& batch, const Compute<T>* kept, T* out, const RowScale<Compute<T>>& scale) {
  using C = Compute<T>;
  const ByRow<C> highs(scale.high), lows(scale.low);
  for (int r = 0; r < batch.rows; ++r) {
    const int64_t at = r * batch.count;
    const Vec<C> high = highs[r], low = lows[r];
    sweep<C>(batch.count, [&](int64_t k, auto n) INLINED {
      store(out + at + k, n, multiply(load(kept + at + k, n), high, low));
    });
  }
}

// Where the exponentials of a batch wait: in its results, or beside them where those are narrower.
template <class T>
struct Kept {
  Compute<T> numbers[Batch<T>::kBuffers ? kBatchNumbers : 1];
  INLINE Compute<T>* at(T* out) {
    if constexpr (Batch<T>::kBuffers)
      return numbers;
    else
      return out;
  }
};

// body(batch, i) for the rows begin ... end.
template <class T, class Body>
INLINE void batches(const T* z, int64_t count, int64_t begin, int64_t end, Body body) {
  const int64_t together = Batch<T>::rows_at_once(count);
  for (int64_t i = begin; i < end; i += together)
    body(Batch<T>{z + i * count, count, int(end - i < together ? end - i : together)}, i);
}

// The second walk where there is no room for the exponentials: they are computed again.
template <class T, class Exponential>
INLINE void scale_again(const Batch<T>& batch, T* out, const RowScale<Compute<T>>& scale, Vec<Compute<T>> maximum,
                        Exponential exponential) {
  using C = Compute<T>;
  const PowerShift<C> shift(maximum);
  const ByRow<C> highs(scale.high), lows(scale.low), subtracted(shift.subtracted), exponent(shift.exponent);
  const Vec<C> high = highs[0], low = lows[0], s = subtracted[0], power = exponent[0];
  sweep<C>(batch.count, [&](int64_t k, auto n) INLINED {
    store(out + k, n, multiply(exponential(load(batch.z + k, n) - s, power), high, low));
  });
}

// out = factor * exponentials / their sum; sums and maxima are given back.
template <class T, class Exponential>
INLINE RowSums<Compute<T>> weigh_batch(const Batch<T>& batch, T* out, Kept<T>& kept, Vec<Compute<T>> maximum,
                                       const PerRow<Compute<T>>& factor, Exponential exponential) {
  using C = Compute<T>;
  if (Batch<T>::kBuffers && batch.count > kBatchNumbers) {
    const RowSums<C> sums = sum_batch<false>(batch, (C*)nullptr, maximum, exponential);
    scale_again(batch, out, scale_of<C>(factor, sums.whole, maximum), maximum, exponential);
    return sums;
  }
  const RowSums<C> sums = sum_batch<true>(batch, kept.at(out), maximum, exponential);
  scale_batch(batch, kept.at(out), out, scale_of<C>(factor, sums.whole, maximum));
  return sums;
}

template <class T>
INLINE void softmax_of_batch(const Batch<T>& batch, T* out, Kept<T>& kept, const PerRow<Compute<T>>& factor) {
  using C = Compute<T>;
  weigh_batch(batch, out, kept, maxima(batch), factor, [](Vec<C> x, Vec<C> power) INLINED {
    return sizeof(C) == 4 ? exp_quick(x, power) : exp_close(x, power);
  });
}

// ---------------------------------------------------------------- rows begin ... end of a call

template <class T>
void softmax_rows(const RowsCall& call, int64_t begin, int64_t end) {
  Kept<T> kept;
  batches((const T*)call.first, call.n_classes, begin, end, [&](const Batch<T>& batch, int64_t i) INLINED {
    softmax_of_batch(batch, (T*)call.out + i * call.n_classes, kept, constant<Compute<T>>(1));
  });
}

template <class T>
void logsumexp_vjp_rows(const RowsCall& call, int64_t begin, int64_t end) {
  Kept<T> kept;
  batches((const T*)call.first, call.n_classes, begin, end, [&](const Batch<T>& batch, int64_t i) INLINED {
    const PerRow<Compute<T>> factor = per_row(load((const T*)call.second + i, batch.rows));
    softmax_of_batch(batch, (T*)call.out + i * call.n_classes, kept, factor);
  });
}

template <class T>
void log_softmax_rows(const RowsCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  batches((const T*)call.first, call.n_classes, begin, end, [&](const Batch<T>& batch, int64_t i) INLINED {
    const Vec<C> maximum = maxima(batch);
    const Pair<Vec<C>> lse = lse_of(maximum, log_sum_batch(batch, maximum));
    const ByRow<C> highs(lse.high + (maximum - maximum)), lows(lse.low);
    for (int r = 0; r < batch.rows; ++r) {
      T* out = (T*)call.out + (i + r) * batch.count;
      const Vec<C> high = highs[r], low = lows[r];
      sweep<C>(batch.count, [&](int64_t k, auto n) INLINED {
        store(out + k, n, log_probability<C>(load(batch.row(r) + k, n), high, low));
      });
    }
  });
}

template <class T>
void logsumexp_rows(const RowsCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  batches((const T*)call.first, call.n_classes, begin, end, [&](const Batch<T>& batch, int64_t i) INLINED {
    const Vec<C> maximum = maxima(batch);
    Vec<C> lse = lse_of(maximum, log_sum_batch(batch, maximum)).high;
    for (int r = 0; r < batch.rows; ++r)
      if (!is_finite(maximum[r])) lse[r] = row_has_nan(batch.row(r), batch.count) ? C(kNaN) : maximum[r];
    store((T*)call.out + i, batch.rows, lse);
  });
}

template <class T>
double cross_entropy_rows(const CrossEntropyCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  Kept<T> kept;
  double total = 0;
  batches((const T*)call.logits, call.n_classes, begin, end, [&](const Batch<T>& batch, int64_t i) INLINED {
    T* out = call.out ? (T*)call.out + i * batch.count : nullptr;
    const LabelledRows<C> given(call, i, batch.rows);
    const PerRow<C> factor = given.factors(call.gradient_factor);
    const Vec<C> maximum = maxima(batch);
    Vec<C> labelled{};
    for (int r = 0; r < batch.rows; ++r) labelled[r] = load_one(batch.row(r) + given.label[r]);
    const PowerShift<C> shift(maximum);
    const Vec<C> own = exp_fitting(labelled - shift.subtracted, shift.exponent);
    const auto exponential = [](Vec<C> x, Vec<C> power) INLINED { return exp_fitting(x, power); };
    const RowSums<C> sums = out ? weigh_batch(batch, out, kept, maximum, factor, exponential)
                                : log_sum_batch(batch, maximum);
    const LabelResult<C> result = label_result(maximum, labelled, own, sums, factor);
    for (int r = 0; r < batch.rows && out; ++r) {
      T* row = out + r * batch.count;
      if (given.weight[r] == 0)
        fill_row(row, batch.count, C(0));
      else
        store_one(row + given.label[r], result.gradient[r]);
    }
    total += given.put(call, i, batch.rows, result.loss);
  });
  return total;
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
