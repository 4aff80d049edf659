// How the exponentials of a row are kept in range.
#pragma once

#include "exp_table.h"
#include "sweep.h"

namespace crossent::CROSSENT_ISA {
namespace {

// Exponentials that fall below the normal numbers cost a hundred times what others do. Those of float32 are 2^26
// times as large, so that all of them are normal by which a result differs from 0, but where a factor is so small
// that what they are to be multiplied by would not be.
template <class C>
INLINE Vec<C> headroom() {
  return splat(ExpConstants<C>::headroom);
}
template <class C>
INLINE Vec<C> headroom(Vec<C> factor) {
  return select(absolute(factor) < ExpConstants<C>::least_factor, Vec<C>{}, headroom<C>());
}

template <class V>
INLINE Scaling<V> scaling(V headroom) {
  return {-headroom, splat(ExpConstants<Element<V>>::lowest) + headroom};
}

// log(1 + x 2^-headroom)
INLINE Pair<F64> log_one_and(Pair<F64> x, F64) { return log1p_exactly(x.high, x.low); }
INLINE Pair<F32> log_one_and(Pair<F32> x, F32 headroom) {
  const F32 unit = power_of_two(-headroom);
  const I32 tiny = x.high * unit < splat(0x1p-60f);  // its own logarithm: what it rounds off is not to be subnormal
  if (count_equal(select(tiny, splat(1.0f), F32{}), F32{}) == kLanes<float>)
    return log1p_exactly(x.high * unit, x.low * unit);
  const Pair<F32> value = log1p_exactly(select(tiny, F32{}, x.high) * unit, select(tiny, F32{}, x.low) * unit);
  return {select(tiny, x.high * unit, value.high), value.low};
}

// exp(z) 2^-k with k = floor(maximum / ln 2): no subtraction, so nothing of z is rounded away. Beyond
// `direct` the maximum is subtracted, which is exact for every number whose exponential is not 0. k is less by the
// `headroom`.
// One row (all lanes alike), or one row a lane.
template <class C>
struct PowerShift {
  Vec<C> subtracted;
  Scaling<Vec<C>> power;

  INLINE PowerShift() : subtracted{}, power{{}, splat(ExpConstants<C>::lowest)} {}
  INLINE explicit PowerShift(C maximum) : PowerShift(splat(maximum), Vec<C>{}) {}
  INLINE PowerShift(Vec<C> maximum, Vec<C> headroom) {
    using K = ExpConstants<C>;
    const Mask<C> direct = absolute(maximum) <= K::direct;
    const Vec<C> top = select(direct, maximum, Vec<C>{});
    subtracted = select(direct, Vec<C>{}, maximum);
    const Vec<C> k = (top * splat(K::log2e) - splat(C(0.5)) + splat(K::rounder)) - splat(K::rounder);
    power = {k - headroom, splat(K::lowest) + headroom};
  }
  INLINE Vec<C> operator()(Vec<C> z) const { return exp_shifted(z - subtracted, None{}, power); }
};

// So far from 0 numbers are near it: their exponentials are normal numbers, shifted or not.
constexpr int kNearest = 32;

// The largest and the least of the numbers of a row.
template <class V>
struct Range {
  V most, least;
  INLINE Range() {}
  INLINE explicit Range(V first) : most(first), least(first) {}
  INLINE void add(V x) {
    most = larger(x, most);
    least = smaller(x, least);
  }
  INLINE Mask<Element<V>> is_near() const {
    const V bound = splat(Element<V>(kNearest));
    return (most <= bound) & (least >= -bound);
  }
};

// For how many batches or blocks to come numbers are not expected to be near 0.
struct Caution {
  int batches = 0;
  INLINE bool take() {
    batches = 8;
    return true;
  }
  INLINE bool ends() { return batches == 0 || batches-- == 0; }
};

// The exponential of one maximal class of each row, high + low to twice the precision of C.
INLINE Pair<PerRow<double>> top_exponential(const PowerShift<double>& shift, F64 maximum) {
  const Reduced<F64> reduced = reduce(maximum - shift.subtracted, None{});
  const F64 scale = power_of_two(reduced.exponent - shift.power.exponent);  // 2^0 or 2^1, but for a rounding
  const Pair<F64> value = reduced.exponential_exactly();
  return {{{value.high * scale}}, {{value.low * scale}}};
}
INLINE Pair<PerRow<float>> top_exponential(const PowerShift<float>& shift, F32 maximum) {
  const Pair<F32> value = exp_pair(Pair<F32>{maximum - shift.subtracted, F32{}}, shift.power);
  PerRow<float> top = per_row(value.high);
  const PerRow<float> low = per_row(value.low);
  for (int i = 0; i < 2; ++i) top.part[i] = (top.part[i] + low.part[i]) * splat(double(kUnit));
  return {top, {}};
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
