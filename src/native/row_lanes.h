// What follows once the exponentials of some rows are summed: one lane a row, whatever walked the rows.
#pragma once

#include "kernels.h"
#include "pairs.h"
#include "shift.h"

namespace crossent::CROSSENT_ISA {
namespace {

INLINE bool is_finite(double x) { return x - x == 0; }

template <class C>
INLINE PerRow<C> constant(double x) {
  return per_row(Vec<C>{} + C(x));
}

// What a row's exponentials are multiplied by, high + low to twice the precision of C.
template <class C>
struct RowScale {
  Vec<C> high, low;
  INLINE Vec<C> operator()(Vec<C> x) const { return multiply(x, high, low); }
};

// x (high + low), x being an exponential or 0. A processor takes some hundred cycles for a product below the normal
// numbers: what is small is computed 2^80 times as large, and then rounded by a sum, in whose bits it stands.
template <class C>
struct GradualScale : RowScale<C> {
  INLINE GradualScale() {}
  INLINE explicit GradualScale(const RowScale<C>& scale) : RowScale<C>(scale) {}
};
template <>
struct GradualScale<float> : RowScale<float> {
  static constexpr float kSmall = 0x1p-96f;
  F32 bound;  // of exponentials whose products are small

  INLINE GradualScale() {}
  INLINE explicit GradualScale(const RowScale<float>& scale)
      : RowScale<float>(scale), bound(splat(kSmall) / absolute(scale.high)) {}
  INLINE F32 operator()(F32 x) const {
    const I32 small = (x < bound) & (x != 0);
    if (count_equal(select(small, splat(1.0f), F32{}), F32{}) == kLanes<float>) return multiply(x, high, low);
    const F32 times = splat(0x1p80f), least = splat(0x1p-46f);  // the least normal number, 2^80 times
    const I32 sign = (I32)high & INT32_MIN;
    const F32 product = multiply(select(small, x, F32{}), absolute(high) * times, (F32)((I32)low ^ sign) * times);
    const I32 below = product < least;
    const F32 normal = select(below, F32{}, product) * splat(0x1p-80f);
    const I32 gradual = (I32)(product + least) - (I32)least;
    const F32 value = (F32)(select(below, gradual, (I32)normal) | sign);
    return select(small, value, multiply(select(small, F32{}, x), high, low));
  }
};

// Whether exponentials that are `near` the others, as those without a shift are, may have small products.
INLINE bool has_small(float high, bool near) { return !near || !(__builtin_fabsf(high) * 0x1p-47f >= 0x1p-96f); }
INLINE bool has_small(double, bool) { return false; }

template <class V>
INLINE RowScale<Element<V>> row_scale(Pair<V> scale) {
  return {scale.high, zero_if_nan(scale.low)};
}

// One lane a row: put(times) with a scale as exponentials need it of which none is below `least`.
template <class C, class Put>
INLINE void weigh(const RowScale<C>& scale, Vec<C> least, Put put) {
  if constexpr (sizeof(C) == 4) {
    const Mask<C> small = least * absolute(scale.high) < splat(GradualScale<C>::kSmall);
    if (count_equal(select(small, splat(C(1)), Vec<C>{}), Vec<C>{}) != kLanes<C>) return put(GradualScale<C>(scale));
  }
  put(scale);
}

// factor / sum; NaN where the row has no finite maximum.
template <class C>
INLINE RowScale<C> scale_of(const PerRow<C>& factor, const Pair<PerRow<C>>& sum, Vec<C> maximum) {
  PerRow<C> high, low;
  for (int i = 0; i < PerRow<C>::kParts; ++i) high.part[i] = factor.part[i] / sum.high.part[i];
  const Vec<C> rounded = narrow(high) + (maximum - maximum);
  const PerRow<C> back = per_row(rounded);
  for (int i = 0; i < PerRow<C>::kParts; ++i) {
    F64 rest = high.part[i] - back.part[i];
    if constexpr (sizeof(C) == 8) {
      const F64 q = high.part[i], s = sum.high.part[i];
      const Pair<F64> product = two_product(q, s);
      rest = (((factor.part[i] - product.high) - product.low) - q * sum.low.part[i]) / s;
    }
    low.part[i] = select(rest - rest == 0, rest, F64{});
  }
  return {rounded, narrow(low)};
}

// Sums of a row's exponentials, all in the same power of two.
template <class C>
struct RowSums {
  Pair<PerRow<C>> top;     // one maximal class
  Pair<PerRow<C>> others;  // all but that one
  Pair<PerRow<C>> whole;
};

template <class C>
INLINE RowSums<C> row_sums(const Pair<PerRow<C>>& top, const Pair<PerRow<C>>& others) {
  RowSums<C> sums{top, others, {}};
  for (int i = 0; i < PerRow<C>::kParts; ++i) {
    const Pair<F64> whole = two_sum(top.high.part[i], others.high.part[i]);
    sums.whole.high.part[i] = whole.high;
    sums.whole.low.part[i] =
        select(whole.low == whole.low, whole.low + others.low.part[i] + top.low.part[i], F64{});
  }
  return sums;
}

// a + (b + c), where b may be infinite or NaN.
INLINE Pair<F64> added(F64 a, F64 b, F64 c) {
  const Pair<F64> sum = two_sum(a, b);
  const F64 low = sum.low + c;
  return {sum.high, select(low == low, low, F64{})};
}

// From the sum without any maximal class and their number.
template <class C>
INLINE RowSums<C> row_sums(const PowerShift<C>& shift, Vec<C> maximum, const Pair<PerRow<C>>& below,
                           Vec<C> ties) {
  const Pair<PerRow<C>> top = top_exponential(shift, maximum);
  const PerRow<C> more = per_row(ties - splat(C(1)));
  Pair<PerRow<C>> others;
  for (int i = 0; i < PerRow<C>::kParts; ++i) {
    const Pair<F64> tied = two_product(more.part[i], top.high.part[i]);
    const Pair<F64> sum = added(tied.high, below.high.part[i],
                                below.low.part[i] + (tied.low + more.part[i] * top.low.part[i]));
    others.high.part[i] = sum.high;
    others.low.part[i] = sum.low;
  }
  return row_sums(top, others);
}

// A sum of all classes in which one maximal class, summed as `rounded`, is replaced by its exact exponential.
template <class C>
INLINE Pair<PerRow<C>> with_exact_top(const PowerShift<C>& shift, Vec<C> maximum, Vec<C> rounded,
                                      const Pair<PerRow<C>>& sum) {
  const Pair<PerRow<C>> top = top_exponential(shift, maximum);
  const PerRow<C> was = per_row(rounded);
  Pair<PerRow<C>> whole{};
  for (int i = 0; i < PerRow<C>::kParts; ++i) {
    const F64 more = (top.high.part[i] - was.part[i]) + (sum.low.part[i] + top.low.part[i]);
    const Pair<F64> total = two_sum(sum.high.part[i], more);
    whole.high.part[i] = total.high;
    whole.low.part[i] = select(total.low == total.low, total.low, F64{});
  }
  return whole;
}

// log sum exp(z - maximum) = log1p(others / top): a confident row keeps its digits.
INLINE Pair<PerRow<float>> log_sum_of(const RowSums<float>& sums) {
  PerRow<float> ratio;
  for (int i = 0; i < 2; ++i) ratio.part[i] = sums.others.high.part[i] / sums.top.high.part[i];
  const Pair<F32> given = pair_of(ratio), log_sum = log1p_exactly(given.high, given.low);
  PerRow<float> value = per_row(log_sum.high);
  const PerRow<float> low = per_row(log_sum.low);
  for (int i = 0; i < 2; ++i) value.part[i] += low.part[i];
  return {value, {}};
}
INLINE Pair<PerRow<double>> log_sum_of(const RowSums<double>& sums) {
  const F64 top = sums.top.high.part[0], ratio = sums.others.high.part[0] / top;
  const Pair<F64> product = two_product(ratio, top);
  const F64 low = sums.others.low.part[0] - ratio * sums.top.low.part[0];
  const F64 rest = (((sums.others.high.part[0] - product.high) - product.low) + low) / top;
  const Pair<F64> value = log1p_exactly(ratio, select(rest == rest, rest, F64{}));
  return {{{value.high}}, {{value.low}}};
}

// l = a + log1p(...) of every row, high + low to twice the precision of C.
template <class C>
INLINE Pair<Vec<C>> lse_of(Vec<C> maximum, const RowSums<C>& sums) {
  const PerRow<C> a = per_row(maximum);
  const Pair<PerRow<C>> log_sum = log_sum_of(sums);
  PerRow<C> high, rest;
  Pair<F64> sum[PerRow<C>::kParts];
  for (int i = 0; i < PerRow<C>::kParts; ++i) {
    sum[i] = two_sum(a.part[i], log_sum.high.part[i]);
    sum[i].low += log_sum.low.part[i];
    high.part[i] = sum[i].high + sum[i].low;
  }
  const Vec<C> rounded = narrow(high);
  const PerRow<C> back = per_row(rounded);
  for (int i = 0; i < PerRow<C>::kParts; ++i)
    rest.part[i] = (sum[i].high - back.part[i]) + sum[i].low;
  return {rounded, narrow(rest)};
}

// q = z - l. Rounded twice, where z - l.high is not exact, and so within one ulp.
template <class C>
INLINE Vec<C> log_probability(Vec<C> z, Vec<C> lse_high, Vec<C> lse_low) {
  return (z - lse_high) - lse_low;
}

// ---------------------------------------------------------------- labels

// Labels were checked, but another thread may have written since: nothing outside the classes is touched.
INLINE int64_t label_of(const CrossEntropyCall& call, int64_t row) {
  const int64_t given = call.labels[row];
  return uint64_t(given) < uint64_t(call.n_classes) ? given : 0;
}

// Labels, weights and gradient factors of a few rows; an absent row has label 0 and factor 0.
template <class C>
struct LabelledRows {
  static constexpr int kRows = kLanes<C>;
  int64_t label[kRows] = {};
  double weight[kRows] = {}, factor[kRows] = {};

