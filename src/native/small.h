// A few classes: one lane a row, so that no lane is empty and nothing is summed across lanes.
//
// Several blocks of as many rows as there are lanes go through every step together: what one waits for, the
// others do. A row's place among the lanes and blocks changes nothing, nor whether its classes lie side by
// side or far apart.
#pragma once

#include "columns.h"
#include "derivatives.h"
#include "label_lanes.h"
#include "split.h"

namespace crossent::CROSSENT_ISA {
namespace {

constexpr int64_t kSmall = 28;  // classes up to which rows lie side by side; backward passes turn two arrays: kSplit
constexpr int kGroupVectors = 64, kMostBlocks = 16;

// Memory of columns that is wanted soon: numbers to be read, and room for results, if any; rows come by themselves.
template <class T>
struct Expected {
  const T *next = nullptr, *results = nullptr;
  int64_t stride = 0;
  INLINE void ask(int64_t k, int64_t column) const {
    if (next) __builtin_prefetch(next + k * stride + column, 0, 2);
    if (results) __builtin_prefetch(results + k * stride + column, 1, 2);
  }
};

// Blocks of rows: class k of those in block b is lanes[b * count + k].
template <class T>
struct RowGroup {
  using C = Compute<T>;
  static constexpr int kRows = kLanes<C>;
  using Few = std::make_integer_sequence<int, kSplit>;
  Vec<C> lanes[kGroupVectors];
  int count, rows = 0;
  Caution caution;
  Expected<T> expected;

  INLINE explicit RowGroup(int64_t count) : count(int(count)) {}

  INLINE int most_rows() const { return kRows * (count * kMostBlocks <= kGroupVectors ? kMostBlocks : kGroupVectors / count); }
  INLINE int blocks() const { return (rows + kRows - 1) / kRows; }
  INLINE Vec<C>* block(int b) { return lanes + b * count; }
  INLINE int rows_of(int b) const { return rows - b * kRows < kRows ? rows - b * kRows : kRows; }
  template <class Step>
  INLINE void each(Step step) {
    for (int b = 0; b < blocks(); ++b) step(b, block(b));
  }

