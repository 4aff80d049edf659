// Matrices turned: tiles of as many rows as a vector has lanes, each by rounds of shuffles.
#pragma once

#include <utility>

#include "memory.h"

namespace crossent::CROSSENT_ISA {
namespace {

template <bool Upper, class V, int... Lane>
INLINE V interleaved_at(V a, V b, std::integer_sequence<int, Lane...>) {
  constexpr int n = sizeof...(Lane);
  return __builtin_shufflevector(a, b, (Lane / 2 + (Upper ? n / 2 : 0) + (Lane % 2 ? n : 0))...);
}
template <bool Upper, class V>
INLINE V interleaved(V a, V b) {
  return interleaved_at<Upper>(a, b, std::make_integer_sequence<int, int(sizeof(V) / sizeof(a[0]))>{});
}

// Lane j of vector i for lane i of vector j: each round halves how far apart neighbours are.
template <class V>
INLINE void transpose(V* vectors) {
  constexpr int n = int(sizeof(V) / sizeof(vectors[0][0]));
  for (int round = 1; round < n; round *= 2) {
    V next[n];
    for (int i = 0; i < n / 2; ++i) {
      next[2 * i] = interleaved<false>(vectors[i], vectors[i + n / 2]);
      next[2 * i + 1] = interleaved<true>(vectors[i], vectors[i + n / 2]);
    }
    for (int i = 0; i < n; ++i) vectors[i] = next[i];
  }
}

INLINE int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

// to[j * to_stride + i] = from[i * from_stride + j] for i < rows and j < columns.
template <class To, class From>
void turn(const From* from, int64_t from_stride, To* to, int64_t to_stride, int64_t rows, int64_t columns) {
  using C = Compute<From>;
  constexpr int n = kLanes<C>;
  for (int64_t i = 0; i < rows; i += n)
    for (int64_t j = 0; j < columns; j += n) {
      Vec<C> block[n];
      const int height = int(at_most(n, rows - i)), width = int(at_most(n, columns - j));
      const From* corner = from + i * from_stride + j;
      if (height == n && width == n)
        for (int r = 0; r < n; ++r) block[r] = load(corner + r * from_stride, Full{});
      else
        for (int r = 0; r < n; ++r) block[r] = r < height ? load(corner + r * from_stride, width) : Vec<C>{};
      transpose(block);
      To* target = to + j * to_stride + i;
      if (height == n && width == n)
        for (int r = 0; r < n; ++r) store(target + r * to_stride, Full{}, block[r]);
      else
        for (int r = 0; r < width; ++r) store(target + r * to_stride, height, block[r]);
    }
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
