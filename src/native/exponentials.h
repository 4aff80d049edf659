// The walks over the rows of a batch that compute its exponentials and their sums.
//
// Where all numbers of its rows are near 0, as logits mostly are, a batch is walked once: exponentials that need
// no shift do not wait for the largest logit. Any other batch is walked again, with a shift for each row, and those
// after it for some time at once so. Powers of two are all that is between the two, and so are the results' bits.
#pragma once

#include "batch.h"
#include "row_exp.h"

namespace crossent::CROSSENT_ISA {
namespace {

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

// Row r of a batch, the next batch and the results, if any are to follow, being asked for on the way.
template <class T>
struct RowReader {
  const T *z, *results;
  int64_t ahead;
  INLINE RowReader(const Batch<T>& batch, int r, const T* out, const Ahead& by)
      : z(batch.row(r)), results(out ? out + r * batch.count + by.results : z), ahead(by.numbers) {}
  template <class N>
  INLINE Vec<T> operator()(int64_t k, N n, Compute<T> fill = -Compute<T>(kInf)) const {
    __builtin_prefetch(z + k + ahead, 0, 2);
    __builtin_prefetch(results + k, 1, 2);
    return load(z + k, n, fill);
  }
};

// body(r, reader, exp) for the rows of a batch, exp being the exponential of row r.
template <class Use, class T, class Body>
INLINE void each_row(const Batch<T>& batch, const T* out, const PowerShift<Compute<T>>& shift, Body body) {
  using C = Compute<T>;
  using Near = NearExp<Use, C>;
  const ByRow<C> subtracted(shift.subtracted), exponent(shift.power.exponent), lowest(shift.power.lowest);
  const ByRow<C> near(select(Near::serves(shift), splat(C(1)), Vec<C>{}));
  const Ahead ahead(batch);
  for (int r = 0; r < batch.rows; ++r) {
    const RowReader<T> read(batch, r, out, ahead);
    const Scaling<Vec<C>> power{exponent[r], lowest[r]};
    if (near.lane[r] != 0)
      body(r, read, Near(power));
    else
      body(r, read, RowExp<Use, C, Vec<C>>{power, subtracted[r]});
  }
}

// ---------------------------------------------------------------- exponentials that are kept

// The exponentials of a batch.
template <class C>
struct Exponentials {
  Vec<C> maximum, top;   // the largest logits, and their exponentials
  PowerShift<C> shift;
  const Vec<C> room;     // the headroom of the shift, where there is one
  bool near = false;     // whether one walk was enough, without a shift
  BatchSums<C> sums;     // where they are wanted

