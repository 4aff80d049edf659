// Classes along an axis that is not the last: (outer, K, inner). Tiles of columns become rows in a buffer,
// where the kernels for rows work on them, so that the bits are theirs.
#pragma once

#include <utility>

#include "kernels.h"
#include "sweep.h"

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

template <class T>
struct Tile2D {
  int64_t outer, from, width;  // columns from ... from + width of one matrix

  INLINE Tile2D(const ColumnsCall& call, int64_t item) {
    const int64_t tiles = (call.inner + call.width - 1) / call.width;
    outer = item / tiles;
    from = item % tiles * call.width;
    width = at_most(call.width, call.inner - from);
  }
  INLINE int64_t number(const ColumnsCall& call) const { return outer * call.n_classes * call.inner + from; }
  INLINE int64_t row(const ColumnsCall& call) const { return outer * call.inner + from; }
};

// A kernel from rows to rows of the compute dtype, for the tiles begin ... end.
template <class T, Kernel<RowsCall> rows>
void columns(const ColumnsCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  C buffer[kColumnNumbers];
  for (int64_t item = begin; item < end; ++item) {
    const Tile2D<T> tile(call, item);
    const int64_t at = tile.number(call), K = call.n_classes;
    turn((const T*)call.logits + at, call.inner, buffer, K, K, tile.width);
    rows(RowsCall{buffer, nullptr, buffer, K}, 0, tile.width);
    turn((const C*)buffer, K, (T*)call.out + at, call.inner, tile.width, K);
  }
}

// A kernel from rows to one number a row.
template <class T, Kernel<RowsCall> rows>
void reduced_columns(const ColumnsCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  C buffer[kColumnNumbers], results[kWidestTile];
  for (int64_t item = begin; item < end; ++item) {
    const Tile2D<T> tile(call, item);
    const int64_t K = call.n_classes;
    turn((const T*)call.logits + tile.number(call), call.inner, buffer, K, K, tile.width);
    rows(RowsCall{buffer, nullptr, results, K}, 0, tile.width);
    T* out = (T*)call.out + tile.row(call);
    sweep<C>(tile.width, [&](int64_t i, auto n) INLINED { store(out + i, n, load(results + i, n)); });
  }
}

// A loss of rows; labels, weights and losses lie as (outer, inner).
template <class T, LossKernel<CrossEntropyCall> rows>
double loss_columns(const ColumnsCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  C buffer[kColumnNumbers];
  double total = 0;
  for (int64_t item = begin; item < end; ++item) {
    const Tile2D<T> tile(call, item);
    const int64_t at = tile.number(call), row = tile.row(call), K = call.n_classes;
    turn((const T*)call.logits + at, call.inner, buffer, K, K, tile.width);
    CrossEntropyCall of_rows = *call.loss;
    of_rows.logits = buffer;
    of_rows.labels += row;
    if (of_rows.row_weight) of_rows.row_weight += row;
    if (of_rows.loss) of_rows.loss += row;
    of_rows.out = call.out ? buffer : nullptr;
    total += rows(of_rows, 0, tile.width);
    if (call.out) turn((const C*)buffer, K, (T*)call.out + at, call.inner, tile.width, K);
  }
  return total;
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
