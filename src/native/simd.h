// Vectors of one instruction set: lanes, loads, stores, conversions, sums.
//
// Everything here lives in the namespace of the instruction set the file is compiled for and calls no
// inline std:: function: the linker must never pick an AVX copy of a function that old machines run.
#pragma once

#include <stdint.h>

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

constexpr float kInf32 = __builtin_inff();
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

INLINE Pair<F64> two_product(F64 a, F64 b) {
  const F64 product = a * b;
  if constexpr (kFused) return {product, fma(a, b, -product)};
  const F64 split = splat(134217729.0);  // 2^27 + 1: Dekker's halves, whose products are exact
  const F64 a1 = split * a - (split * a - a), a2 = a - a1;
  const F64 b1 = split * b - (split * b - b), b2 = b - b1;
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

// ---------------------------------------------------------------- 16-bit numbers

INLINE F32 widen_bits(BFloat16, U16Half bits) {
  return (F32)(__builtin_convertvector(bits, U32) << 16);
}

INLINE U16Half narrow_bits(BFloat16, F32 x) {
  const U32 bits = (U32)x;
  const U32 rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return __builtin_convertvector((U32)select(x == x, (I32)rounded, (I32)((bits >> 16) | 0x40)), U16Half);
}

#if defined(__AVX512F__)
INLINE F32 widen_bits(Float16, U16Half bits) { return _mm512_cvtph_ps((__m256i)bits); }
INLINE U16Half narrow_bits(Float16, F32 x) {
  return (U16Half)_mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
#elif defined(__F16C__)
INLINE F32 widen_bits(Float16, U16Half bits) { return _mm256_cvtph_ps((__m128i)bits); }
INLINE U16Half narrow_bits(Float16, F32 x) {
  return (U16Half)_mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
#else
INLINE F32 widen_bits(Float16, U16Half half) {
  const U32 bits = __builtin_convertvector(half, U32), magnitude = (bits & 0x7fff) << 13;
  const U32 finite = (U32)((F32)magnitude * splat(0x1p112f));  // also right for subnormals
  const U32 value = (U32)select(magnitude >= 0x0f800000, (I32)(magnitude | 0x7f800000), (I32)finite);
  return (F32)(value | ((bits & 0x8000) << 16));
}
INLINE U16Half narrow_bits(Float16, F32 x) {
  const U32 bits = (U32)x, magnitude = bits & 0x7fffffff;
  const U32 normal = (magnitude - (112u << 23) + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  const U32 small = (U32)((F32)magnitude + splat(0.5f)) - 0x3f000000;  // the adder rounds to 2^-24
  U32 half = (U32)select(magnitude < 0x38800000, (I32)small, (I32)normal);
  half = (U32)select(magnitude >= 0x477ff000, (I32)(U32{} + 0x7c00), (I32)half);
  half = (U32)select(magnitude > 0x7f800000, (I32)(U32{} + 0x7e00), (I32)half);
  return __builtin_convertvector(half | ((bits >> 16) & 0x8000), U16Half);
}
#endif

// ---------------------------------------------------------------- loads and stores

// A sweep calls its step with Full while a whole vector is left, and with the number of lanes at the end.
struct Full {};

template <class Vector, class T>
INLINE Vector load_bits(const T* from) {
  Vector bits;
  __builtin_memcpy(&bits, from, sizeof bits);
  return bits;
}

template <class Vector, class T>
INLINE Vector load_bits(const T* from, int count) {  // zeros behind the last one
  Vector bits{};
  for (int i = 0; i < count; ++i) __builtin_memcpy((char*)&bits + i * sizeof(T), from + i, sizeof(T));
  return bits;
}

template <class Vector, class T>
INLINE void store_bits(T* to, int count, Vector bits) {
  for (int i = 0; i < count; ++i) __builtin_memcpy(to + i, (const char*)&bits + i * sizeof(T), sizeof(T));
}

#if defined(__AVX512F__)
INLINE uint32_t lane_bits(int count) { return (1u << count) - 1; }
template <>
INLINE F32 load_bits(const float* from, int n) { return _mm512_maskz_loadu_ps(lane_bits(n), from); }
template <>
INLINE F64 load_bits(const double* from, int n) { return _mm512_maskz_loadu_pd(lane_bits(n), from); }
template <>
INLINE U16Half load_bits(const uint16_t* from, int n) {
  return (U16Half)_mm256_maskz_loadu_epi16(lane_bits(n), from);
}
template <>
INLINE void store_bits(float* to, int n, F32 x) { _mm512_mask_storeu_ps(to, lane_bits(n), x); }
template <>
INLINE void store_bits(double* to, int n, F64 x) { _mm512_mask_storeu_pd(to, lane_bits(n), x); }
template <>
INLINE void store_bits(uint16_t* to, int n, U16Half x) {
  _mm256_mask_storeu_epi16(to, lane_bits(n), (__m256i)x);
}
#elif defined(__AVX2__)
template <>
INLINE F32 load_bits(const float* from, int n) {
  return _mm256_maskload_ps(from, (__m256i)(lane_numbers<float>() < n));
}
template <>
INLINE F64 load_bits(const double* from, int n) {
  return _mm256_maskload_pd(from, (__m256i)(lane_numbers<double>() < n));
}
template <>
INLINE void store_bits(float* to, int n, F32 x) {
  _mm256_maskstore_ps(to, (__m256i)(lane_numbers<float>() < n), x);
}
template <>
INLINE void store_bits(double* to, int n, F64 x) {
  _mm256_maskstore_pd(to, (__m256i)(lane_numbers<double>() < n), x);
}
#endif

INLINE F32 load(const float* from, Full) { return load_bits<F32>(from); }
INLINE F64 load(const double* from, Full) { return load_bits<F64>(from); }
INLINE F32 load(const float* from, int n) { return load_bits<F32>(from, n); }
INLINE F64 load(const double* from, int n) { return load_bits<F64>(from, n); }
template <class T>
INLINE F32 load(const T* from, Full) {
  return widen_bits(T{}, load_bits<U16Half>(&from->bits));
}
template <class T>
INLINE F32 load(const T* from, int n) {
  return widen_bits(T{}, load_bits<U16Half>(&from->bits, n));
}

template <class V>
INLINE V keep(Full, V value, V) {
  return value;
}
INLINE F32 keep(int n, F32 value, F32 other) { return select(lane_numbers<float>() < n, value, other); }
INLINE F64 keep(int n, F64 value, F64 other) { return select(lane_numbers<double>() < n, value, other); }

// The first n lanes from memory, `fill` in the others.
template <class T, class N>
INLINE Vec<T> load(const T* from, N n, Compute<T> fill) {
  return keep(n, load(from, n), splat(fill));
}

INLINE void store(float* to, Full, F32 x) { __builtin_memcpy(to, &x, sizeof x); }
INLINE void store(double* to, Full, F64 x) { __builtin_memcpy(to, &x, sizeof x); }
INLINE void store(float* to, int n, F32 x) { store_bits(to, n, x); }
INLINE void store(double* to, int n, F64 x) { store_bits(to, n, x); }
template <class T>
INLINE void store(T* to, Full, F32 x) {
  const U16Half bits = narrow_bits(T{}, x);
  __builtin_memcpy(to, &bits, sizeof bits);
}
template <class T>
INLINE void store(T* to, int n, F32 x) {
  store_bits(&to->bits, n, narrow_bits(T{}, x));
}

// Numbers `stride` apart, one a lane, for the first n lanes; zeros in the others.
template <class C>
INLINE Vec<C> gather(const C* from, int stride, int n) {
#if defined(__AVX512F__)
  if constexpr (sizeof(C) == 4)
    return _mm512_mask_i32gather_ps(F32{}, lane_bits(n), (__m512i)(lane_numbers<C>() * stride), from, 4);
  else
    return _mm512_mask_i64gather_pd(F64{}, lane_bits(n), (__m512i)(lane_numbers<C>() * stride), from, 8);
#else
  Vec<C> x{};
  for (int i = 0; i < n; ++i) x[i] = from[i * stride];
  return x;
#endif
}

template <class C>
INLINE void scatter(C* to, int stride, int n, Vec<C> x) {
#if defined(__AVX512F__)
  if constexpr (sizeof(C) == 4)
    _mm512_mask_i32scatter_ps(to, lane_bits(n), (__m512i)(lane_numbers<C>() * stride), x, 4);
  else
    _mm512_mask_i64scatter_pd(to, lane_bits(n), (__m512i)(lane_numbers<C>() * stride), x, 8);
#else
  for (int i = 0; i < n; ++i) to[i * stride] = x[i];
#endif
}

// One number, by the same conversions.
template <class T>
INLINE Compute<T> load_one(const T* from) {
  return load(from, 1)[0];
}
template <class T>
INLINE void store_one(T* to, Compute<T> x) {
  store(to, 1, splat(x));
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