  INLINE Exponentials(int rows, Vec<C> room) : room(room), sums(rows) {}
  // Walks row r; value(k, n) is summed where sums are wanted.
  template <bool Summed, class Value>
  INLINE void walk(int r, int64_t count, Value value) {
    if constexpr (Summed) {
      Sum<C> sum;
      add_terms<C>(sum, count, value);
      sums.put(r, sum);
    } else {
      sweep<C>(count, value);
    }
  }
  template <class Use>
  INLINE void measure_from(Vec<C> largest, const PowerShift<C>& by) {
    maximum = largest;
    shift = by;
    top = Use::exp(largest - by.subtracted, by.power);
  }
};

// One walk; false where the numbers of some row are not near 0.
template <bool Summed, class Use, class T, class KeptRow>
INLINE bool keep_near(const Batch<T>& batch, const T* out, KeptRow kept, Exponentials<Compute<T>>& found) {
  using C = Compute<T>;
  using V = Vec<C>;
  const Ahead ahead(batch);
  V parts[Batch<T>::kRows], far{};
  for (int r = batch.rows; r < Batch<T>::kRows; ++r) parts[r] = V{};
  for (int r = 0; r < batch.rows; ++r) {
    const RowReader<T> read(batch, r, out, ahead);
    const C first = load_one(batch.row(r));
    Range<V> range(splat(first));
    C* const to = kept(r);
    found.template walk<Summed>(r, batch.count, [&](int64_t k, auto n) INLINED {
      const V x = read(k, n, first), e = keep(n, exp_normal<Use::kFitting>(x), V{});
      range.add(x);
      store(to + k, n, e);
      return e;
    });
    parts[r] = range.most;
    far = select(range.is_near(), far, splat(C(1)));
  }
  found.template measure_from<Use>(fold_lanes(parts, [](V a, V b) INLINED { return larger(a, b); }), {});
  return count_equal(far, V{}) == kLanes<C>;
}

template <bool Summed, class Use, class T>
INLINE void keep_exponentials(const Batch<T>& batch, T* out, const T* expected, Kept<T>& kept,
                              Exponentials<Compute<T>>& found) {
  using C = Compute<T>;
  const auto rows = kept.rows(out);
  found.near = false;
  if (kept.caution.ends()) {
    found.near = Kept<T>::holds(batch.count) && keep_near<Summed, Use>(batch, expected, rows, found);
    if (found.near) return;
    kept.caution.take();
  }
  const Vec<C> maximum = maxima(batch);
  found.template measure_from<Use>(maximum, PowerShift<C>(maximum, found.room));
  each_row<Use>(batch, expected, found.shift, [&](int r, const RowReader<T>& read, auto exp) INLINED {
    C* const to = rows(r);
    found.template walk<Summed>(r, batch.count, [&](int64_t k, auto n) INLINED {
      const Vec<C> e = exp(read(k, n));
      if (to) store(to + k, n, e);
      return e;
    });
  });
}

template <class C, class Term>
INLINE void add_kept(Sum<C>& sum, const C* kept, int64_t count, Term term) {
  add_terms<C>(sum, count, [&](int64_t k, auto n) INLINED { return term(load(kept + k, n)); });
}

// Exponentials as sums under a logarithm need them, and their sums: change(r, kept, first, count), then add(r, sum,
// kept, count, top) where those of row r wait, `count` of them from class `first` on. Where a row has no room, or
// is too long for the cache, that is done for a block after the other.
template <class T, class Change, class Add>
INLINE void keep_and_sum(const Batch<T>& batch, T* out, const T* expected, Kept<T>& kept,
                         Exponentials<Compute<T>>& found, Change change, Add add) {
  using C = Compute<T>;
  constexpr int64_t kBlock = 1024;
  const auto rows = kept.rows(out);
  if (Kept<T>::holds(batch.count)) {
    keep_exponentials<false, ToSum>(batch, out, expected, kept, found);
    const ByRow<C> top(found.top);
    for (int r = 0; r < batch.rows; ++r) change(r, rows(r), 0, batch.count);
    for (int r = 0; r < batch.rows; ++r) {
      Sum<C> sum;
      add(r, sum, rows(r), batch.count, top[r]);
      found.sums.put(r, sum);
    }
    return;
  }
  found.near = false;
  const Vec<C> maximum = maxima(batch);
  found.template measure_from<ToSum>(maximum, PowerShift<C>(maximum, found.room));
  const ByRow<C> top(found.top);
  each_row<ToSum>(batch, expected, found.shift, [&](int r, const RowReader<T>& read, auto exp) INLINED {
    C* const row = out ? rows(r) : nullptr;
    Sum<C> sum;
    for (int64_t first = 0; first < batch.count; first += kBlock) {
      const int64_t count = batch.count - first < kBlock ? batch.count - first : kBlock;
      C* const block = row ? row + first : kept.numbers;
      sweep<C>(count, [&](int64_t k, auto n) INLINED { store(block + k, n, exp(read(first + k, n))); });
      change(r, block, first, count);
      add(r, sum, block, count, top[r]);
    }
    found.sums.put(r, sum);
  });
}

// The sums of all but one maximal class; `maximum` is the largest logit.
template <class T>
INLINE RowSums<Compute<T>> log_sum_batch(const Batch<T>& batch, const T* expected, Kept<T>& kept,
                                         Vec<Compute<T>>& maximum) {
  using C = Compute<T>;
  using V = Vec<C>;
  C ties[kLanes<C>] = {};
  Exponentials<C> found(batch.rows, headroom<C>());
  const auto add = [&](int r, Sum<C>& sum, const C* e, int64_t count, V top) INLINED {
    int64_t tied = 0;
    add_kept(sum, e, count, [&](V x) INLINED { return unless_equal(x, top, tied); });
    ties[r] += C(tied);
  };
  keep_and_sum(batch, (T*)nullptr, expected, kept, found, [](int, C*, int64_t, int64_t) INLINED {}, add);
  V tied;
  __builtin_memcpy(&tied, ties, sizeof tied);
  maximum = found.maximum;
  return row_sums(found.shift, maximum, found.sums.fold(), tied);
}

// Whether the shifts that another walk would have taken would have left the same scales: in neither a digit is lost.
template <class C>
INLINE bool is_exact(const RowScale<C>& scale, const PerRow<C>& factor, Vec<C> maximum, Vec<C> room, int rows) {
  constexpr C kLeast = sizeof(C) == 4 ? C(0x1p-126) : C(0x1p-1022);
  const Vec<C> less = power_of_two(smaller(PowerShift<C>(maximum, room).power.exponent, Vec<C>{}));
  const Vec<C> lost = select((absolute(scale.low) * less >= kLeast) | (narrow(factor) == 0), Vec<C>{}, splat(C(1)));
  return count_equal(rows < kLanes<C> ? keep(rows, lost, Vec<C>{}) : lost, Vec<C>{}) == kLanes<C>;
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
