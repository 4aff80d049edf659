// Reductions of many vectors at once: lane r of the result is the reduction of vector r.
//
// Halves of the lanes are folded onto each other, two vectors at a time, so that every step works on
// full vectors; one vector alone would fold mostly empty lanes.
#pragma once

#include <utility>

#include "simd.h"

namespace crossent::CROSSENT_ISA {
namespace {

// Of two vectors in groups of `Group` lanes, the first (or, with `Upper`, the second) half of each group.
template <int Group, bool Upper, class V, int... Lane>
INLINE V halves_at(V a, V b, std::integer_sequence<int, Lane...>) {
  return __builtin_shufflevector(
      a, b, (Lane / (Group / 2) * Group + Lane % (Group / 2) + (Upper ? Group / 2 : 0))...);
}
template <int Group, bool Upper, class V>
INLINE V halves(V a, V b) {
  return halves_at<Group, Upper>(a, b, std::make_integer_sequence<int, int(sizeof(V) / sizeof(a[0]))>{});
}

// Folds the vectors of an array, as many as there are lanes, into its first; it is overwritten.
template <int Group, class V, class Fold>
INLINE V fold_groups(V* vectors, Fold fold) {
  if constexpr (Group == 1) {
    return vectors[0];
  } else {
    for (int i = 0; i < Group / 2; ++i) {
      const V a = vectors[2 * i], b = vectors[2 * i + 1];
      vectors[i] = fold(halves<Group, false>(a, b), halves<Group, true>(a, b));
    }
    return fold_groups<Group / 2>(vectors, fold);
  }
}
template <class V, class Fold>
INLINE V fold_lanes(V* vectors, Fold fold) {
  return fold_groups<int(sizeof(V) / sizeof(vectors[0][0]))>(vectors, fold);
}

// The same for sums with their rounding errors.
template <int Group>
INLINE Pair<F64> sum_groups(F64* sums, F64* errors) {
  if constexpr (Group == 1) {
    return {sums[0], errors[0]};
  } else {
    for (int i = 0; i < Group / 2; ++i) {
      const F64 a = sums[2 * i], b = sums[2 * i + 1], e = errors[2 * i], f = errors[2 * i + 1];
      const Pair<F64> sum = two_sum(halves<Group, false>(a, b), halves<Group, true>(a, b));
      sums[i] = sum.high;
      errors[i] = sum.low + (halves<Group, false>(e, f) + halves<Group, true>(e, f));
    }
    return sum_groups<Group / 2>(sums, errors);
  }
}
INLINE Pair<F64> sum_lanes(F64* sums, F64* errors) {
  return sum_groups<kBytes / int(sizeof(double))>(sums, errors);
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
