// Cross-entropy with labels of as many rows as there are lanes: one lane a row.
#pragma once

#include "pairs.h"
#include "row_lanes.h"

namespace crossent::CROSSENT_ISA {
namespace {

template <class C>
INLINE Mask<C> narrow_integers(const I64* parts) {
  if constexpr (sizeof(C) == 8)
    return parts[0];
  else
    return whole_of<I32>(__builtin_convertvector(parts[0], I32Half), __builtin_convertvector(parts[1], I32Half));
}

// Labels and factors of a block of rows; an absent row has factor 0.
template <class C>
struct LabelLanes {
  static constexpr int kRows = kLanes<C>, kWide = kLanes<double>;
  Mask<C> label;
  bool weighted;
  Mask<C> absent;            // this and the next two only where weighted
  PerRow<C> weight, factor;  // of the loss
  Pair<Vec<C>> gradient_factor;

  // `of_all` is the gradient's factor where nothing has a weight.
  INLINE void read(const CrossEntropyCall& call, int64_t first, int rows, Pair<Vec<C>> of_all) {
    int64_t labels[kRows] = {};
    const int64_t* from = call.labels + first;
    if (rows < kRows) {
      for (int r = 0; r < rows; ++r) labels[r] = from[r];
      from = labels;
    }
    I64 parts[PerRow<C>::kParts];
    for (int i = 0; i < PerRow<C>::kParts; ++i) parts[i] = load_bits<I64>(from + i * kWide);
    label = narrow_integers<C>(parts);
    weighted = call.row_weight || call.class_weight;
    if (!weighted) {
      gradient_factor = of_all;
      return;
    }
    double weights[kRows] = {}, factors[kRows] = {};
    for (int r = 0; r < rows; ++r) {
      weights[r] = call.row_weight ? call.row_weight[first + r] : 1;
      if (weights[r] == 0) continue;  // whatever its label is, it is not read
      factors[r] = call.class_weight ? call.class_weight[label_of(call, first + r)] * weights[r] : weights[r];
    }
    __builtin_memcpy(&weight, weights, sizeof weight);
    __builtin_memcpy(&factor, factors, sizeof factor);
    PerRow<C> of_gradient = factor;
    for (int i = 0; i < PerRow<C>::kParts; ++i) {
      of_gradient.part[i] *= splat(call.gradient_factor);
      parts[i] = weight.part[i] == 0;
    }
    absent = narrow_integers<C>(parts);
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
  INLINE static void store_some(double* to, int n, F64 x) {
    if (n >= kWide)
      store(to, Full{}, x);
    else
      store(to, n, x);
  }
};

// The logits of the labelled class t and the sums of a row: B of exp(z - maximum) over the other classes, and
// e_t, both times 2^room. Loss E = (maximum - z_t) + log(B + e_t), gradient G_k = p_k and G_t = -B / (B + e_t):
// nothing cancels, for the logarithm is that of 1 + B where t is largest.
template <class V>
struct LabelSums {
  V maximum, room, labelled{}, own{};
  V least;  // of the exponentials
  Pair<V> beside;
  using C = Element<V>;

  // The exponentials take the place of the logits.
  template <class Expect>
  INLINE void sum_up(V* z, int count, Mask<C> label, Expect expect) {
    const Scaling<V> power = scaling(room);
    least = power_of_two(room);
    V of_label{}, its_exponential{};
    beside = sum_of<V>(count, [&](int k) INLINED {
      expect(k);
      const Mask<C> is_label = label == k;
      const V x = z[k], e = exp_pair(two_sum(x, -maximum), power).high;
      of_label = select(is_label, x, of_label);
      its_exponential = select(is_label, e, its_exponential);
      z[k] = e;
      least = smaller(e, least);
      return select(is_label, V{}, e);
    });
    labelled = of_label;
    own = its_exponential;
  }
  INLINE V spoiled() const { return maximum - maximum; }
  INLINE PerRow<C> loss() const {
    const Mask<C> largest = labelled == maximum;
    const Pair<V> others = two_sum(beside.high - select(largest, V{}, power_of_two(room)),
                                   beside.low + select(largest, V{}, own));
    const Pair<V> log_sum = log_one_and(others, room), distance = two_sum(maximum, -labelled);
    return wide_sum(distance.high, log_sum.high, zero_if_nan(distance.low) + log_sum.low + spoiled());
  }
  INLINE Pair<V> scale(Pair<V> factor) const {
    const Pair<V> sum = two_sum(beside.high, own);
    const Pair<V> scale = times(factor, reciprocal(Pair<V>{sum.high, sum.low + beside.low}));
    return {scale.high + spoiled(), scale.low};
  }
  INLINE void gradient(V* z, int count, const LabelLanes<C>& given, Pair<V> scale) const {
    weigh(row_scale(scale), least, [&](auto times) INLINED {
      const V of_label = -times(beside.high);
      for (int k = 0; k < count; ++k) z[k] = select(given.label == k, of_label, times(z[k]));
    });
    if (given.weighted)
      for (int k = 0; k < count; ++k) z[k] = select(given.absent, V{}, z[k]);
  }
};

}  // namespace
}  // namespace crossent::CROSSENT_ISA
