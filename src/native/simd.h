// Vectors of one instruction set: lanes and exact arithmetic.
//
// Everything here lives in the namespace of the instruction set the file is compiled for and calls no
// inline std:: function: the linker must never pick an AVX copy of a function that old machines run.
#pragma once

#include <stdint.h>

#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#ifndef CROSSENT_ISA
#error "compile with -DCROSSENT_ISA=baseline|avx2|avx512"
#endif

#define INLINE inline __attribute__((always_inline))
#define INLINED __attribute__((always_inline))  // for lambdas

namespace crossent::CROSSENT_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#elif defined(__AVX2__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif

typedef float F32 __attribute__((vector_size(kBytes)));
typedef double F64 __attribute__((vector_size(kBytes)));
typedef int32_t I32 __attribute__((vector_size(kBytes)));
typedef int64_t I64 __attribute__((vector_size(kBytes)));
typedef uint64_t U64 __attribute__((vector_size(kBytes)));
typedef uint32_t U32 __attribute__((vector_size(kBytes)));
typedef uint16_t U16Half __attribute__((vector_size(kBytes / 2)));
typedef float F32Half __attribute__((vector_size(kBytes / 2)));
typedef int32_t I32Half __attribute__((vector_size(kBytes / 2)));

constexpr double kInf = __builtin_inf();
constexpr double kNaN = __builtin_nan("");

template <class V>
struct VecElement;
template <>
struct VecElement<F32> {
  using type = float;
};
template <>
struct VecElement<F64> {
  using type = double;
};
template <class V>
using Element = typename VecElement<V>::type;

// What a number is stored as, and what it is computed in.
struct Float16 {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};
template <class T>
struct Traits;
template <>
struct Traits<float> {
  using Compute = float;
  using Vector = F32;
  using Integers = I32;
};
template <>
struct Traits<double> {
  using Compute = double;
  using Vector = F64;
  using Integers = I64;
};
template <>
struct Traits<Float16> : Traits<float> {};
template <>
struct Traits<BFloat16> : Traits<float> {};

template <class T>
using Compute = typename Traits<T>::Compute;
template <class T>
using Vec = typename Traits<T>::Vector;
template <class T>
using Mask = typename Traits<T>::Integers;
template <class T>
constexpr int kLanes = kBytes / int(sizeof(Compute<T>));

template <class C>
INLINE Vec<C> splat(C x) {
  return x - Vec<C>{};  // x - 0 keeps the sign of -0
}

template <class M, class V>
INLINE V select(M mask, V yes, V no) {
  return mask ? yes : no;
}

template <class V>
INLINE V absolute(V x) {
  return select(x < 0, -x, x);
}

// a > b ? a : b, so that a NaN in a is passed over.
INLINE F32 larger(F32 a, F32 b) {
#if defined(__AVX512F__)
  return _mm512_max_ps(a, b);
#elif defined(__AVX2__)
  return _mm256_max_ps(a, b);
#elif defined(__x86_64__)
  return _mm_max_ps(a, b);
#else
  return select(a > b, a, b);
#endif
}
INLINE F64 larger(F64 a, F64 b) {
#if defined(__AVX512F__)
  return _mm512_max_pd(a, b);
#elif defined(__AVX2__)
  return _mm256_max_pd(a, b);
#elif defined(__x86_64__)
  return _mm_max_pd(a, b);
#else
  return select(a > b, a, b);
#endif
}

// a < b ? a : b, so that a NaN in b stays.
INLINE F32 smaller(F32 a, F32 b) {
#if defined(__AVX512F__)
  return _mm512_min_ps(a, b);
#elif defined(__AVX2__)
  return _mm256_min_ps(a, b);
#elif defined(__x86_64__)
  return _mm_min_ps(a, b);
#else
  return select(a < b, a, b);
#endif
}
INLINE F64 smaller(F64 a, F64 b) {
#if defined(__AVX512F__)
  return _mm512_min_pd(a, b);
#elif defined(__AVX2__)
  return _mm256_min_pd(a, b);
#elif defined(__x86_64__)
  return _mm_min_pd(a, b);
#else
  return select(a < b, a, b);
#endif
}

// In how many lanes a and b are equal.
INLINE int count_equal(F32 a, F32 b) {
#if defined(__AVX512F__)
  return __builtin_popcount(_mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ));
#elif defined(__AVX2__)
  return __builtin_popcount(_mm256_movemask_ps((F32)(a == b)));
#else
  int count = 0;
  for (int i = 0; i < kBytes / 4; ++i) count += a[i] == b[i];
  return count;
#endif
}
INLINE int count_equal(F64 a, F64 b) {
#if defined(__AVX512F__)
  return __builtin_popcount(_mm512_cmp_pd_mask(a, b, _CMP_EQ_OQ));
#elif defined(__AVX2__)
  return __builtin_popcount(_mm256_movemask_pd((F64)(a == b)));
#else
  int count = 0;
  for (int i = 0; i < kBytes / 8; ++i) count += a[i] == b[i];
  return count;
#endif
}

// A bit for each lane of a mask.
INLINE uint32_t lane_bits_of(I32 mask) {
#if defined(__AVX512F__)
  return _mm512_movepi32_mask((__m512i)mask);
#elif defined(__AVX2__)
  return uint32_t(_mm256_movemask_ps((F32)mask));
#elif defined(__x86_64__)
  return uint32_t(_mm_movemask_ps((F32)mask));
#else
  uint32_t bits = 0;
  for (int i = 0; i < kBytes / 4; ++i) bits |= uint32_t(mask[i] & 1) << i;
  return bits;
#endif
}
INLINE uint32_t lane_bits_of(I64 mask) {
#if defined(__AVX512F__)
  return _mm512_movepi64_mask((__m512i)mask);
#elif defined(__AVX2__)
  return uint32_t(_mm256_movemask_pd((F64)mask));
#elif defined(__x86_64__)
  return uint32_t(_mm_movemask_pd((F64)mask));
#else
  uint32_t bits = 0;
  for (int i = 0; i < kBytes / 8; ++i) bits |= uint32_t(mask[i] & 1) << i;
  return bits;
#endif
}

