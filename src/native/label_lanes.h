// Cross-entropy with labels of as many rows as there are lanes: one lane a row.
#pragma once

#include "pairs.h"
#include "row_lanes.h"

namespace crossent::CROSSENT_ISA {
namespace {

// Labels and factors of a block of rows; an absent row has factor 0.
template <class C>
struct LabelLanes {
  static constexpr int kRows = kLanes<C>, kWide = kLanes<double>;
  Mask<C> label;
  bool weighted;
  Mask<C> absent;            // this and the next two only where weighted
  PerRow<C> weight, factor;  // of the loss
  Pair<Vec<C>> gradient_factor;

  INLINE LabelLanes(const CrossEntropyCall& call, int64_t first, int rows) {
    int64_t labels[kRows] = {};
    const int64_t* from = call.labels + first;
    if (rows < kRows) {
      for (int r = 0; r < rows; ++r) labels[r] = from[r];
      from = labels;
    }
    for (int i = 0; i < PerRow<C>::kParts; ++i) put_part(label, i, load_bits<I64>(from + i * kWide));
    weighted = call.row_weight || call.class_weight;
    if (!weighted) {
      PerRow<C> all;
      for (F64& part : all.part) part = splat(call.gradient_factor);
      gradient_factor = pair_of(all);
      return;
    }
    double weights[kRows] = {}, factors[kRows] = {};
    for (int r = 0; r < rows; ++r) {
      weights[r] = call.row_weight ? call.row_weight[first + r] : 1;
      if (weights[r] == 0) continue;  // whatever its label is, it is not read
      factors[r] = call.class_weight ? call.class_weight[call.labels[first + r]] * weights[r] : weights[r];
    }
    __builtin_memcpy(&weight, weights, sizeof weight);
    __builtin_memcpy(&factor, factors, sizeof factor);
    PerRow<C> of_gradient = factor;
    for (int i = 0; i < PerRow<C>::kParts; ++i) {
      of_gradient.part[i] *= splat(call.gradient_factor);
      put_part(absent, i, weight.part[i] == 0);
    }
    gradient_factor = pair_of(of_gradient);
  }

  // Stores the losses where they are wanted; returns their sums, lane by lane.
  INLINE F64 put(const CrossEntropyCall& call, int64_t first, int rows, PerRow<C> loss) const {
    F64 total{};
    for (int i = 0; i < PerRow<C>::kParts; ++i) {
      F64& part = loss.part[i];
      if (weighted) {
        const I64 nothing = (weight.part[i] == 0) | ((factor.part[i] == 0) & (part == kInf));
        part = select(nothing, F64{}, factor.part[i] * part);
      }
      const int left = rows - i * kWide;
      if (left < kWide) part = keep(left, part, F64{});
      if (call.loss && left > 0) store_some(call.loss + first + i * kWide, left, part);
      total += part;
    }
    return total;
  }

 private:
  INLINE static void put_part(I64& all, int, I64 part) { all = part; }
  INLINE static void put_part(I32& all, int i, I64 part) {
    typedef int32_t Half __attribute__((vector_size(kBytes / 2)));
    const Half half = __builtin_convertvector(part, Half);
    __builtin_memcpy((char*)&all + i * sizeof half, &half, sizeof half);
  }
  INLINE static void store_some(double* to, int n, F64 x) {
    if (n >= kWide)
      store(to, Full{}, x);
    else
      store(to, n, x);
  }
};

// Loss of every row, and its gradient in place of the logits.
//
// With B the sum of exp(z - maximum) over the classes other than the label t: E = (a - z_t) + log(B + e_t)
// and G_t = -B / (B + e_t). Nothing cancels: the logarithm is that of 1 + B where t is largest.
template <class V, class C = Element<V>>
INLINE PerRow<C> label_lanes(V* z, int count, const LabelLanes<C>& given, bool gradient) {
  V maximum = z[0];
  for (int k = 1; k < count; ++k) maximum = larger(z[k], maximum);
  V labelled{}, own{};
  const Pair<V> beside = sum_of<V>(count, [&](int k) INLINED {
    const Mask<C> is_label = given.label == k;
    const V x = z[k], e = exp_fitting(two_sum(x, -maximum));
    labelled = select(is_label, x, labelled);
    own = select(is_label, e, own);
    z[k] = e;
    return select(is_label, V{}, e);
  });
  const V one = splat(C(1)), spoils = maximum - maximum;
  const Mask<C> largest = labelled == maximum;
  const Pair<V> below =
      two_sum(beside.high - select(largest, V{}, one), beside.low + select(largest, V{}, own));
  const Pair<V> log_sum = log1p_exactly(below.high, below.low), distance = two_sum(maximum, -labelled);
  const V rest = zero_if_nan(distance.low) + log_sum.low + spoils;
  const PerRow<C> loss = wide_sum(distance.high, log_sum.high, rest);
  if (!gradient) return loss;
  const Pair<V> sum = two_sum(beside.high, own);
  const Pair<V> scale = times(given.gradient_factor, reciprocal(Pair<V>{sum.high, sum.low + beside.low}));
  const V high = scale.high + spoils, low = zero_if_nan(scale.low);
  const V of_label = -fma(beside.low, high, multiply(beside.high, high, low));
  for (int k = 0; k < count; ++k) z[k] = select(given.label == k, of_label, multiply(z[k], high, low));
  if (given.weighted)
    for (int k = 0; k < count; ++k) z[k] = select(given.absent, V{}, z[k]);
  return loss;
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
