// Rows of a few classes: one lane a row, so that no lane is empty and nothing is summed across lanes.
//
// A row's place among the lanes changes nothing.
#pragma once

#include "derivatives.h"
#include "label_lanes.h"
#include "split.h"
#include "transpose.h"

namespace crossent::CROSSENT_ISA {
namespace {

constexpr int64_t kSmall = 32;  // classes up to which rows lie side by side

// As many rows as there are lanes: class k of all of them is lanes[k].
template <class T>
struct RowBlock {
  using C = Compute<T>;
  static constexpr int kRows = kLanes<C>;
  using Few = std::make_integer_sequence<int, kSplit>;
  Vec<C> lanes[kSmall];

  INLINE void read(const T* from, int rows, int count) {
    if (count <= kSplit)
      read_split_of<T>(count, Few{})(from, lanes, rows * count);
    else
      turn(from, count, (C*)lanes, kRows, rows, count);
  }
  INLINE void write(T* to, int rows, int count) const {
    if (count <= kSplit)
      write_joined_of<T>(count, Few{})(to, lanes, rows * count);
    else
      turn((const C*)lanes, kRows, to, count, count, rows);
  }
};

// ---------------------------------------------------------------- as many rows as there are lanes

// The largest number of every row; NaN is passed over.
template <class V>
INLINE V largest(const V* z, int count) {
  V best = z[0];
  for (int k = 1; k < count; ++k) best = larger(z[k], best);
  return best;
}

// The same, and all the others of the row in others[1] ... others[count - 1].
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

template <class V>
INLINE V multiply(V x, Pair<V> factor) {
  return multiply(x, factor.high, factor.low);
}

// 1 / sum of a row's exponentials, which take the place of its logits.
template <class V>
INLINE Pair<V> exponentials_of(V* z, int count) {
  using C = Element<V>;
  const V maximum = largest(z, count);
  const PowerShift<C> shift(maximum);
  const Pair<V> sum = sum_of<V>(count, [&](int k) INLINED {
    return z[k] = exp_close(z[k] - shift.subtracted, shift.exponent);
  });
  const Pair<V> scale = reciprocal(sum);
  return {scale.high + spoiled(maximum), zero_if_nan(scale.low)};
}

template <class V>
INLINE void softmax_lanes(V* z, int count) {
  const Pair<V> scale = exponentials_of(z, count);
  for (int k = 0; k < count; ++k) z[k] = multiply(z[k], scale);
}

// factor * softmax
template <class V>
INLINE void scaled_softmax_lanes(V* z, int count, V factor) {
  const Pair<V> scale = times(Pair<V>{factor, V{}}, exponentials_of(z, count));
  for (int k = 0; k < count; ++k) z[k] = multiply(z[k], scale.high, zero_if_nan(scale.low));
}

// log sum exp(z - maximum) = log(1 + the others): a confident row keeps its digits.
template <bool Exactly, class V>
INLINE Pair<V> log_sum_of_others(const V* others, int count, V maximum) {
  V rounded_off{};
  const Pair<V> sum = sum_of<V>(count - 1, [&](int k) INLINED {
    const Pair<V> e = exp_pair(two_sum(others[k + 1], -maximum));
    if constexpr (Exactly) rounded_off += e.low;
    return e.high;
  });
  return log1p_exactly(sum.high, sum.low + rounded_off);
}

// q = (z - maximum) - log sum: both terms have one sign.
template <class V>
INLINE void log_softmax_lanes(V* z, int count) {
  V others[kSmall];
  const V maximum = part_largest(z, others, count);
  const V log_sum = log_sum_of_others<false>(others, count, maximum).high + spoiled(maximum);
  for (int k = 0; k < count; ++k) z[k] = (z[k] - maximum) - log_sum;
}

// Maximum and logarithm may cancel, so the exponentials keep what they round off. The logits are lost.
template <class V>
INLINE V logsumexp_lanes(V* z, int count) {
  const V maximum = part_largest(z, z, count);
  const Pair<V> log_sum = log_sum_of_others<true>(z, count, maximum), lse = two_sum(maximum, log_sum.high);
  V result = lse.high + (lse.low + log_sum.low);
  if (count_equal(spoiled(maximum), V{}) == kLanesOf<V>) return result;
  result = select(spoiled(maximum) == 0, result, maximum);
  for (int k = 1; k < count; ++k) result = select(z[k] == z[k], result, z[k]);
  return result;
}

template <class V>
INLINE V inner_product(const V* a, const V* b, int count) {
  V errors{};
  const Pair<V> sum = sum_of<V>(count, [&](int k) INLINED {
    const Pair<V> product = two_product(a[k], b[k]);
    errors += product.low;
    return product.high;
  });
  return sum.high + (sum.low + errors);
}

template <class V>
INLINE void softmax_vjp_lanes(V* p, const V* g, int count) {
  const V mean = inner_product(p, g, count);
  for (int k = 0; k < count; ++k) p[k] *= g[k] - mean;
}

template <class V>
INLINE void log_softmax_vjp_lanes(V* q, const V* g, int count) {
  const V total = sum_of<V>(count, [&](int k) INLINED { return g[k]; }).high;
  for (int k = 0; k < count; ++k) q[k] = fma(-exp(q[k]), total, g[k]);
}

// ---------------------------------------------------------------- rows begin ... end of a call

// block(rows, i) for every block of rows.
template <class T, class Block>
INLINE void blocks(int64_t begin, int64_t end, Block block) {
  constexpr int kRows = RowBlock<T>::kRows;
  for (int64_t i = begin; i < end; i += kRows) block(int(end - i < kRows ? end - i : kRows), i);
}

template <class T>
INLINE void store_rows(T* to, int rows, Vec<T> x) {
  if (rows == RowBlock<T>::kRows)
    store(to, Full{}, x);
  else
    store(to, rows, x);
}

// result(z, rows, i) in place of the logits of every block.
template <class T, class Result>
INLINE void in_blocks(const RowsCall& call, int64_t begin, int64_t end, Result result) {
  const Rows<T> rows(call);
  const int count = int(rows.count);
  blocks<T>(begin, end, [&](int n, int64_t i) INLINED {
    RowBlock<T> z;
    z.read(rows.first + i * count, n, count);
    result(z.lanes, n, i);
    z.write(rows.out + i * count, n, count);
  });
}

template <class T>
void softmax_few(const RowsCall& call, int64_t begin, int64_t end) {
  const int count = int(call.n_classes);
  in_blocks<T>(call, begin, end, [&](Vec<T>* z, int, int64_t) INLINED { softmax_lanes(z, count); });
}

template <class T>
void log_softmax_few(const RowsCall& call, int64_t begin, int64_t end) {
  const int count = int(call.n_classes);
  in_blocks<T>(call, begin, end, [&](Vec<T>* z, int, int64_t) INLINED { log_softmax_lanes(z, count); });
}

template <class T>
void logsumexp_vjp_few(const RowsCall& call, int64_t begin, int64_t end) {
  const int count = int(call.n_classes);
  in_blocks<T>(call, begin, end, [&](Vec<T>* z, int n, int64_t i) INLINED {
    scaled_softmax_lanes(z, count, load((const T*)call.second + i, n));
  });
}

template <class T>
void softmax_vjp_few(const RowsCall& call, int64_t begin, int64_t end) {
  const int count = int(call.n_classes);
  in_blocks<T>(call, begin, end, [&](Vec<T>* p, int n, int64_t i) INLINED {
    RowBlock<T> g;
    g.read((const T*)call.second + i * count, n, count);
    softmax_vjp_lanes(p, g.lanes, count);
  });
}

template <class T>
void log_softmax_vjp_few(const RowsCall& call, int64_t begin, int64_t end) {
  const int count = int(call.n_classes);
  in_blocks<T>(call, begin, end, [&](Vec<T>* q, int n, int64_t i) INLINED {
    RowBlock<T> g;
    g.read((const T*)call.second + i * count, n, count);
    log_softmax_vjp_lanes(q, g.lanes, count);
  });
}

template <class T>
void logsumexp_few(const RowsCall& call, int64_t begin, int64_t end) {
  const Rows<T> rows(call);
  const int count = int(rows.count);
  blocks<T>(begin, end, [&](int n, int64_t i) INLINED {
    RowBlock<T> z;
    z.read(rows.first + i * count, n, count);
    store_rows(rows.out + i, n, logsumexp_lanes(z.lanes, count));
  });
}

template <class T>
double cross_entropy_few(const CrossEntropyCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  const int count = int(call.n_classes);
  F64 total{};
  blocks<T>(begin, end, [&](int n, int64_t i) INLINED {
    RowBlock<T> z;
    z.read((const T*)call.logits + i * count, n, count);
    const LabelLanes<C> given(call, i, n);
    total += given.put(call, i, n, label_lanes(z.lanes, count, given, call.out != nullptr));
    if (call.out) z.write((T*)call.out + i * count, n, count);
  });
  return sum_of_lanes(total);
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
