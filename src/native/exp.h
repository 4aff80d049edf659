// exp, log1p and tanh of vectors. The polynomials are weighted minimax fits of
// (exp(r) - 1 - r) / r^2 on |r| <= ln(2) / 2 and of (2 atanh(s) - 2 s) / s^3 in s^2.
#pragma once

#include "simd.h"

namespace crossent::CROSSENT_ISA {
namespace {

template <class C>
struct ExpConstants;

// ln2_high has so few bits that its product with any exponent in use is exact, fused or not.
template <>
struct ExpConstants<float> {
  static constexpr float log2e = 0x1.715476p+0f, ln2_high = 0x1.62e4p-1f, ln2_low = 0x1.7f7d1cp-20f;
  static constexpr float rounder = 0x1.8p23f;  // adding it leaves an integer in the low bits
  static constexpr int bias = 127, mantissa_bits = 23;
  static constexpr float lowest = -151, highest = 252;
  static constexpr float headroom = 26;  // 2^(lowest + headroom) is a normal number
  static constexpr float least_factor = 0x1p-75f;
  static constexpr float direct = 208;  // |maximum| up to which numbers need no shift
};
template <>
struct ExpConstants<double> {
  static constexpr double log2e = 0x1.71547652b82fep+0, ln2_high = 0x1.62e42fefa2p-1;
  static constexpr double ln2_low = 0x1.9ef35793c7673p-41, rounder = 0x1.8p52;
  static constexpr int bias = 1023, mantissa_bits = 52;
  static constexpr double lowest = -1076, highest = 2044;
  static constexpr double headroom = 0, least_factor = 0;
  static constexpr double direct = 1490;
};

INLINE F32 exp_polynomial(F32 r) {
  F32 q = splat(0x1.6a22f4p-10f);
  q = fma(q, r, splat(0x1.123a76p-7f));
  q = fma(q, r, splat(0x1.5558f6p-5f));
  q = fma(q, r, splat(0x1.555490p-3f));
  return fma(q, r, splat(0x1.fffffcp-2f));
}

INLINE F64 exp_polynomial(F64 r) {
  const F64 r2 = r * r, r4 = r2 * r2;
  const F64 a = fma(splat(0x1.555555555555bp-3), r, splat(0.5));
  const F64 b = fma(splat(0x1.111111110ec15p-7), r, splat(0x1.5555555555502p-5));
  const F64 c = fma(splat(0x1.a01a01b39a755p-13), r, splat(0x1.6c16c16c307c4p-10));
  const F64 d = fma(splat(0x1.71ddefd9603fep-19), r, splat(0x1.a01a0135ee328p-16));
  const F64 e = fma(splat(0x1.af6c65f40c9b3p-26), r, splat(0x1.27e5b50931be8p-22));
  const F64 top = fma(fma(splat(0x1.1e3cbe055559p-29), r2, e), r4, fma(d, r2, c));
  return fma(top, r4, fma(b, r2, a));
}

// x = exponent ln 2 + r with |r| <= ln(2) / 2, and exp(r) - 1 = head + tail.
template <class V>
struct Reduced {
  V exponent, head, tail;

