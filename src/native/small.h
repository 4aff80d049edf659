// Rows of a few classes: one lane a row, so that no lane is empty and nothing is summed across lanes.
//
// The formulas are those of softmax.h and cross_entropy.h. A row's place among the lanes changes nothing.
#pragma once

#include "cross_entropy.h"

namespace crossent::CROSSENT_ISA {
namespace {

constexpr int64_t kSmall = 16;  // classes up to which rows lie side by side

// As many rows as there are lanes: class k of all of them is lanes[k].
template <class T>
struct RowBlock {
  using C = Compute<T>;
  static constexpr int kRows = kLanes<C>;
  Vec<C> lanes[kSmall];

  INLINE C* at(int64_t k) { return (C*)&lanes[k]; }

  INLINE void read(const T* from, int rows, int count) {
    C wide[sizeof(T) == sizeof(C) ? 1 : kRows * kSmall];
    const C* source = (const C*)from;
    if constexpr (sizeof(T) != sizeof(C)) {
      sweep<C>(rows * count, [&](int64_t i, auto n) INLINED { store(wide + i, n, load(from + i, n)); });
      source = wide;
    }
    for (int k = 0; k < count; ++k) lanes[k] = gather(source + k, count, rows);
  }

  INLINE void write(T* to, int rows, int count) {
    C wide[sizeof(T) == sizeof(C) ? 1 : kRows * kSmall];
    C* target = sizeof(T) == sizeof(C) ? (C*)to : wide;
    for (int k = 0; k < count; ++k) scatter(target + k, count, rows, lanes[k]);
    if constexpr (sizeof(T) != sizeof(C))
      sweep<C>(rows * count, [&](int64_t i, auto n) INLINED { store(to + i, n, load(wide + i, n)); });
  }
};

// The largest number of every row; NaN is passed over.
template <class T>
INLINE Vec<Compute<T>> largest(const RowBlock<T>& block, int count) {
  Vec<Compute<T>> best = splat(-Compute<T>(kInf));
  for (int k = 0; k < count; ++k) best = select(block.lanes[k] > best, block.lanes[k], best);
  return best;
}

// Exponentials in place of the numbers of a block, and their sums as `shift` counts them.
template <class T, class Shift>
INLINE Pair<PerRow<Compute<T>>> exponentiate(RowBlock<T>& block, int count, Shift& shift) {
  using C = Compute<T>;
  Sum<C> sum;
  for (int k = 0; k < count; ++k) {
    const Vec<C> z = block.lanes[k], e = shift(z, sum);
    sum.add(shift.summand(z, e));
    block.lanes[k] = e;
  }
  return shift.others_of_lanes(lane_sums(sum));
}

// Multiply every row by its factor / sum; a row without a finite maximum becomes NaN.
template <class T>
INLINE void weigh(RowBlock<T>& block, int count, const PerRow<Compute<T>>& factor,
                  const PerRow<Compute<T>>& sum, Vec<Compute<T>> maximum) {
  using C = Compute<T>;
  PerRow<C> high, low;
  for (int i = 0; i < PerRow<C>::kParts; ++i) high.part[i] = factor.part[i] / sum.part[i];
  const Vec<C> rounded = narrow(high) + (maximum - maximum);
  const PerRow<C> back = per_row(rounded);
  for (int i = 0; i < PerRow<C>::kParts; ++i) {
    F64 rest = high.part[i] - back.part[i];
    if constexpr (sizeof(C) == 8) {
      const Pair<F64> product = two_product(high.part[i], sum.part[i]);
      rest = ((factor.part[i] - product.high) - product.low) / sum.part[i];
    }
    low.part[i] = select(rest - rest == 0, rest, F64{});
  }
  const Vec<C> remainder = narrow(low);
  for (int k = 0; k < count; ++k) block.lanes[k] = multiply(block.lanes[k], rounded, remainder);
}

// The sums of a block's exponentials without one maximal class, and log1p of them.
template <class C>
struct LogSums {
  PerRow<C> whole;         // 1 + others
  PerRow<C> others;
  Pair<PerRow<C>> log_sum;
};

template <class T>
INLINE LogSums<Compute<T>> log_sums(RowBlock<T>& block, int count, Vec<Compute<T>> maximum) {
  using C = Compute<T>;
  MaximumShift<C> shift(maximum);
  const Pair<PerRow<C>> others = exponentiate(block, count, shift);
  LogSums<C> sums;
  sums.others = others.high;
  for (int i = 0; i < PerRow<C>::kParts; ++i) {
    const Pair<F64> value = log1p_exactly(others.high.part[i], others.low.part[i]);
    sums.whole.part[i] = splat(1.0) + others.high.part[i];
    sums.log_sum.high.part[i] = value.high;
    sums.log_sum.low.part[i] = value.low;
  }
  return sums;
}

// l = a + log1p(...) of every row, high + low to twice the precision of C.
template <class C>
INLINE Pair<Vec<C>> lse_of(Vec<C> maximum, const LogSums<C>& sums) {
  const PerRow<C> a = per_row(maximum);
  PerRow<C> high, rest;
  Pair<F64> sum[PerRow<C>::kParts];
  for (int i = 0; i < PerRow<C>::kParts; ++i) {
    sum[i] = two_sum(a.part[i], sums.log_sum.high.part[i]);
    sum[i].low += sums.log_sum.low.part[i];
    high.part[i] = sum[i].high + sum[i].low;
  }
  const Vec<C> rounded = narrow(high);
  const PerRow<C> back = per_row(rounded);
  for (int i = 0; i < PerRow<C>::kParts; ++i)
    rest.part[i] = (sum[i].high - back.part[i]) + sum[i].low;
  return {rounded, narrow(rest)};
}

template <class C>
INLINE PerRow<C> constant(double x) {
  return per_row(Vec<C>{} + C(x));
}

// ---------------------------------------------------------------- blocks

template <class T>
INLINE void softmax_block(RowBlock<T>& z, int count, const PerRow<Compute<T>>& factor) {
  using C = Compute<T>;
  const Vec<C> maximum = largest(z, count);
  if constexpr (sizeof(C) == 4) {
    PowerShift<C> shift(maximum);
    weigh(z, count, factor, exponentiate(z, count, shift).high, maximum);
  } else {
    MaximumShift<C> shift(maximum);
    PerRow<C> sum = exponentiate(z, count, shift).high;
    sum.part[0] += splat(1.0);
    weigh(z, count, factor, sum, maximum);
  }
}

template <class T>
INLINE void log_softmax_block(RowBlock<T>& z, int count) {
  using C = Compute<T>;
  const Vec<C> maximum = largest(z, count);
  RowBlock<T> e = z;
  const Pair<Vec<C>> lse = lse_of(maximum, log_sums(e, count, maximum));
  const Vec<C> high = lse.high + (maximum - maximum);
  for (int k = 0; k < count; ++k) {
    const Pair<Vec<C>> q = two_sum(z.lanes[k], -high);
    z.lanes[k] = select(q.high == -C(kInf), q.high, q.high + (q.low - lse.low));
  }
}

template <class T>
INLINE Vec<Compute<T>> logsumexp_block(RowBlock<T>& z, int count) {
  using C = Compute<T>;
  const Vec<C> maximum = largest(z, count);
  Mask<C> nan{};
  for (int k = 0; k < count; ++k) nan |= z.lanes[k] != z.lanes[k];
  const Vec<C> lse = lse_of(maximum, log_sums(z, count, maximum)).high;
  return select(nan, splat(C(kNaN)), select(maximum - maximum == 0, lse, maximum));
}

// Loss of every row, and its gradient in place of the logits.
template <class T>
INLINE PerRow<Compute<T>> label_block(RowBlock<T>& z, int count, const int* label,
                                      const PerRow<Compute<T>>& factor, bool gradient) {
  using C = Compute<T>;
  constexpr int kRows = RowBlock<T>::kRows;
  const Vec<C> maximum = largest(z, count);
  Vec<C> labelled, own;
  for (int r = 0; r < kRows; ++r) labelled[r] = z.at(label[r])[r];
  const LogSums<C> sums = log_sums(z, count, maximum);
  for (int r = 0; r < kRows; ++r) own[r] = z.at(label[r])[r];
  const PerRow<C> a = per_row(maximum), t = per_row(labelled), e = per_row(own);
  PerRow<C> loss, of_label;
  for (int i = 0; i < PerRow<C>::kParts; ++i) {
    const Pair<F64> distance = two_sum(a.part[i], -t.part[i]);
    F64 rest = distance.low + sums.log_sum.low.part[i];
    rest = select(rest == rest, rest, F64{});
    loss.part[i] = distance.high + (sums.log_sum.high.part[i] + rest) + (a.part[i] - a.part[i]);
    const F64 beside = select(t.part[i] == a.part[i], sums.others.part[i], sums.whole.part[i] - e.part[i]);
    of_label.part[i] = -factor.part[i] * beside / sums.whole.part[i] + (a.part[i] - a.part[i]);
  }
  if (gradient) {
    weigh(z, count, factor, sums.whole, maximum);
    const Vec<C> replaced = narrow(of_label);
    for (int r = 0; r < kRows; ++r) z.at(label[r])[r] = replaced[r];
  }
  return loss;
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

template <class T>
void softmax_few(const RowsCall& call, int64_t begin, int64_t end) {
  const Rows<T> rows(call);
  const int count = int(rows.count);
  blocks<T>(begin, end, [&](int n, int64_t i) INLINED {
    RowBlock<T> z;
    z.read(rows.first + i * count, n, count);
    softmax_block(z, count, constant<Compute<T>>(1));
    z.write(rows.out + i * count, n, count);
  });
}

template <class T>
void log_softmax_few(const RowsCall& call, int64_t begin, int64_t end) {
  const Rows<T> rows(call);
  const int count = int(rows.count);
  blocks<T>(begin, end, [&](int n, int64_t i) INLINED {
    RowBlock<T> z;
    z.read(rows.first + i * count, n, count);
    log_softmax_block(z, count);
    z.write(rows.out + i * count, n, count);
  });
}

template <class T>
void logsumexp_few(const RowsCall& call, int64_t begin, int64_t end) {
  const Rows<T> rows(call);
  const int count = int(rows.count);
  blocks<T>(begin, end, [&](int n, int64_t i) INLINED {
    RowBlock<T> z;
    z.read(rows.first + i * count, n, count);
    store_rows(rows.out + i, n, logsumexp_block(z, count));
  });
}

template <class T>
void logsumexp_vjp_few(const RowsCall& call, int64_t begin, int64_t end) {
  const Rows<T> rows(call);
  const int count = int(rows.count);
  blocks<T>(begin, end, [&](int n, int64_t i) INLINED {
    RowBlock<T> z;
    z.read(rows.first + i * count, n, count);
    softmax_block(z, count, per_row(load(rows.second + i, n)));
    z.write(rows.out + i * count, n, count);
  });
}

template <class T>
void softmax_vjp_few(const RowsCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  const Rows<T> rows(call);
  const int count = int(rows.count);
  blocks<T>(begin, end, [&](int n, int64_t i) INLINED {
    RowBlock<T> p, g;
    p.read(rows.first + i * count, n, count);
    g.read(rows.second + i * count, n, count);
    Sum<C> sum;
    for (int k = 0; k < count; ++k) sum.add_product(p.lanes[k], g.lanes[k]);
    const Vec<C> mean = narrow(lane_sums(sum).high);
    for (int k = 0; k < count; ++k) p.lanes[k] *= g.lanes[k] - mean;
    p.write(rows.out + i * count, n, count);
  });
}

template <class T>
void log_softmax_vjp_few(const RowsCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  const Rows<T> rows(call);
  const int count = int(rows.count);
  blocks<T>(begin, end, [&](int n, int64_t i) INLINED {
    RowBlock<T> q, g;
    q.read(rows.first + i * count, n, count);
    g.read(rows.second + i * count, n, count);
    Sum<C> sum;
    for (int k = 0; k < count; ++k) sum.add(g.lanes[k]);
    const Vec<C> total = narrow(lane_sums(sum).high);
    for (int k = 0; k < count; ++k) q.lanes[k] = fma(-exp(q.lanes[k]), total, g.lanes[k]);
    q.write(rows.out + i * count, n, count);
  });
}

template <class T>
double cross_entropy_few(const CrossEntropyCall& call, int64_t begin, int64_t end) {
  double total = 0;
  using C = Compute<T>;
  constexpr int kRows = RowBlock<T>::kRows;
  const int count = int(call.n_classes);
  blocks<T>(begin, end, [&](int n, int64_t i) INLINED {
    RowBlock<T> z;
    z.read((const T*)call.logits + i * count, n, count);
    int label[kRows] = {};
    double weight[kRows] = {}, factor[kRows] = {}, losses[kRows];
    for (int r = 0; r < n; ++r) {
      weight[r] = row_weight(call, i + r);
      if (weight[r] == 0) continue;
      label[r] = int(call.labels[i + r]);
      if (call.class_weight) factor[r] = call.class_weight[label[r]] * weight[r];
      else factor[r] = weight[r];
    }
    PerRow<C> factors;
    __builtin_memcpy(&factors, factor, sizeof factors);
    for (F64& part : factors.part) part *= splat(call.gradient_factor);
    const PerRow<C> loss = label_block(z, count, label, factors, call.out != nullptr);
    __builtin_memcpy(losses, &loss, sizeof losses);
    for (int r = 0; r < n; ++r) {
      const bool nothing = weight[r] == 0 || (factor[r] == 0 && losses[r] == kInf);
      total += put_loss(call, i + r, nothing ? 0 : factor[r] * losses[r]);
      if (weight[r] == 0)
        for (int k = 0; k < count; ++k) z.at(k)[r] = 0;
    }
    if (call.out) z.write((T*)call.out + i * count, n, count);
  });
  return total;
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
