// Softmax and its logarithms of rows of more than a few classes: their exponentials and sums, then the results.
#pragma once

#include "exponentials.h"

namespace crossent::CROSSENT_ISA {
namespace {

template <class T, class KeptRow>
INLINE void scale_batch(const Batch<T>& batch, T* out, bool streamed, KeptRow kept, bool near,
                        const RowScale<Compute<T>>& scale) {
  using C = Compute<T>;
  const ByRow<C> highs(scale.high), lows(scale.low);
  for (int r = 0; r < batch.rows; ++r) {
    const C* from = kept(r);
    const RowScale<C> by{highs[r], lows[r]};
    const auto put = [&](auto times) INLINED {
      sweep_into(out + r * batch.count, batch.count, streamed,
                 [&](int64_t k, auto n) INLINED { return times(load(from + k, n)); });
    };
    if (has_small(highs.lane[r], near))
      put(GradualScale<C>(by));
    else
      put([&](Vec<C> x) INLINED { return multiply(x, by.high, by.low); });
  }
}

// The last walk over a row whose exponentials found no room: they are computed again.
template <class T>
INLINE void scale_again(const Batch<T>& batch, T* out, bool streamed, const RowScale<Compute<T>>& scale,
                        const PowerShift<Compute<T>>& shift) {
  using C = Compute<T>;
  const ByRow<C> highs(scale.high), lows(scale.low), subtracted(shift.subtracted);
  const ByRow<C> exponent(shift.power.exponent), lowest(shift.power.lowest);
  const GradualScale<C> times(RowScale<C>{highs[0], lows[0]});
  const Vec<C> s = subtracted[0];
  const Scaling<Vec<C>> power{exponent[0], lowest[0]};
  sweep_into(out, batch.count, streamed, [&](int64_t k, auto n) INLINED {
    return times(exp_for_softmax(load(batch.z + k, n) - s, power));
  });
}

// out = scale * exponentials.
template <class T>
INLINE void weigh_batch(const Batch<T>& batch, T* out, Kept<T>& kept, const Exponentials<Compute<T>>& found,
                        const RowScale<Compute<T>>& scale) {
  const auto rows = kept.rows(out);
  if (rows(0))
    scale_batch(batch, out, kept.streamed, rows, found.near, scale);
  else
    scale_again(batch, out, kept.streamed, scale, found.shift);
}

template <class T>
INLINE void softmax_of_batch(const Batch<T>& batch, T* out, Kept<T>& kept, const PerRow<Compute<T>>& factor) {
  using C = Compute<T>;
  Exponentials<C> found(batch.rows, headroom<C>(narrow(factor)));
  RowScale<C> scale;
  do {
    keep_exponentials<true, ToScale>(batch, out, kept.expected(out), kept, found);
    const Pair<PerRow<C>> sum = with_exact_top(found.shift, found.maximum, found.top, found.sums.fold());
    scale = scale_of<C>(factor, sum, found.maximum);
  } while (found.near && !is_exact<C>(scale, factor, found.maximum, found.room, batch.rows) && kept.caution.take());
  weigh_batch(batch, out, kept, found, scale);
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
  Kept<T> kept(call.n_classes, false);
  batches((const T*)call.first, call.n_classes, begin, end, [&](const Batch<T>& batch, int64_t i) INLINED {
    Vec<C> maximum;
    const T* expected = call.streamed ? nullptr : (T*)call.out + i * batch.count;
    const RowSums<C> sums = log_sum_batch(batch, expected, kept, maximum);
    const Pair<Vec<C>> lse = lse_of(maximum, sums);
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
  Kept<T> kept(call.n_classes, false);
  batches((const T*)call.first, call.n_classes, begin, end, [&](const Batch<T>& batch, int64_t i) INLINED {
    Vec<C> maximum;
    const RowSums<C> sums = log_sum_batch(batch, (T*)nullptr, kept, maximum);
    Vec<C> lse = lse_of(maximum, sums).high;
    for (int r = 0; r < batch.rows; ++r)
      if (!is_finite(maximum[r])) lse[r] = row_has_nan(batch.row(r), batch.count) ? C(kNaN) : maximum[r];
    store((T*)call.out + i, batch.rows, lse);
  });
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