  INLINE V less_one() const { return head + tail; }
  INLINE V exponential() const {
    const V one = splat(Element<V>(1)), sum = one + head;
    return sum + ((head - (sum - one)) + tail);
  }
  INLINE Pair<V> exponential_exactly() const {
    const V one = splat(Element<V>(1)), sum = one + head;
    const V rest = (head - (sum - one)) + tail, high = sum + rest;
    return {high, rest - (high - sum)};
  }
};

// In place of a residual or a shift that is not there (adding a zero would still cost an operation).
struct None {};
template <class V>
INLINE V plus(V a, V b) {
  return a + b;
}
template <class V>
INLINE V plus(V a, None) {
  return a;
}
template <class V>
INLINE V minus(V a, V b) {
  return a - b;
}
template <class V>
INLINE V minus(V a, None) {
  return a;
}

// The power 2^-exponent that exponentials are times, and the power of two below which they are lost.
template <class V>
struct Scaling {
  V exponent, lowest;
};
template <class V>
INLINE V minus(V a, Scaling<V> scaling) {
  return a - scaling.exponent;
}
template <class V, class Shift>
INLINE V lowest_of(Shift) {
  return splat(ExpConstants<Element<V>>::lowest);
}
template <class V>
INLINE V lowest_of(Scaling<V> scaling) {
  return scaling.lowest;
}

template <class V, class Residual>
INLINE Reduced<V> reduce(V x, Residual residual) {
  using K = ExpConstants<Element<V>>;
  const V n = fma(x, splat(K::log2e), splat(K::rounder)) - splat(K::rounder);
  const V exact = fma(n, splat(-K::ln2_high), x);
  const V low = plus(n * splat(-K::ln2_low), residual), r = exact + low;
  const V lost = (exact - r) + low;  // what the reduction rounds off
  return {n, r, fma(exp_polynomial(r), r * r, lost)};
}

// 2^n for an integer n whose power is a normal number.
template <class V>
INLINE V power_of_two(V n) {
  using C = Element<V>;
  using K = ExpConstants<C>;
  return (V)((Mask<C>)(n + splat(K::rounder + C(K::bias))) << K::mantissa_bits);
}

// x 2^n with gradual underflow: two factors, of which only the last can round.
template <class V>
INLINE V scale_by_power(V x, V n) {
#if defined(__AVX512F__)
  if constexpr (sizeof(x[0]) == 4)
    return _mm512_maskz_scalef_ps(0xffff, x, n);
  else
    return _mm512_maskz_scalef_pd(0xff, x, n);
#else
  using K = ExpConstants<Element<V>>;
  n = select(n > K::highest, splat(K::highest), n);
  const V half = fma(n, splat(decltype(K::rounder)(0.5)), splat(K::rounder)) - splat(K::rounder);
  return x * power_of_two(half) * power_of_two(n - half);
#endif
}

// exp(x + residual) 2^-shift. A compare, no clamp, makes the lost lanes 0: NaN stays NaN.
template <class V, class Residual, class Shift>
INLINE V exp_shifted(V x, Residual residual, Shift shift) {
  const Reduced<V> reduced = reduce(x, residual);
  const V n = minus(reduced.exponent, shift);
  const V value = scale_by_power(reduced.exponential(), n);
  return select(n < lowest_of<V>(shift), V{}, value);
}

// What exp_shifted rounds off while it reduces its argument is worth a quarter of an ulp: `exp_close` goes
// without it, and `exp_quick`, to about one ulp, without a careful last sum too.
template <bool Close, class V>
INLINE Pair<V> exp_reduced(V x) {  // exp(x) as low 2^high
  using K = ExpConstants<Element<V>>;
  const V one = splat(Element<V>(1));
  const V n = fma(x, splat(K::log2e), splat(K::rounder)) - splat(K::rounder);
  const V r = fma(n, splat(-K::ln2_low), fma(n, splat(-K::ln2_high), x));
  if constexpr (Close)
    return {n, Reduced<V>{n, r, exp_polynomial(r) * (r * r)}.exponential()};
  else
    return {n, fma(fma(exp_polynomial(r), r, one), r, one)};
}
template <bool Close, class V, class Shift>
INLINE V exp_rougher(V x, Shift shift) {
  if constexpr (!kFused) return exp_shifted(x, None{}, shift);  // more roundings: none to spare
  const Pair<V> power = exp_reduced<Close>(x);
  const V n = minus(power.high, shift);
  return select(n < lowest_of<V>(shift), V{}, scale_by_power(power.low, n));
}
template <class V, class Shift>
INLINE V exp_close(V x, Shift shift) {
  return exp_rougher<true>(x, shift);
}
template <class V, class Shift>
INLINE V exp_quick(V x, Shift shift) {
  return exp_rougher<false>(x, shift);
}

template <class V>
INLINE V exp(V x) {
  return exp_shifted(x, None{}, None{});
}

// log(1 + x + rest) for x >= 0, high + low to more than the precision of float64.
INLINE Pair<F64> log1p_exactly(F64 x, F64 rest_of_x) {
  const F64 one = splat(1.0);
  Pair<F64> sum = two_sum(one, x);
  sum.low += rest_of_x;
  const I64 root_half = I64{} + 0x3fe6a09e667f3bcd, unit = I64{} + 0x3ff0000000000000;
  const I64 bits = (I64)sum.high + (unit - root_half);
  const U64 biased = ((U64)bits >> 52) | 0x4330000000000000;  // as the float64 2^52 + exponent
  const F64 exponent = (F64)biased - splat(0x1p52 + 1023);
  const F64 t = (F64)((bits & 0x000fffffffffffff) + root_half) - one;
  const F64 s = t / (splat(2.0) + t), z = s * s;
  F64 p = splat(0x1.2b5f68a50d903p-3);
  p = fma(p, z, splat(0x1.39fdcceb4bb45p-3));
  p = fma(p, z, splat(0x1.7462b91b8df65p-3));
  p = fma(p, z, splat(0x1.c71c62d5e53e0p-3));
  p = fma(p, z, splat(0x1.2492492dfd86cp-2));
  p = fma(p, z, splat(0x1.9999999995273p-2));
  p = fma(p, z, splat(0x1.5555555555558p-1));
  const Pair<F64> square = two_product(splat(0.5) * t, t);  // log(1 + t) = t - t^2/2 + s (t^2/2 + z p)
  const F64 correction = fma(exponent, splat(0x1.9ef35793c7673p-41), sum.low / sum.high) - square.low;
  const Pair<F64> head = two_sum(exponent * splat(0x1.62e42fefa2p-1), t);
  const Pair<F64> body = two_sum(head.high, -square.high);
  const F64 rest = head.low + body.low + (fma(s, fma(z, p, square.high), correction));
  const Pair<F64> value = two_sum(body.high, rest);
  return {select(x < kInf, value.high, x), select(x < kInf, value.low, F64{})};
}

// The same for float32, by a weighted minimax fit of (log(1 + t) - t + t^2 / 2) / t^3.
INLINE Pair<F32> log1p_exactly(F32 x, F32 rest_of_x) {
  Pair<F32> sum = two_sum(splat(1.0f), x);
  sum.low += rest_of_x;
  const I32 root_half = I32{} + 0x3f3504f3, unit = I32{} + 0x3f800000;
  const I32 bits = (I32)sum.high + (unit - root_half);
  const F32 n = __builtin_convertvector((bits >> 23) - 127, F32);
  const F32 t = (F32)((bits & 0x007fffff) + root_half) - splat(1.0f);
  const F32 low = sum.low * (F32)((254 << 23) - (bits & 0x7f800000));  // by 2^-n
  F32 p = splat(-0x1.38b57cp-4f);
  p = fma(p, t, splat(0x1.055b6ap-3f));
  p = fma(p, t, splat(-0x1.0d85420p-3f));
  p = fma(p, t, splat(0x1.22da1ep-3f));
  p = fma(p, t, splat(-0x1.547244p-3f));
  p = fma(p, t, splat(0x1.99a008p-3f));
  p = fma(p, t, splat(-0x1.000226p-2f));
  p = fma(p, t, splat(0x1.555554p-2f));
  p = fma(p, t, splat(-0.5f));
  const Pair<F32> head = quick_two_sum(n * splat(0x1.62e4p-1f), t);
  const F32 of_low = fma(low * splat(-0.8f), t, low);  // low / (1 + t), near enough
  return quick_two_sum(head.high, fma(t * t, p, fma(n, splat(0x1.7f7d1cp-20f), head.low + of_low)));
}

INLINE F64 log1p(F64 x) { return log1p_exactly(x, F64{}).high; }

INLINE Pair<double> log1p_exactly(Pair<double> x) {
  const Pair<F64> value = log1p_exactly(splat(x.high), splat(x.low));
  return {value.high[0], value.low[0]};
}

struct Tanh {
  F64 value, slope;  // tanh x and 1 - tanh(x)^2, which does not cancel
};

// tanh(x + residual) by tanh x = -E / (2 + E) with E = exp(-2 |x|) - 1.
INLINE Tanh tanh(F64 x, F64 residual) {
  const F64 one = splat(1.0), size = absolute(x);
  const F64 argument = splat(-2.0) * select(size > 400.0, splat(400.0), size);
  const F64 rest = select(x < 0, splat(2.0), splat(-2.0)) * residual;
  const Reduced<F64> reduced = reduce(argument, rest);
  const F64 scale = scale_by_power(one, reduced.exponent);
  const F64 less_one = fma(scale, reduced.less_one(), scale - one);
  const F64 decay = fma(scale, reduced.less_one(), scale), whole = one + decay;
  const F64 value = -less_one / (splat(2.0) + less_one);
  return {select(x < 0, -value, value), splat(4.0) * decay / (whole * whole)};
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
