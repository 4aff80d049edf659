// Rows of a few classes: one lane a row, so that no lane is empty and nothing is summed across lanes.
//
// The formulas are those of rows.h. A row's place among the lanes changes nothing.
#pragma once

#include "derivatives.h"

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
  for (int k = 0; k < count; ++k) best = larger(block.lanes[k], best);
  return best;
}

template <class T>
INLINE void scale_block(RowBlock<T>& z, int count, const RowScale<Compute<T>>& scale) {
  for (int k = 0; k < count; ++k) z.lanes[k] = multiply(z.lanes[k], scale.high, scale.low);
}

// Exponentials in place of the logits, and their sums without the maximal classes.
template <class T>
INLINE RowSums<Compute<T>> sum_block(RowBlock<T>& z, int count, Vec<Compute<T>> maximum) {
  using C = Compute<T>;
  const PowerShift<C> shift(maximum);
  Sum<C> sum;
  Mask<C> ties{};
  for (int k = 0; k < count; ++k) {
    const Mask<C> tie = z.lanes[k] == maximum;
    ties -= tie;
    const Vec<C> x = z.lanes[k] - shift.subtracted;
    z.lanes[k] = sizeof(C) == 4 ? exp_close(x, shift.exponent) : exp_fitting(x, shift.exponent);
    sum.add(select(tie, Vec<C>{}, z.lanes[k]));
  }
  return row_sums(shift, maximum, lane_sums(sum), __builtin_convertvector(ties, Vec<C>));
}

// softmax times a factor in place of the logits.
template <class T>
INLINE void softmax_block(RowBlock<T>& z, int count, const PerRow<Compute<T>>& factor) {
  using C = Compute<T>;
  const Vec<C> maximum = largest(z, count);
  if constexpr (sizeof(C) == 8) {
    scale_block(z, count, scale_of(factor, sum_block(z, count, maximum).whole, maximum));
  } else {  // better exponentials cost less here than a largest class apart from the others
    const PowerShift<C> shift(maximum);
    Sum<C> sum;
    for (int k = 0; k < count; ++k) {
      z.lanes[k] = shift(z.lanes[k]);
      sum.add(z.lanes[k]);
    }
    scale_block(z, count, scale_of(factor, lane_sums(sum), maximum));
  }
}

template <class T>
INLINE void log_softmax_block(RowBlock<T>& z, int count) {
  using C = Compute<T>;
  const Vec<C> maximum = largest(z, count);
  RowBlock<T> e = z;
  const Pair<Vec<C>> lse = lse_of(maximum, sum_block(e, count, maximum));
  const Vec<C> high = lse.high + (maximum - maximum);
  for (int k = 0; k < count; ++k) z.lanes[k] = log_probability<C>(z.lanes[k], high, lse.low);
}

template <class T>
INLINE Vec<Compute<T>> logsumexp_block(RowBlock<T>& z, int count) {
  using C = Compute<T>;
  const Vec<C> maximum = largest(z, count);
  Mask<C> nan{};
  for (int k = 0; k < count; ++k) nan |= z.lanes[k] != z.lanes[k];
  const Vec<C> lse = lse_of(maximum, sum_block(z, count, maximum)).high;
  return select(nan, splat(C(kNaN)), select(maximum - maximum == 0, lse, maximum));
}

// Loss of every row, and its gradient in place of the logits.
template <class T>
INLINE PerRow<Compute<T>> label_block(RowBlock<T>& z, int count, const LabelledRows<Compute<T>>& given,
                                      double gradient_factor, bool gradient) {
  using C = Compute<T>;
  constexpr int kRows = RowBlock<T>::kRows;
  const PerRow<C> factor = given.factors(gradient_factor);
  const Vec<C> maximum = largest(z, count);
  C labelled[kRows], own[kRows];
  for (int r = 0; r < kRows; ++r) labelled[r] = z.at(given.label[r])[r];
  const RowSums<C> sums = sum_block(z, count, maximum);
  for (int r = 0; r < kRows; ++r) own[r] = z.at(given.label[r])[r];
  const LabelResult<C> result = label_result(maximum, load(labelled, Full{}), load(own, Full{}), sums, factor);
  if (gradient) {
    scale_block(z, count, scale_of<C>(factor, sums.whole, maximum));
    for (int r = 0; r < kRows; ++r) z.at(given.label[r])[r] = result.gradient[r];
  }
  return result.loss;
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
  const int count = int(call.n_classes);
  double total = 0;
  blocks<T>(begin, end, [&](int n, int64_t i) INLINED {
    RowBlock<T> z;
    z.read((const T*)call.logits + i * count, n, count);
    const LabelledRows<Compute<T>> given(call, i, n);
    const auto loss = label_block(z, count, given, call.gradient_factor, call.out != nullptr);
    total += given.put(call, i, n, loss);
    if (!call.out) return;
    for (int r = 0; r < n; ++r)
      if (given.weight[r] == 0)
        for (int k = 0; k < count; ++k) z.at(k)[r] = 0;
    z.write((T*)call.out + i * count, n, count);
  });
  return total;
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
