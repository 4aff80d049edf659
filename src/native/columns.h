// Classes along an axis that is not the last: (outer, K, inner), in tiles of columns. Here: very many classes, few
// columns, and losses with options. Tiles become rows in a buffer, where the kernels for rows work on them, so that
// the bits are theirs.
#pragma once

#include "kernels.h"
#include "sweep.h"
#include "transpose.h"

namespace crossent::CROSSENT_ISA {
namespace {

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
    rows(RowsCall{buffer, nullptr, buffer, K, false}, 0, tile.width);
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
    rows(RowsCall{buffer, nullptr, results, K, false}, 0, tile.width);
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
