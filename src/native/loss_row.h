// One row of a cross-entropy with options, in float64 whatever it is stored as.
#pragma once

#include "derivatives.h"

namespace crossent::CROSSENT_ISA {
namespace {

// A row of weight 0 is absent: whatever its logits hold, it adds nothing.
INLINE double row_weight(const CrossEntropyCall& call, int64_t row) {
  return call.row_weight ? call.row_weight[row] : 1;
}

// A row's loss goes where it is wanted; returns it, to be summed.
INLINE double put_loss(const CrossEntropyCall& call, int64_t row, double loss) {
  if (call.loss) call.loss[row] = loss;
  return loss;
}

typedef uint8_t U8Lanes __attribute__((vector_size(kLanes<double>)));

INLINE int lanes(Full) { return kLanes<double>; }
INLINE int lanes(int n) { return n; }

template <class N>
INLINE F64 load_wide(const double* from, N n) {
  return load(from, n);
}
template <class N>
INLINE F64 load_wide(const float* from, N n) {
  F32Half x{};
  if constexpr (sizeof(N) == sizeof(Full))
    __builtin_memcpy(&x, from, sizeof x);
  else
    x = load_bits<F32Half>(from, n);
  return to_float64(x);
}
template <class T, class N>
INLINE F64 load_wide(const T* from, N n) {
  F32Half x;
  const F32 wide = load(from, lanes(n));
  __builtin_memcpy(&x, &wide, sizeof x);
  return to_float64(x);
}
template <class N>
INLINE void store_wide(double* to, N n, F64 x) {
  store(to, n, x);
}
template <class T, class N>
INLINE void store_wide(T* to, N n, F64 x) {
  F32 wide{};
  const F32Half narrow = to_float32(x);
  __builtin_memcpy(&wide, &narrow, sizeof narrow);
  store(to, lanes(n), wide);
}

// The classes of one row as the options bend them.
template <class T>
struct Row {
  const CrossEntropyCall& call;
  const T* z;
  const T* tangent;
  const Compute<T>* targets;
  const uint8_t* mask;
  int64_t label;
  int64_t count;

  INLINE Row(const CrossEntropyCall& call, int64_t i)
      : call(call),
        z((const T*)call.logits + i * call.n_classes),
        tangent(call.tangent ? (const T*)call.tangent + i * call.n_classes : nullptr),
        targets(call.targets ? (const Compute<T>*)call.targets + i * call.n_classes : nullptr),
        mask(call.mask ? call.mask + i * call.mask_stride : nullptr),
        label(call.labels ? call.labels[i] : -1),
        count(call.n_classes) {}

  template <class N>
  INLINE I64 present(int64_t k, N n) const {
    I64 inside = lane_numbers<double>() < lanes(n);
    if (!mask) return inside;
    U8Lanes bytes{};
    if constexpr (sizeof(N) == sizeof(Full))
      __builtin_memcpy(&bytes, mask + k, sizeof bytes);
    else
      bytes = load_bits<U8Lanes>(mask + k, n);
    return inside & (__builtin_convertvector(bytes, I64) != 0);
  }
  template <class N>
  INLINE F64 logits(int64_t k, N n, I64 present) const {
    return select(present, load_wide(z + k, n), splat(-kInf));
  }
  template <class N>
  INLINE F64 direction(int64_t k, N n, I64 present) const {
    return select(present, load_wide(tangent + k, n), F64{});
  }
  template <class N>  // y as it was given
  INLINE F64 given(int64_t k, N n) const {
    if (targets) return load_wide(targets + k, n);
    return select(lane_numbers<double>() + k == label, splat(1.0), F64{});
  }
};

// m = softcap(z / T) as a pair, so that the division's rounding is not lost, and what is left of dm/dz.
struct Bent {
  F64 high, low;
  F64 slope;  // m1 = 1 - (m / c)^2
};

// high + low = a / b; an infinite quotient has no rest.
INLINE Pair<F64> divide_exactly(F64 a, F64 b) {
  const F64 quotient = a / b;
  const Pair<F64> product = two_product(quotient, b);
  const F64 rest = ((a - product.high) - product.low) / b;
  return {quotient, select(rest - rest == 0, rest, F64{})};
}

INLINE Bent bend(const CrossEntropyCall& call, F64 z) {
  Bent m{z, F64{}, splat(1.0)};
  if (call.temperature != 1) {
    const Pair<F64> u = divide_exactly(z, splat(call.temperature));
    m.high = u.high;
    m.low = u.low;
  }
  if (call.softcap > 0) {
    const F64 c = splat(call.softcap);
    const Pair<F64> x = divide_exactly(m.high, c);
    const Tanh capped = tanh(x.high, x.low + m.low / c);
    m = {c * capped.value, F64{}, capped.slope};
  }
  return m;
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
