// Exponentials that are only ever divided by each other: those of a row's softmax or of its sum.
//
// With AVX-512 those of float32 are 2^n exp(r) with n a multiple of 1/16 and |r| <= ln(2) / 32: one shuffle reads
// the 16 powers from one vector, and half of the polynomial is not needed.
#pragma once

#include "exp.h"

namespace crossent::CROSSENT_ISA {
namespace {

// What the exponentials below are counted in. All 16 numbers of the table are within a seventh of an ulp of what
// they stand for where they are times this.
#if defined(__AVX512F__)
constexpr float kUnit = 0x1.067aa2p+0f;

INLINE F32 sixteen_powers() {
  return F32{0x1.067aa2p+0f, 0x1.121998p+0f, 0x1.1e3c44p+0f, 0x1.2ae87cp+0f,
             0x1.382456p+0f, 0x1.45f62ep+0f, 0x1.5464a8p+0f, 0x1.6376b4p+0f,
             0x1.733390p+0f, 0x1.83a2cap+0f, 0x1.94cc4ap+0f, 0x1.a6b84ep+0f,
             0x1.b96f74p+0f, 0x1.ccfab8p+0f, 0x1.e16380p+0f, 0x1.f6b39ap+0f};
}
// exp(x) = low 2^floor(high) where `powers` are the sixteen, or all of them times a power of two.
INLINE Pair<F32> exp_by_table(F32 x, F32 powers) {
  const F32 rounder = splat(0x1.8p19f), m = fma(x, splat(ExpConstants<float>::log2e), rounder), n = m - rounder;
  const F32 r = fma(n, splat(0x1.05c610p-29f), fma(n, splat(-0x1.62e430p-1f), x));
  const F32 slope = fma(fma(splat(0x1.55559cp-3f), r, splat(0x1.00021ep-1f)), r, splat(1.0f));
  const F32 power = _mm512_maskz_permutexvar_ps(0xffff, (__m512i)m, powers);  // by the low bits of m: 16 n
  return {n, fma(power, slope * r, power)};
}
template <class Shift>
INLINE F32 exp_by_table(F32 x, Shift shift, F32 powers) {
  const Pair<F32> power = exp_by_table(x, powers);
  const F32 n = minus(power.high, shift);
  return _mm512_maskz_scalef_ps(_mm512_cmp_ps_mask(n, lowest_of<F32>(shift), _CMP_NLT_UQ), power.low, n);
}
#else
constexpr float kUnit = 1;
#endif

// The one that a softmax needs, and the one that sums under a logarithm do: their bound leaves float64 no ulp
// to spare.
template <class Shift>
INLINE F32 exp_for_softmax(F32 x, Shift shift) {
#if defined(__AVX512F__)
  return exp_by_table(x, shift, sixteen_powers());
#else
  return exp_quick(x, shift);
#endif
}
template <class Shift>
INLINE F64 exp_for_softmax(F64 x, Shift shift) {
  return exp_close(x, shift);
}
template <class Shift>
INLINE F32 exp_fitting(F32 x, Shift shift) {
  return exp_for_softmax(x, shift);
}
template <class Shift>
INLINE F64 exp_fitting(F64 x, Shift shift) {
  return exp_shifted(x, None{}, shift);
}

// Both where exp(x) is a normal number, to the same bits: `Fitting` or for a softmax.
template <bool Fitting, class V>
INLINE V exp_normal(V x) {
  constexpr bool kCareful = !kFused || (Fitting && sizeof(x[0]) == 8);
  Pair<V> power;
  if constexpr (kCareful) {
    const Reduced<V> reduced = reduce(x, None{});
    power = {reduced.exponent, reduced.exponential()};
  } else {
    power = exp_reduced<sizeof(x[0]) == 8>(x);
  }
#if defined(__AVX512F__)
  if constexpr (sizeof(x[0]) == 4) power = exp_by_table(x, sixteen_powers());
  return scale_by_power(power.low, power.high);
#else
  return power.low * power_of_two(power.high);
#endif
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