  INLINE LabelledRows(const CrossEntropyCall& call, int64_t first, int rows) {
    for (int r = 0; r < rows; ++r) {
      weight[r] = call.row_weight ? call.row_weight[first + r] : 1;
      if (weight[r] == 0) continue;  // whatever its label is, it is not read
      label[r] = label_of(call, first + r);
      factor[r] = call.class_weight ? call.class_weight[label[r]] * weight[r] : weight[r];
    }
  }
  INLINE PerRow<C> factors(double gradient_factor) const {
    PerRow<C> factors;
    __builtin_memcpy(&factors, factor, sizeof factors);
    for (F64& part : factors.part) part *= splat(gradient_factor);
    return factors;
  }
  // Stores the losses where they are wanted; returns their sum.
  INLINE double put(const CrossEntropyCall& call, int64_t first, int rows, const PerRow<C>& loss) const {
    double losses[kRows], total = 0;
    __builtin_memcpy(losses, &loss, sizeof losses);
    for (int r = 0; r < rows; ++r) {
      const bool nothing = weight[r] == 0 || (factor[r] == 0 && losses[r] == kInf);
      losses[r] = nothing ? 0 : factor[r] * losses[r];
      if (call.loss) call.loss[first + r] = losses[r];
      total += losses[r];
    }
    return total;
  }
};

// The sums of a row, and that of the classes other than the labelled one.
template <class C>
struct LabelledSums {
  RowSums<C> row;
  Pair<PerRow<C>> beside;
};

// From the latter: one maximal class, of which it has the exponential `rounded` unless that is the label, gets its
// exact one. `own` is the label's.
template <class C>
INLINE LabelledSums<C> labelled_sums(const PowerShift<C>& shift, Vec<C> maximum, Vec<C> rounded, Vec<C> labelled,
                                     Vec<C> own, const Pair<PerRow<C>>& beside) {
  const Pair<PerRow<C>> top = top_exponential(shift, maximum);
  const PerRow<C> a = per_row(maximum), t = per_row(labelled), was = per_row(rounded), e = per_row(own);
  Pair<PerRow<C>> others, exact;
  for (int i = 0; i < PerRow<C>::kParts; ++i) {
    const I64 largest = t.part[i] == a.part[i];
    const F64 high = beside.high.part[i], low = beside.low.part[i];
    const Pair<F64> instead = two_sum(e.part[i], -was.part[i]);
    const Pair<F64> sum = added(high, select(largest, F64{}, instead.high), select(largest, low, low + instead.low));
    others.high.part[i] = sum.high;
    others.low.part[i] = sum.low;
    const Pair<F64> mended = added(high, select(largest, F64{}, top.high.part[i] - was.part[i]),
                                   select(largest, low, low + top.low.part[i]));
    exact.high.part[i] = mended.high;
    exact.low.part[i] = mended.low;
  }
  return {row_sums(top, others), exact};
}

template <class C>
struct LabelResult {
  PerRow<C> loss;
  Vec<C> gradient;  // of the labelled class
};

// factor beside / whole
template <class C>
INLINE F64 label_gradient(const Pair<PerRow<C>>& whole, const Pair<PerRow<C>>& beside, int i, F64 factor) {
  const F64 sum = whole.high.part[i], high = beside.high.part[i], low = beside.low.part[i];
  if constexpr (sizeof(C) == 4) return factor / sum * (high + low);  // the quotient is that of the scale
  const Pair<F64> above = two_product(factor, high);
  const F64 quotient = above.high / sum;
  const Pair<F64> back = two_product(quotient, sum);
  const F64 above_low = above.low + factor * low;
  const F64 more = (((above.high - back.high) - back.low) + above_low - quotient * whole.low.part[i]) / sum;
  return quotient + select(more - more == 0, more, F64{});
}

// E = (a - z_t) + log1p(others);  G_t = -sum_{k != t} p_k. Nothing cancels.
template <class C>
INLINE LabelResult<C> label_result(Vec<C> maximum, Vec<C> labelled, const LabelledSums<C>& sums,
                                   const PerRow<C>& factor) {
  const PerRow<C> a = per_row(maximum), t = per_row(labelled);
  const Pair<PerRow<C>> log_sum = log_sum_of(sums.row);
  PerRow<C> loss, gradient;
  for (int i = 0; i < PerRow<C>::kParts; ++i) {
    const F64 spoiled = a.part[i] - a.part[i];
    const Pair<F64> distance = two_sum(a.part[i], -t.part[i]);
    F64 rest = distance.low + log_sum.low.part[i];
    rest = select(rest == rest, rest, F64{});  // an infinite distance has no rounding error
    loss.part[i] = distance.high + (log_sum.high.part[i] + rest) + spoiled;
    gradient.part[i] = -label_gradient<C>(sums.row.whole, sums.beside, i, factor.part[i]) + spoiled;
  }
  return {loss, narrow(gradient)};
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
