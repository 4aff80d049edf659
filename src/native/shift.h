// How the exponentials of a row are kept in range.
#pragma once

#include "exp_table.h"
#include "sweep.h"

namespace crossent::CROSSENT_ISA {
namespace {

// exp(z) 2^-k with k = floor(maximum / ln 2): no subtraction, so nothing of z is rounded away. Beyond
// `direct` the maximum is subtracted, which is exact for every number whose exponential is not 0.
// One row (all lanes alike), or one row a lane.
template <class C>
struct PowerShift {
  Vec<C> subtracted, exponent;

  INLINE PowerShift() : subtracted{}, exponent{} {}
  INLINE explicit PowerShift(C maximum) : PowerShift(splat(maximum)) {}
  INLINE explicit PowerShift(Vec<C> maximum) {
    using K = ExpConstants<C>;
    const Mask<C> direct = absolute(maximum) <= K::direct;
    const Vec<C> top = select(direct, maximum, Vec<C>{});
    subtracted = select(direct, Vec<C>{}, maximum);
    exponent = (top * splat(K::log2e) - splat(C(0.5)) + splat(K::rounder)) - splat(K::rounder);
  }
  INLINE Vec<C> operator()(Vec<C> z) const { return exp_shifted(z - subtracted, None{}, exponent); }
};

// The exponential of one maximal class of each row, high + low to twice the precision of C.
INLINE Pair<PerRow<double>> top_exponential(const PowerShift<double>& shift, F64 maximum) {
  const Reduced<F64> reduced = reduce(maximum - shift.subtracted, None{});
  const F64 scale = power_of_two(reduced.exponent - shift.exponent);  // 2^0 or 2^1, but for a rounding
  const Pair<F64> value = reduced.exponential_exactly();
  return {{{value.high * scale}}, {{value.low * scale}}};
}
INLINE Pair<PerRow<float>> top_exponential(const PowerShift<float>& shift, F32 maximum) {
  const Pair<F32> value = exp_pair(Pair<F32>{maximum - shift.subtracted, F32{}}, shift.exponent);
  PerRow<float> top = per_row(value.high);
  const PerRow<float> low = per_row(value.low);
  for (int i = 0; i < 2; ++i) top.part[i] = (top.part[i] + low.part[i]) * splat(double(kUnit));
  return {top, {}};
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