  INLINE void read(const T* from, int n) {
    rows = n;
    if (count <= kSplit) return read_split_of<T>(count, Few{})(from, lanes, rows * count);
    each([&](int b, Vec<C>* z) INLINED { turn(from + b * kRows * count, count, (C*)z, kRows, rows_of(b), count); });
  }
  INLINE void write(T* to) {
    if (count <= kSplit) return write_joined_of<T>(count, Few{})(to, lanes, rows * count);
    each([&](int b, Vec<C>* z) INLINED { turn((const C*)z, kRows, to + b * kRows * count, count, count, rows_of(b)); });
  }
  // The same where numbers of one row lie `stride` apart.
  INLINE void read_columns(const T* from, int64_t stride, int n) {
    rows = n;
    each([&](int b, Vec<C>* z) INLINED {
      const T* at = from + b * kRows;
      if (rows_of(b) == kRows)
        for (int k = 0; k < count; ++k) z[k] = load(at + k * stride, Full{});
      else
        for (int k = 0; k < count; ++k) z[k] = load(at + k * stride, rows_of(b));
    });
  }
  // Class k of block b is being worked on: a share of what is expected is asked for.
  INLINE void expect(int b, int k) const { expected.ask(k, b * kRows); }
  INLINE void write_columns(T* to, int64_t stride) {
    each([&](int b, Vec<C>* z) INLINED {
      T* at = to + b * kRows;
      if (rows_of(b) == kRows)
        for (int k = 0; k < count; ++k) store(at + k * stride, Full{}, z[k]);
      else
        for (int k = 0; k < count; ++k) store(at + k * stride, rows_of(b), z[k]);
    });
  }
};

// The largest number of every row; NaN is passed over.
template <class V>
INLINE V largest(const V* z, int count) {
  V best = z[0];
  for (int k = 1; k < count; ++k) best = larger(z[k], best);
  return best;
}

template <class V>
INLINE V least_of(const V* x, int count) {
  V least = x[0];
  for (int k = 1; k < count; ++k) least = smaller(x[k], least);
  return least;
}

// The largest, and all the others of the row in others[1] ... others[count - 1].
template <class V>
INLINE V part_largest(const V* z, V* others, int count) {
  V best = z[0];
  for (int k = 1; k < count; ++k) {
    const V x = z[k];
    others[k] = smaller(best, x);
    best = larger(x, best);
  }
  return best;
}

// NaN where a row's maximum is not finite, else 0.
template <class V>
INLINE V spoiled(V maximum) {
  return maximum - maximum;
}

// ---------------------------------------------------------------- groups of rows

// The exponentials of a block's rows and their sums where all its numbers are near 0; false where they are not.
template <class V, class Expect>
INLINE bool sum_near(const V* z, V* exponentials, int count, Pair<V>& sum, Expect expect) {
  Range<V> range(z[0]);
  sum = sum_of_pairs<V>(count, [&](int k) INLINED {
    expect(k);
    range.add(z[k]);
    return exponentials[k] = exp_normal<false>(z[k]);
  });
  return count_equal(select(range.is_near(), V{}, splat(Element<V>(1))), V{}) == int(sizeof(V) / sizeof(z[0][0]));
}

// The same whatever the numbers are, to the same bits but for a power of two; no sum where a maximum is not finite.
template <class V, class Expect>
INLINE Pair<V> sum_shifted(const V* z, V* exponentials, int count, V room, Expect expect) {
  const V maximum = largest(z, count);
  const PowerShift<Element<V>> shift(maximum, room);
  const Pair<V> sum = sum_of_pairs<V>(count, [&](int k) INLINED {
    expect(k);
    return exponentials[k] = exp_for_softmax(z[k] - shift.subtracted, shift.power);
  });
  return {sum.high + spoiled(maximum), sum.low};
}

template <class T>
INLINE void softmax_of(RowGroup<T>& group) {
  using V = Vec<T>;
  V exponentials[kGroupVectors];
  Pair<V> sums[kMostBlocks];
  bool near[kMostBlocks];
  const int count = group.count;
  group.each([&](int b, V* z) INLINED {
    V* const e = exponentials + b * count;
    const auto expect = [&](int k) INLINED { group.expect(b, k); };
    near[b] = group.caution.ends() && (sum_near(z, e, count, sums[b], expect) || !group.caution.take());
    if (!near[b]) sums[b] = sum_shifted(z, e, count, headroom<Compute<T>>(), expect);
  });
  group.each([&](int b, V* z) INLINED {
    const V* e = exponentials + b * count;
    const auto put = [&](auto times) INLINED {
      for (int k = 0; k < count; ++k) z[k] = times(e[k]);
    };
    const RowScale<Compute<T>> scale = row_scale(reciprocal(sums[b]));
    if (near[b])
      put(scale);
    else
      weigh(scale, least_of(e, count), put);
  });
}

// factor * softmax, a factor for each row
template <class T>
INLINE void scaled_softmax_of(RowGroup<T>& group, const T* factor) {
  using V = Vec<T>;
  group.each([&](int b, V* z) INLINED {
    const V given = load(factor + b * group.kRows, group.rows_of(b));
    const auto expect = [&](int k) INLINED { group.expect(b, k); };
    const Pair<V> sum = sum_shifted(z, z, group.count, headroom<Compute<T>>(given), expect);
    const Pair<V> scale = times(Pair<V>{given, V{}}, reciprocal(sum));
    weigh(row_scale(scale), least_of(z, group.count), [&](auto times) INLINED {
      for (int k = 0; k < group.count; ++k) z[k] = times(z[k]);
    });
  });
}

// log sum exp(z - maximum) = log(1 + the others): a confident row keeps its digits. They are summed 2^headroom times
// as large.
template <bool Exactly, class V, class Expect>
INLINE Pair<V> sum_of_others(const V* others, int count, V maximum, Expect expect) {
  const Scaling<V> power = scaling(headroom<Element<V>>());
  V rounded_off{};
  expect(0);
  const Pair<V> sum = sum_of<V>(count - 1, [&](int k) INLINED {
    expect(k + 1);
    const Pair<V> e = exp_pair(two_sum(others[k + 1], -maximum), power);
    if constexpr (Exactly) rounded_off += e.low;
    return e.high;
  });
  return {sum.high, sum.low + rounded_off};
}

// q = (z - maximum) - log sum: both terms have one sign.
template <class T>
INLINE void log_softmax_of(RowGroup<T>& group) {
  using V = Vec<T>;
  V others[kGroupVectors], maxima[kMostBlocks];
  Pair<V> sums[kMostBlocks];
  group.each([&](int b, V* z) INLINED { maxima[b] = part_largest(z, others + b * group.count, group.count); });
  group.each([&](int b, V*) INLINED {
    const auto expect = [&](int k) INLINED { group.expect(b, k); };
    sums[b] = sum_of_others<false>(others + b * group.count, group.count, maxima[b], expect);
  });
  group.each([&](int b, V*) INLINED {
    sums[b].high = log_one_and(sums[b], headroom<Compute<T>>()).high + spoiled(maxima[b]);
  });
  group.each([&](int b, V* z) INLINED {
    for (int k = 0; k < group.count; ++k) z[k] = (z[k] - maxima[b]) - sums[b].high;
  });
}

// Maximum and logarithm may cancel, so the exponentials keep what they round off. The logits are lost.
template <class T>
INLINE void logsumexp_of(RowGroup<T>& group, T* out) {
  using V = Vec<T>;
  V maxima[kMostBlocks];
  Pair<V> sums[kMostBlocks];
  group.each([&](int b, V* z) INLINED { maxima[b] = part_largest(z, z, group.count); });
  group.each([&](int b, V* z) INLINED {
    sums[b] = sum_of_others<true>(z, group.count, maxima[b], [&](int k) INLINED { group.expect(b, k); });
  });
  group.each([&](int b, V* z) INLINED {
    const V maximum = maxima[b];
    const Pair<V> log_sum = log_one_and(sums[b], headroom<Compute<T>>()), lse = two_sum(maximum, log_sum.high);
    V result = lse.high + (lse.low + log_sum.low);
    if (count_equal(spoiled(maximum), V{}) != group.kRows) {
      result = select(spoiled(maximum) == 0, result, maximum);
      for (int k = 1; k < group.count; ++k) result = select(z[k] == z[k], result, z[k]);
    }
    if (group.rows_of(b) == group.kRows)
      store(out + b * group.kRows, Full{}, result);
    else
      store(out + b * group.kRows, group.rows_of(b), result);
  });
}

// Backward passes: of each number of a result and its cotangent a term, whose sums over the rows make the gradient.
struct SoftmaxVjp {  // p (g - <p, g>)
  template <class V>
  INLINE static V term(V p, V g) {
    return p * g;
  }
  template <class V>
  INLINE static V value(V p, V g, V sum) {
    return p * (g - sum);
  }
};
struct LogSoftmaxVjp {  // g - exp(q) sum g
  template <class V>
  INLINE static V term(V, V g) {
    return g;
  }
  template <class V>
  INLINE static V value(V q, V g, V sum) {
    return fma(-exp(q), sum, g);
  }
};

// In place of x
template <class Vjp, class T>
INLINE void vjp_of(RowGroup<T>& x, RowGroup<T>& y) {
  using V = Vec<T>;
  V sums[kMostBlocks];
  x.each([&](int b, V* xb) INLINED {
    sums[b] = sum_of<V>(x.count, [&](int k) INLINED {
      x.expect(b, k), y.expect(b, k);
      return Vjp::term(xb[k], y.block(b)[k]);
    }).high;
  });
  x.each([&](int b, V* xb) INLINED {
    for (int k = 0; k < x.count; ++k) xb[k] = Vjp::value(xb[k], y.block(b)[k], sums[b]);
  });
}

// The sum of the losses of the rows `first` ..., and their gradients in place of the logits.
template <class T>
INLINE F64 cross_entropy_of(RowGroup<T>& group, const CrossEntropyCall& call, int64_t first, bool gradient) {
  using C = Compute<T>;
  using V = Vec<T>;
  LabelLanes<C> given[kMostBlocks];
  LabelSums<V> sums[kMostBlocks];
  Pair<V> scales[kMostBlocks];
  F64 total{};
  PerRow<C> factor;
  for (F64& part : factor.part) part = splat(call.gradient_factor);
  const Pair<V> of_all = pair_of(factor);
  const V room = headroom<C>(of_all.high);
  group.each([&](int b, V* z) INLINED {
    given[b].read(call, first + b * group.kRows, group.rows_of(b), of_all);
    sums[b].maximum = largest(z, group.count);
    sums[b].room = given[b].weighted ? headroom<C>(given[b].gradient_factor.high) : room;
  });
  group.each([&](int b, V* z) INLINED {
    sums[b].sum_up(z, group.count, given[b].label, [&](int k) INLINED { group.expect(b, k); });
  });
  group.each([&](int b, V*) INLINED {
    total += given[b].put(call, first + b * group.kRows, group.rows_of(b), sums[b].loss());
  });
  if (!gradient) return total;
  group.each([&](int b, V*) INLINED { scales[b] = sums[b].scale(given[b].gradient_factor); });
  group.each([&](int b, V* z) INLINED { sums[b].gradient(z, group.count, given[b], scales[b]); });
  return total;
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
