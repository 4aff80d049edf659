// Two classes by one logit: the sigmoid and its cross-entropy, element by element.
//
// With d = exp(-|u|), in which neither tail overflows or loses digits:
//   sigmoid(|u|) = 1 / (1 + d), sigmoid(-|u|) = d / (1 + d), softplus(u) = max(u, 0) + log1p(d).
#pragma once

#include "loss_row.h"

namespace crossent::CROSSENT_ISA {
namespace {

template <class V>
INLINE V sigmoid(V x) {
  const V decay = exp(-absolute(x)), one = splat(Element<V>(1));
  return select(x < 0, decay, one) / (one + decay);
}

// Odd and even terms apart: half as long a chain of dependent steps.
template <class V, int N>
INLINE V polynomial(V x, const Element<V> (&c)[N]) {
  static_assert(N % 2 == 0);
  const V square = x * x;
  V even = splat(c[N - 2]), odd = splat(c[N - 1]);
  for (int i = N - 4; i >= 0; i -= 2) {
    even = fma(even, square, splat(c[i]));
    odd = fma(odd, square, splat(c[i + 1]));
  }
  return fma(odd, x, even);
}

// log(1 + d) = d - d^2 q(d - 1/2) for d in [0, 1]; q is a minimax fit, weighted by what it adds to the result.
INLINE F32 log1p_of_decay(F32 d) {
  constexpr float q[] = {
      0x1.833704p-2f, -0x1.6f0d78p-3f, 0x1.7ddefep-4f, -0x1.a27dccp-5f, 0x1.da5182p-6f,
      -0x1.1284acp-6f, 0x1.40eba6p-7f, -0x1.908dccp-8f, 0x1.1a03fcp-8f, -0x1.0fb49ap-9f};
  return fma(-(d * d), polynomial(d - splat(0.5f), q), d);
}
INLINE F64 log1p_of_decay(F64 d) {
  constexpr double q[] = {
      0x1.833704d019ed0p-2, -0x1.6f0d7bd624beep-3, 0x1.7ddf1fe86abbap-4, -0x1.a279c04c7822dp-5,
      0x1.da34824885fe5p-6, -0x1.131116fc40ceap-6, 0x1.44ba45daa0e4ep-7, -0x1.84904ebdea754p-8,
      0x1.d5faf17af1393p-9, -0x1.1ebd45b5957d6p-9, 0x1.607601753242dp-10, -0x1.b3dd011c407a2p-11,
      0x1.0ecfeab7f4c94p-11, -0x1.532c89a42826fp-12, 0x1.adb938f7ffb48p-13, -0x1.0725ee4021d9ep-13,
      0x1.29d861e72bf5bp-14, -0x1.b9af236788545p-15, 0x1.ad8ffb5710a41p-15, -0x1.aad304fc7348bp-16};
  return fma(-(d * d), polynomial(d - splat(0.5), q), d);
}

template <class T>
void sigmoid_elements(const RowsCall& call, int64_t begin, int64_t end) {
  const T* x = (const T*)call.first + begin;
  T* out = (T*)call.out + begin;
  sweep<Compute<T>>(end - begin,
                    [&](int64_t k, auto n) INLINED { store(out + k, n, sigmoid(load(x + k, n))); });
}

// The probability of class 1: as given, or a label 0 or 1.
template <class C>
struct Probabilities {
  const C* targets;
  template <class V, class N>
  INLINE void read(int64_t k, N n, V& y) const {
    if constexpr (sizeof(y[0]) == sizeof(C))
      y = load(targets + k, n);
    else
      y = load_wide(targets + k, n);
  }
};
struct Labels {
  const int64_t* labels;
  template <class N>
  INLINE void read(int64_t k, N n, F64& y) const {
    I64 label{};
    if constexpr (sizeof(N) == sizeof(Full))
      label = load_bits<I64>(labels + k);
    else
      label = load_bits<I64>(labels + k, n);
    y = select(label != 0, splat(1.0), F64{});
  }
  INLINE void read(int64_t k, Full, F32& y) const {
    F64 low, high;
    read(k, Full{}, low);
    read(k + kLanes<double>, Full{}, high);
    const F32Half halves[2] = {to_float32(low), to_float32(high)};
    __builtin_memcpy(&y, halves, sizeof y);
  }
  INLINE void read(int64_t k, int n, F32& y) const {
    for (int i = 0; i < n; ++i) y[i] = float(labels[k + i]);
  }
};

INLINE void store_losses(double* to, Full, F64 x) { store(to, Full{}, x); }
INLINE void store_losses(double* to, int n, F64 x) { store(to, n, x); }
INLINE void store_losses(double* to, Full, F32 x) {
  const Pair<F64> wide = widen(x);
  store(to, Full{}, wide.high);
  store(to + kLanes<double>, Full{}, wide.low);
}
INLINE void store_losses(double* to, int n, F32 x) {
  for (int i = 0; i < n; ++i) to[i] = x[i];
}

// Without options. Every term is positive, so nothing cancels: E = log1p(d) + c |u|, with c what the
// target gives to the less likely class; the gradient (1 - y) sigmoid(u) - y sigmoid(-u).
template <class T, class Truth>
INLINE double plain_binary(const BinaryCall& call, const Truth& truth, int64_t begin, int64_t end) {
  using C = Compute<T>;
  const T* x = (const T*)call.logits;
  const Vec<C> one = splat(C(1)), factor = splat(C(call.gradient_factor));
  const Vec<C> rest_of_factor = splat(C(call.gradient_factor - double(C(call.gradient_factor))));
  Sum<C> total;
  sweep<C>(end - begin, [&](int64_t at, auto n) INLINED {
    const int64_t k = begin + at;
    const Vec<C> u = load(x + k, n), size = absolute(u), decay = exp(-size);
    Vec<C> y{};
    truth.read(k, n, y);
    const Mask<C> positive = u > 0;
    const Vec<C> wrong = select(positive, one - y, y);
    const Vec<C> right = log1p_of_decay(decay), loss = select(wrong == 0, right, fma(wrong, size, right));
    if (call.loss) store_losses(call.loss + k, n, loss);
    total.add(keep(n, loss, Vec<C>{}));
    if (call.out) {
      const Vec<C> of_0 = select(positive, one, decay), of_1 = select(positive, decay, one);
      const Vec<C> slope = fma(-y, of_1, fma(-y, of_0, of_0));
      store((T*)call.out + k, n, multiply(slope / (one + decay), factor, rest_of_factor));
    }
  });
  return total.total();
}

// log(1 + exp(x))
INLINE F64 softplus(F64 x) {
  return select(x > 0, x, F64{}) + log1p(exp(-absolute(x)));
}

// weight * value, where a weight of 0 makes even an infinity 0.
INLINE F64 zero_times(F64 weight, F64 value) {
  return select((weight == 0) & (value == kInf), F64{}, weight * value);
}

// With all options, in float64.
template <class T, class Truth>
INLINE double general_binary(const BinaryCall& call, const Truth& truth, int64_t begin, int64_t end) {
  const T* x = (const T*)call.logits;
  const F64 temperature = splat(call.temperature), kept = splat(1 - call.label_smoothing);
  const F64 half = splat(call.label_smoothing / 2);
  F64 total{};
  sweep<double>(end - begin, [&](int64_t at, auto n) INLINED {
    const int64_t k = begin + at;
    const F64 weight = call.row_weight ? load(call.row_weight + k, n) : splat(1.0);
    const I64 present = weight != 0;
    const F64 u = select(present, load_wide(x + k, n), F64{}) / temperature;
    F64 given{};
    truth.read(k, n, given);
    const F64 y = select(present, given, F64{});
    const F64 of_1 = splat(call.weight_of_1) * (kept * y + half);
    const F64 of_0 = splat(call.weight_of_0) * (kept * (splat(1.0) - y) + half);
    const F64 loss = zero_times(of_1, softplus(-u)) + zero_times(of_0, softplus(u));
    const F64 weighted = select(present, weight * loss, F64{});
    if (call.loss) store(call.loss + k, n, weighted);
    total += keep(n, weighted, F64{});
    if (call.out) {
      const F64 slope = of_0 * sigmoid(u) - of_1 * sigmoid(-u);
      store_wide((T*)call.out + k, n, splat(call.gradient_factor) * weight * slope / temperature);
    }
  });
  return sum_of_lanes(total);
}

template <class T>
double binary_cross_entropy_elements(const BinaryCall& call, int64_t begin, int64_t end) {
  const Labels labels{call.labels};
  const Probabilities<Compute<T>> targets{(const Compute<T>*)call.targets};
  if (call.plain) {
    if (call.labels) return plain_binary<T>(call, labels, begin, end);
    return plain_binary<T>(call, targets, begin, end);
  }
  if (call.labels) return general_binary<T>(call, labels, begin, end);
  return general_binary<T>(call, targets, begin, end);
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
