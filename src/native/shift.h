// How the exponentials of a row are kept in range.
#pragma once

#include "exp.h"
#include "sweep.h"

namespace crossent::CROSSENT_ISA {
namespace {

// exp(z) 2^-k with k = floor(maximum / ln 2): no subtraction, so nothing of z is rounded away. Beyond
// `direct` the maximum is subtracted, which is exact for every number whose exponential is not 0.
// One row (all lanes alike), or one row a lane.
template <class C>
struct PowerShift {
  Vec<C> subtracted, exponent;

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
template <class C>
INLINE Pair<PerRow<C>> top_exponential(const PowerShift<C>& shift, Vec<C> maximum) {
  const PerRow<C> x = per_row(maximum - shift.subtracted), k = per_row(shift.exponent);
  Pair<PerRow<C>> top{};
  for (int i = 0; i < PerRow<C>::kParts; ++i) {
    const Reduced<F64> reduced = reduce(x.part[i], None{});
    const F64 n = reduced.exponent - k.part[i];  // 0 or 1, but for a rounding
    if constexpr (sizeof(C) == 8) {
      const Pair<F64> value = reduced.exponential_exactly();
      top.high.part[i] = value.high * power_of_two(n);
      top.low.part[i] = value.low * power_of_two(n);
    } else {
      top.high.part[i] = reduced.exponential() * power_of_two(n);
    }
  }
  return top;
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