// a, but 0 where it is equal to b; those lanes are counted.
template <class V>
INLINE V unless_equal(V a, V b, int64_t& equal) {
#if defined(__AVX512F__)  // one mask for both
  if constexpr (sizeof(a[0]) == 4) {
    const __mmask16 other = _mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ);
    equal += __builtin_popcount(uint16_t(~other));
    return _mm512_maskz_mov_ps(other, a);
  } else {
    const __mmask8 other = _mm512_cmp_pd_mask(a, b, _CMP_NEQ_UQ);
    equal += __builtin_popcount(uint8_t(~other));
    return _mm512_maskz_mov_pd(other, a);
  }
#endif
  equal += count_equal(a, b);
  return select(a == b, V{}, a);
}

// Conversions of a vector's worth of numbers. GCC would do them by halves of a vector, put together again.
INLINE F64 to_float64(F32Half x) {
#if defined(__AVX512F__)
  return _mm512_cvtps_pd((__m256)x);
#else
  return __builtin_convertvector(x, F64);
#endif
}
INLINE F32Half to_float32(F64 x) {
#if defined(__AVX512F__)
  return (F32Half)_mm512_cvtpd_ps(x);
#else
  return __builtin_convertvector(x, F32Half);
#endif
}
INLINE U32 to_uint32(U16Half x) {
#if defined(__AVX512F__)
  return (U32)_mm512_cvtepu16_epi32((__m256i)x);
#else
  return __builtin_convertvector(x, U32);
#endif
}
INLINE U16Half to_uint16(U32 x) {
#if defined(__AVX512F__)
  return (U16Half)_mm512_cvtepi32_epi16((__m512i)x);
#else
  return __builtin_convertvector(x, U16Half);
#endif
}

// One vector of two halves, which never pass through memory.
template <class Whole, class Half, int... Lane>
INLINE Whole whole_of(Half first, Half second, std::integer_sequence<int, Lane...>) {
  return (Whole)__builtin_shufflevector(first, second, Lane...);
}
template <class Whole, class Half>
INLINE Whole whole_of(Half first, Half second) {
  return whole_of<Whole>(first, second, std::make_integer_sequence<int, kBytes / 4>{});
}

template <class C>
INLINE Mask<C> lane_numbers() {
  Mask<C> numbers{};
  for (int i = 0; i < kLanes<C>; ++i) numbers[i] = i;
  return numbers;
}

// ---------------------------------------------------------------- arithmetic with one rounding

#if defined(__FMA__) || defined(__aarch64__)
constexpr bool kFused = true;
#else
constexpr bool kFused = false;
#endif

INLINE F32 fma(F32 a, F32 b, F32 c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__FMA__)
  return _mm256_fmadd_ps(a, b, c);
#elif defined(__aarch64__)
  return (F32)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}

INLINE F64 fma(F64 a, F64 b, F64 c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_pd(a, b, c);
#elif defined(__FMA__)
  return _mm256_fmadd_pd(a, b, c);
#elif defined(__aarch64__)
  return (F64)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
  return a * b + c;
#endif
}

// a b + c of a number a in memory, which takes no instruction and no register of its own where the processor
// has such an operand.
template <class V>
INLINE V fma_of(const Element<V>& a, V b, V c) {
#if defined(__AVX512F__) && defined(__GNUC__)
  if constexpr (sizeof(a) == 4)
    asm("vfmadd231ps %2%{1to16%}, %1, %0" : "+v"(c) : "v"(b), "m"(a));
  else
    asm("vfmadd231pd %2%{1to8%}, %1, %0" : "+v"(c) : "v"(b), "m"(a));
  return c;
#else
  return fma(splat(a), b, c);
#endif
}

template <class V>
struct Pair {
  V high, low;
};

// Knuth's TwoSum: high + low is a + b without any error.
template <class V>
INLINE Pair<V> two_sum(V a, V b) {
  const V sum = a + b, back = sum - a;
  return {sum, (a - (sum - back)) + (b - back)};
}

// The same of two numbers of which `large` is the larger, or 0.
template <class V>
INLINE Pair<V> quick_two_sum(V large, V small) {
  const V sum = large + small;
  return {sum, small - (sum - large)};
}

template <class V>
INLINE Pair<V> two_product(V a, V b) {
  const V product = a * b;
  if constexpr (kFused) return {product, fma(a, b, -product)};
  using C = Element<V>;
  const V split = splat(C(sizeof(C) == 8 ? 0x1p27 + 1 : 0x1p12 + 1));  // Dekker's halves: exact products
  const V a1 = split * a - (split * a - a), a2 = a - a1;
  const V b1 = split * b - (split * b - b), b2 = b - b1;
  return {product, ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2};
}

// x (high + low), rounded once.
INLINE F64 multiply(F64 x, F64 high, F64 low) {
  if constexpr (kFused) return fma(x, high, x * low);
  const Pair<F64> product = two_product(x, high);
  return product.high + (product.low + x * low);
}
INLINE F32 multiply(F32 x, F32 high, F32 low) {
  if constexpr (kFused) return fma(x, high, x * low);
  F32 result{};
  for (int i = 0; i < kBytes / 4; ++i) result[i] = float(double(x[i]) * (double(high[i]) + double(low[i])));
  return result;
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
