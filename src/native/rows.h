// Rows of more than a few classes. A batch of them is walked three times: the largest logits, the exponentials
// with their sums, the results.
#pragma once

#include "batch.h"

namespace crossent::CROSSENT_ISA {
namespace {

template <class T, class KeptRow>
INLINE void scale_batch(const Batch<T>& batch, T* out, bool streamed, KeptRow kept, const RowScale<Compute<T>>& scale) {
  using C = Compute<T>;
  const ByRow<C> highs(scale.high), lows(scale.low);
  for (int r = 0; r < batch.rows; ++r) {
    const C* from = kept(r);
    const Vec<C> high = highs[r], low = lows[r];
    sweep_into(out + r * batch.count, batch.count, streamed,
               [&](int64_t k, auto n) INLINED { return multiply(load(from + k, n), high, low); });
  }
}

// The last walk over a row whose exponentials found no room: they are computed again.
template <class T, class Exponential>
INLINE void scale_again(const Batch<T>& batch, T* out, bool streamed, const RowScale<Compute<T>>& scale, Vec<Compute<T>> maximum,
                        Exponential exponential) {
  using C = Compute<T>;
  const PowerShift<C> shift(maximum);
  const ByRow<C> highs(scale.high), lows(scale.low), subtracted(shift.subtracted), exponent(shift.exponent);
  const Vec<C> high = highs[0], low = lows[0], s = subtracted[0], power = exponent[0];
  sweep_into(out, batch.count, streamed, [&](int64_t k, auto n) INLINED {
    return multiply(exponential(load(batch.z + k, n) - s, power), high, low);
  });
}

// out = scale * exponentials.
template <class T>
INLINE void weigh_batch(const Batch<T>& batch, T* out, Kept<T>& kept, Vec<Compute<T>> maximum,
                        const RowScale<Compute<T>>& scale) {
  using V = Vec<Compute<T>>;
  const auto rows = kept.rows(out);
  if (rows(0))
    scale_batch(batch, out, kept.streamed, rows, scale);
  else
    scale_again(batch, out, kept.streamed, scale, maximum, [](V x, V power) INLINED { return exp_quick(x, power); });
}

template <class T>
INLINE void softmax_of_batch(const Batch<T>& batch, T* out, Kept<T>& kept, const PerRow<Compute<T>>& factor) {
  using C = Compute<T>;
  const Vec<C> maximum = maxima(batch);
  const Pair<PerRow<C>> sum = keep_whole(batch, out, kept, maximum);
  weigh_batch(batch, out, kept, maximum, scale_of<C>(factor, sum, maximum));
}

// ---------------------------------------------------------------- rows begin ... end of a call

template <class T>
void softmax_rows(const RowsCall& call, int64_t begin, int64_t end) {
  Kept<T> kept(call.n_classes, call.streamed);
  batches((const T*)call.first, call.n_classes, begin, end, [&](const Batch<T>& batch, int64_t i) INLINED {
    softmax_of_batch(batch, (T*)call.out + i * call.n_classes, kept, constant<Compute<T>>(1));
  });
}

template <class T>
void logsumexp_vjp_rows(const RowsCall& call, int64_t begin, int64_t end) {
  Kept<T> kept(call.n_classes, call.streamed);
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
    const T* expected = call.streamed ? nullptr : (T*)call.out + i * batch.count;
    const Pair<Vec<C>> lse = lse_of(maximum, log_sum_batch(batch, expected, maximum));
    const ByRow<C> highs(lse.high + (maximum - maximum)), lows(lse.low);
    for (int r = 0; r < batch.rows; ++r) {
      const Vec<C> high = highs[r], low = lows[r];
      sweep_into((T*)call.out + (i + r) * batch.count, batch.count, call.streamed, [&](int64_t k, auto n) INLINED {
        return log_probability<C>(load(batch.row(r) + k, n), high, low);
      });
    }
  });
}

template <class T>
void logsumexp_rows(const RowsCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  batches((const T*)call.first, call.n_classes, begin, end, [&](const Batch<T>& batch, int64_t i) INLINED {
    const Vec<C> maximum = maxima(batch);
    Vec<C> lse = lse_of(maximum, log_sum_batch(batch, (T*)nullptr, maximum)).high;
    for (int r = 0; r < batch.rows; ++r)
      if (!is_finite(maximum[r])) lse[r] = row_has_nan(batch.row(r), batch.count) ? C(kNaN) : maximum[r];
    store((T*)call.out + i, batch.rows, lse);
  });
}

template <class T>
double cross_entropy_rows(const CrossEntropyCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  Kept<T> kept(call.n_classes, call.streamed);
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
    const RowSums<C> sums =
        out ? keep_parted(batch, out, kept, maximum) : log_sum_batch(batch, out, maximum);
    if (out) weigh_batch(batch, out, kept, maximum, scale_of<C>(factor, sums.whole, maximum));
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
