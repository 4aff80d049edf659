// Exponentials that are only ever divided by each other: those of a row's softmax or of its sum.
//
// With AVX-512 they are 2^n exp(r) with n a multiple of 1/16 and |r| <= ln(2) / 32: one shuffle reads the 16 powers
// from one vector of float32, two those of float64 and what they round off, and half of the polynomial is not needed.
#pragma once

#include "exp.h"

namespace crossent::CROSSENT_ISA {
namespace {

// What the exponentials of float32 are counted in. All 16 numbers of their table are within a seventh of an ulp of
// what they stand for where they are times this.
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
INLINE Pair<F32> exp_by_table(F32 x) { return exp_by_table(x, sixteen_powers()); }

// exp(x + residual) = (large + small) 2^floor(exponent) in float64, rounded little more than once by the sum.
struct Parts {
  F64 exponent, large, small;
};
template <class Residual>
INLINE Parts exp_parts(F64 x, Residual residual) {
  const F64 first{0x1.0000000000000p+0, 0x1.0b5586cf9890fp+0, 0x1.172b83c7d517bp+0, 0x1.2387a6e756238p+0,
                  0x1.306fe0a31b715p+0, 0x1.3dea64c123422p+0, 0x1.4bfdad5362a27p+0, 0x1.5ab07dd485429p+0};
  const F64 second{0x1.6a09e667f3bcdp+0, 0x1.7a11473eb0187p+0, 0x1.8ace5422aa0dbp+0, 0x1.9c49182a3f090p+0,
                   0x1.ae89f995ad3adp+0, 0x1.c199bdd85529cp+0, 0x1.d5818dcfba487p+0, 0x1.ea4afa2a490dap+0};
  const F64 first_rest{0x0.0000000000000p+0,   0x1.8a62e4adc610bp-54, -0x1.19041b9d78a76p-55, 0x1.9b07eb6c70573p-54,
                       0x1.6f46ad23182e4p-55,  0x1.ada0911f09ebcp-55, 0x1.d4397afec42e2p-56,  0x1.6324c054647adp-54};
  const F64 second_rest{-0x1.bdd3413b26456p-54, -0x1.41577ee04992fp-55, 0x1.6e9f156864b27p-54, 0x1.c7c46b071f2bep-56,
                        0x1.7a1cd345dcc81p-54,  0x1.11065895048ddp-55,  0x1.2ed02d75b3707p-55, -0x1.e9c23179c2893p-54};
  using K = ExpConstants<double>;
  const F64 rounder = splat(0x1.8p48), m = fma(x, splat(K::log2e), rounder), n = m - rounder;
  const F64 r = fma(n, splat(-K::ln2_low), plus(fma(n, splat(-K::ln2_high), x), residual)), r2 = r * r;
  const F64 a = fma(splat(0x1.5555555555556p-3), r, splat(0.5));
  const F64 b = fma(splat(0x1.11111110e1059p-7), r, splat(0x1.55555554e93b7p-5));
  const F64 c = fma(splat(0x1.a01b0c3c80bbcp-13), r, splat(0x1.6c17ed5c1f49ep-10));
  const F64 less_one = fma(fma(fma(c, r2, b), r2, a), r2, r);
  const F64 power = _mm512_permutex2var_pd(first, (__m512i)m, second);  // by the low bits of m: 16 n
  const F64 rest = _mm512_permutex2var_pd(first_rest, (__m512i)m, second_rest);
  return {n, power, fma(power, less_one, rest)};
}
INLINE Pair<F64> exp_by_table(F64 x) {
  const Parts by = exp_parts(x, None{});
  return {by.exponent, by.large + by.small};
}

// Times 2^-shift: exponents that are lost are masked, and so NaN stays.
template <class Shift>
INLINE F32 scale_some(Pair<F32> power, Shift shift) {
  const F32 n = minus(power.high, shift);
  return _mm512_maskz_scalef_ps(_mm512_cmp_ps_mask(n, lowest_of<F32>(shift), _CMP_NLT_UQ), power.low, n);
}
template <class Shift>
INLINE F64 scale_some(Pair<F64> power, Shift shift) {
  const F64 n = minus(power.high, shift);
  return _mm512_maskz_scalef_pd(_mm512_cmp_pd_mask(n, lowest_of<F64>(shift), _CMP_NLT_UQ), power.low, n);
}
#else
constexpr float kUnit = 1;
#endif

// The one that a softmax needs, and the one that sums under a logarithm do: their bound leaves float64 no ulp
// to spare.
template <class V, class Shift>
INLINE V exp_for_softmax(V x, Shift shift) {
#if defined(__AVX512F__)
  return scale_some(exp_by_table(x), shift);
#else
  return sizeof(x[0]) == 4 ? exp_quick(x, shift) : exp_close(x, shift);
#endif
}
template <class Shift>
INLINE F32 exp_fitting(F32 x, Shift shift) {
  return exp_for_softmax(x, shift);
}
template <class Shift>
INLINE F64 exp_fitting(F64 x, Shift shift) {
#if defined(__AVX512F__)
  return exp_for_softmax(x, shift);
#else
  return exp_shifted(x, None{}, shift);
#endif
}

// exp(x.high + x.low) 2^-shift, as exactly as sums under a logarithm need it, and what it rounds off, where that is a
// normal number.
template <class V>
INLINE Pair<V> exp_pair(Pair<V> x, Scaling<V> shift) {
  using C = Element<V>;
  using K = ExpConstants<C>;
  Pair<V> value;
  V n;
#if defined(__AVX512F__)
  constexpr bool kTable = sizeof(C) == 8;
#else
  constexpr bool kTable = false;
#endif
  if constexpr (kTable) {
    const auto by = exp_parts(x.high, x.low);
    n = by.exponent;
    value.high = by.large + by.small;
    value.low = by.small - (value.high - by.large);
  } else if constexpr (sizeof(C) == 4 && kFused) {
    const V one = splat(1.0f);
    n = fma(x.high, splat(K::log2e), splat(K::rounder)) - splat(K::rounder);
    const V r = fma(n, splat(-K::ln2_high), x.high) + fma(n, splat(-K::ln2_low), x.low);
    const V slope = fma(exp_polynomial(r), r, one);
    value.high = fma(slope, r, one);
    value.low = fma(slope, r, one - value.high);
  } else {
    const Reduced<V> reduced = reduce(x.high, x.low);
    n = reduced.exponent;
    value = reduced.exponential_exactly();
  }
  n -= shift.exponent;
  const Mask<C> lost = n < shift.lowest, rest_lost = n < shift.lowest + splat(C(K::mantissa_bits + 3));
  value.low = select(rest_lost, V{}, value.low);
  return {select(lost, V{}, scale_by_power(value.high, n)), select(lost, V{}, scale_by_power(value.low, n))};
}

// Both exp_fitting and exp_for_softmax where exp(x) is a normal number, to the same bits: `Fitting` or for a softmax.
template <bool Fitting, class V>
INLINE V exp_normal(V x) {
#if defined(__AVX512F__)
  const Pair<V> power = exp_by_table(x);
  return scale_by_power(power.low, power.high);
#else
  constexpr bool kCareful = !kFused || (Fitting && sizeof(x[0]) == 8);
  Pair<V> power;
  if constexpr (kCareful) {
    const Reduced<V> reduced = reduce(x, None{});
    power = {reduced.exponent, reduced.exponential()};
  } else {
    power = exp_reduced<sizeof(x[0]) == 8>(x);
  }
  return power.low * power_of_two(power.high);
#endif
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
