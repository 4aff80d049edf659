// Numbers twice as precise as their vectors, as sums of two: what a row's sums, quotients and logarithms are
// computed in. One lane a row.
#pragma once

#include "kernels.h"
#include "shift.h"

namespace crossent::CROSSENT_ISA {
namespace {

template <class V>
INLINE V zero_if_nan(V x) {
  return select(x == x, x, V{});
}

// A running sum and its rounding errors.
template <class V>
struct PairSum {
  V sum, error{};

  INLINE explicit PairSum(V first) : sum(first) {}
  INLINE void add(V x) {
    const Pair<V> next = two_sum(sum, x);
    sum = next.high;
    error += next.low;
  }
  INLINE Pair<V> total() const { return quick_two_sum(sum, zero_if_nan(error)); }
};

// term(0) + ... + term(count - 1)
template <class V, class Term>
INLINE Pair<V> sum_of(int count, Term term) {
  if (count == 0) return {V{}, V{}};
  PairSum<V> sum(term(0));
  for (int k = 1; k < count; ++k) sum.add(term(k));
  return sum.total();
}

// The same to half an ulp: terms are added in pairs first.
template <class V, class Term>
INLINE Pair<V> sum_of_pairs(int count, Term term) {
  PairSum<V> sum(count > 1 ? term(0) + term(1) : term(0));
  int k = 2;
  for (; k + 1 < count; k += 2) sum.add(term(k) + term(k + 1));
  if (k < count) sum.add(term(k));
  return sum.total();
}

template <class V>
INLINE Pair<V> times(Pair<V> a, Pair<V> b) {
  const Pair<V> product = two_product(a.high, b.high);
  return {product.high, product.low + (a.high * b.low + a.low * b.high)};
}

template <class V>
INLINE Pair<V> reciprocal(Pair<V> x) {
  const V one = splat(Element<V>(1)), high = one / x.high;
  const Pair<V> product = two_product(high, x.high);
  return {high, high * (((one - product.high) - product.low) - high * x.low)};
}

// A float64 number for each row, as a pair of C.
INLINE Pair<F64> pair_of(const PerRow<double>& x) { return {x.part[0], F64{}}; }
INLINE Pair<F32> pair_of(const PerRow<float>& x) {
  const F32 high = narrow(x);
  const PerRow<float> back = per_row(high);
  return {high, zero_if_nan(narrow(PerRow<float>{{x.part[0] - back.part[0], x.part[1] - back.part[1]}}))};
}

// a + (b + c) in float64
template <class V>
INLINE PerRow<Element<V>> wide_sum(V a, V b, V c) {
  PerRow<Element<V>> sum = per_row(a);
  const PerRow<Element<V>> second = per_row(b), third = per_row(c);
  for (int i = 0; i < PerRow<Element<V>>::kParts; ++i) sum.part[i] += second.part[i] + third.part[i];
  return sum;
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
