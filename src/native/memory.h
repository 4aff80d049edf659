// Vectors from and to memory: 16-bit numbers, whole and partial loads and stores.
#pragma once

#include "simd.h"

namespace crossent::CROSSENT_ISA {
namespace {

// ---------------------------------------------------------------- 16-bit numbers

INLINE F32 widen_bits(BFloat16, U16Half bits) {
  return (F32)(to_uint32(bits) << 16);
}

INLINE U16Half narrow_bits(BFloat16, F32 x) {
  const U32 bits = (U32)x;
  const U32 rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return to_uint16((U32)select(x == x, (I32)rounded, (I32)((bits >> 16) | 0x40)));
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
  const U32 bits = to_uint32(half), magnitude = (bits & 0x7fff) << 13;
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
  return to_uint16(half | ((bits >> 16) & 0x8000));
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
#if defined(__AVX512F__)
INLINE F32 keep(int n, F32 value, F32 other) { return _mm512_mask_blend_ps(n > 0 ? lane_bits(n) : 0, other, value); }
INLINE F64 keep(int n, F64 value, F64 other) { return _mm512_mask_blend_pd(n > 0 ? lane_bits(n) : 0, other, value); }
#else
INLINE F32 keep(int n, F32 value, F32 other) { return select(lane_numbers<float>() < n, value, other); }
INLINE F64 keep(int n, F64 value, F64 other) { return select(lane_numbers<double>() < n, value, other); }
#endif

// The first n lanes from memory, `fill` in the others.
template <class T, class N>
INLINE Vec<T> load(const T* from, N n, Compute<T> fill) {
  return keep(n, load(from, n), splat(fill));
}
#if defined(__AVX512F__)
INLINE F32 load(const float* from, int n, float fill) { return _mm512_mask_loadu_ps(splat(fill), lane_bits(n), from); }
INLINE F64 load(const double* from, int n, double fill) { return _mm512_mask_loadu_pd(splat(fill), lane_bits(n), from); }
#endif

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

// A whole vector that passes the caches by; `to` is a multiple of its size.
INLINE void stream_bits(void* to, F32 x) {
#if defined(__AVX512F__)
  _mm512_stream_ps((float*)to, x);
#elif defined(__AVX2__)
  _mm256_stream_ps((float*)to, x);
#elif defined(__x86_64__)
  _mm_stream_ps((float*)to, x);
#else
  __builtin_memcpy(to, &x, sizeof x);
#endif
}
INLINE void stream_bits(void* to, U16Half x) {
#if defined(__AVX512F__)
  _mm256_stream_si256((__m256i*)to, (__m256i)x);
#elif defined(__AVX2__)
  _mm_stream_si128((__m128i*)to, (__m128i)x);
#elif defined(__x86_64__)
  _mm_stream_si64((long long*)to, (long long)x);
#else
  __builtin_memcpy(to, &x, sizeof x);
#endif
}
// Whatever it was that passed the caches by is in memory where this ends.
struct StreamEnd {
  bool streamed;
  INLINE ~StreamEnd() {
#if defined(__x86_64__)
    if (streamed) _mm_sfence();
#endif
  }
};
INLINE void stream(float* to, F32 x) { stream_bits(to, x); }
INLINE void stream(double* to, F64 x) { stream_bits(to, (F32)x); }
template <class T>
INLINE void stream(T* to, F32 x) {
  stream_bits(to, narrow_bits(T{}, x));
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
