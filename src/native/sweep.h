// How a row is walked and summed: the order depends on the number of classes only.
#pragma once

#include "memory.h"

namespace crossent::CROSSENT_ISA {
namespace {

// step(k, Full) for whole vectors, step(k, count) for what is left of `count` numbers.
template <class C, class Step>
INLINE void sweep(int64_t count, Step step) {
  int64_t k = 0;
  for (; k + kLanes<C> <= count; k += kLanes<C>) step(k, Full{});
  if (k < count) step(k, int(count - k));
}

// As sweep, in groups of `Group` vectors where there are as many: group(k), then step(k, n).
template <class C, int Group, class Whole, class Step>
INLINE void sweep_groups(int64_t count, Whole whole, Step step) {
  constexpr int kWidth = Group * kLanes<C>;
  int64_t k = 0;
  for (; k + kWidth <= count; k += kWidth) whole(k);
  for (; k + kLanes<C> <= count; k += kLanes<C>) step(k, Full{});
  if (k < count) step(k, int(count - k));
}

// to[k] = value(k, n) as in a sweep; past the caches, where they are `streamed`.
template <class T, class Value>
INLINE void sweep_into(T* to, int64_t count, bool streamed, Value value) {
  using C = Compute<T>;
  if (!streamed) return sweep<C>(count, [&](int64_t k, auto n) INLINED { store(to + k, n, value(k, n)); });
  constexpr int64_t kVector = kLanes<C> * int64_t(sizeof(T));
  const int64_t before = (kVector - int64_t(uintptr_t(to) % kVector)) % kVector / int64_t(sizeof(T));
  int64_t k = before < count ? before : count;
  if (k > 0) store(to, int(k), value(0, int(k)));
  for (; k + kLanes<C> <= count; k += kLanes<C>) stream(to + k, value(k, Full{}));
  if (k < count) store(to + k, int(count - k), value(k, int(count - k)));
}

template <class C>
INLINE C largest_lane(Vec<C> x) {
  C lanes[kLanes<C>];
  __builtin_memcpy(lanes, &x, sizeof lanes);
  for (int half = kLanes<C> / 2; half; half /= 2)
    for (int i = 0; i < half; ++i) lanes[i] = lanes[i] > lanes[i + half] ? lanes[i] : lanes[i + half];
  return lanes[0];
}

INLINE double sum_of_lanes(F64 x) {
  double lanes[kLanes<double>];
  __builtin_memcpy(lanes, &x, sizeof lanes);
  for (int half = kLanes<double> / 2; half; half /= 2)
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

INLINE Pair<F64> widen(F32 x) {
  F32Half halves[2];
  __builtin_memcpy(halves, &x, sizeof halves);
  return {to_float64(halves[0]), to_float64(halves[1])};
}

// A running sum: float32 is widened to float64, float64 carries its rounding errors along.
template <class C>
struct Sum;

template <>
struct Sum<float> {
  F64 first{}, second{};
  INLINE void add(F32 x) {
    const Pair<F64> wide = widen(x);
    first += wide.high;
    second += wide.low;
  }
  INLINE void add_product(F32 a, F32 b) {  // the product is exact in float64
    const Pair<F64> x = widen(a), y = widen(b);
    first = fma(x.high, y.high, first);
    second = fma(x.low, y.low, second);
  }
  INLINE double total() const { return sum_of_lanes(first + second); }
  INLINE Pair<double> total_exactly() const { return {total(), 0}; }
};

template <>
struct Sum<double> {
  F64 sum{}, error{};
  INLINE void add(F64 x) {
    const Pair<F64> next = two_sum(sum, x);
    sum = next.high;
    error += next.low;
  }
  INLINE void add_product(F64 a, F64 b) {
    const Pair<F64> product = two_product(a, b);
    add(product.high);
    error += product.low;
  }
  INLINE double total() const { return total_exactly().high; }
  INLINE Pair<double> total_exactly() const {
    double total = 0, rest = 0;
    for (int i = 0; i < kLanes<double>; ++i) {
      const double next = total + sum[i], back = next - total;
      rest += (total - (next - back)) + (sum[i] - back);
      total = next;
    }
    rest += sum_of_lanes(error);
    if (rest != rest) return {total, 0};  // an infinite sum has no error to speak of
    return two_sum(total, rest);
  }
};

// A float64 number for each row of a block.
template <class C>
struct PerRow {
  static constexpr int kParts = int(sizeof(double) / sizeof(C));
  F64 part[kParts];
};

INLINE PerRow<float> per_row(F32 x) {
  const Pair<F64> wide = widen(x);
  return {{wide.high, wide.low}};
}
INLINE PerRow<double> per_row(F64 x) { return {{x}}; }
INLINE F32 narrow(const PerRow<float>& x) {
  return whole_of<F32>(__builtin_convertvector(x.part[0], F32Half), __builtin_convertvector(x.part[1], F32Half));
}
INLINE F64 narrow(const PerRow<double>& x) { return x.part[0]; }

// How many vectors of exponentials are worked on at once (more float64 ones would spill).
template <class C>
constexpr int kGroup = sizeof(C) == 4 ? 4 : 2;

template <class C>
INLINE void add_group(Sum<C>& sum, const Vec<C>* x) {  // pairs: one rounding before the wide sum
  for (int i = 0; i < kGroup<C>; i += 2) sum.add(x[i] + x[i + 1]);
}

template <class T>
INLINE Compute<T> row_maximum(const T* row, int64_t count) {  // NaN is passed over
  using C = Compute<T>;
  const Vec<C> lowest = splat(-C(kInf));
  Vec<C> best[4] = {lowest, lowest, lowest, lowest};
  sweep_groups<C, 4>(
      count,
      [&](int64_t k) INLINED {
        for (int i = 0; i < 4; ++i) {
          const Vec<C> x = load(row + k + i * kLanes<C>, Full{});
          best[i] = select(x > best[i], x, best[i]);
        }
      },
      [&](int64_t k, auto n) INLINED {
        const Vec<C> x = load(row + k, n, -C(kInf));
        best[0] = select(x > best[0], x, best[0]);
      });
  for (int i = 1; i < 4; ++i) best[0] = select(best[i] > best[0], best[i], best[0]);
  return largest_lane<C>(best[0]);
}

template <class T>
INLINE bool row_has_nan(const T* row, int64_t count) {
  using C = Compute<T>;
  Mask<C> found{};
  sweep<C>(count, [&](int64_t k, auto n) INLINED {
    const Vec<C> x = load(row + k, n, C(0));
    found |= x != x;
  });
  for (int i = 0; i < kLanes<C>; ++i)
    if (found[i]) return true;
  return false;
}

template <class T>
INLINE void fill_row(T* row, int64_t count, Compute<T> value) {
  sweep<Compute<T>>(count, [&](int64_t k, auto n) INLINED { store(row + k, n, splat(value)); });
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
