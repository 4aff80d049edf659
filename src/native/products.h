// Matrix products out = start + a b. Each number is summed in one order, whatever the threads and the tiles.
//
// A tile of the result at a time; its panels of a and b are copied so that both are read in a row, and
// summed up in registers (Goto and van de Geijn, 2008). An operand that only one panel of the other is
// multiplied with is read where it lies.
#pragma once

#include <type_traits>

#include "kernels.h"
#include "transpose.h"

namespace crossent::CROSSENT_ISA {
namespace {

constexpr int kDepth = 256;        // products added up before they are added to the result
constexpr int kAtOnce = 32;        // rows of b that are read side by side: as many as a processor foresees
constexpr int64_t kTileRows = 512;
#if defined(__AVX512F__)
constexpr int kTall = 14, kNarrowVectors = 4;  // rows whose sums are held in registers; vectors of fewer rows
#else
constexpr int kTall = 6, kNarrowVectors = 2;
#endif
constexpr int kVectors = 2;  // of each of kTall rows
template <class T>
constexpr int kWide = kVectors * kLanes<T>;
template <class T>
constexpr int kLine = 64 / sizeof(T);  // numbers that memory gives at a time

template <class T>
struct Matrix {
  T* at;
  int64_t row, column;  // steps

  INLINE Matrix from(int64_t i, int64_t j) const { return {at + i * row + j * column, row, column}; }
};

// What a panel's sums are added to, and where they go; both have neighbouring columns.
template <class T>
struct Result {
  Matrix<const T> start;  // at null: nothing
  Matrix<T> out;
  bool in_order;  // the sums begin with it

  INLINE Result from(int64_t i, int64_t j) const {
    return {start.at ? start.from(i, j) : start, out.from(i, j), in_order};
  }
};

// `rows` rows of a panel's product, R at most. left(k, i) is a number of a, by reference where its place costs nothing
// to find twice; b's rows are `b_row` apart; its last vector has `last` lanes. prefetch(k) fetches what comes next.
template <int R, int Vectors, class T, class Left, class N, class Prefetch>
INLINE void multiply_panel(Left left, const T* b, int64_t b_row, int64_t depth, const Result<T>& result, int rows,
                           N last, Prefetch prefetch) {
  constexpr int L = kLanes<T>, end = Vectors - 1;
  Vec<T> sum[R][Vectors] = {};
  const bool continued = result.start.at && result.in_order, added = result.start.at && !result.in_order;
  if (continued)
#pragma GCC unroll 14
    for (int i = 0; i < R; ++i) {
      const T* start = result.start.at + (i < rows ? i : 0) * result.start.row;
#pragma GCC unroll 4
      for (int v = 0; v < end; ++v) sum[i][v] = load(start + v * L, Full{});
      sum[i][end] = load(start + end * L, last);
    }
#pragma GCC unroll 2
  for (int64_t k = 0; k < depth; ++k, b += b_row) {
    Vec<T> right[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < end; ++v) right[v] = load(b + v * L, Full{});
    right[end] = load(b + end * L, last);
    prefetch(k);
#pragma GCC unroll 14
    for (int i = 0; i < R; ++i) {
      if constexpr (std::is_reference_v<decltype(left(k, i))>) {
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) sum[i][v] = fma_of(left(k, i), right[v], sum[i][v]);
      } else {
        const Vec<T> number = splat(left(k, i));
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) sum[i][v] = fma(number, right[v], sum[i][v]);
      }
    }
  }
#pragma GCC unroll 14
  for (int i = 0; i < R; ++i) {
    if (i >= rows) break;
    const T* start = result.start.at + i * result.start.row;
    T* out = result.out.at + i * result.out.row;
#pragma GCC unroll 4
    for (int v = 0; v < end; ++v) {
      if (added) sum[i][v] += load(start + v * L, Full{});
      store(out + v * L, Full{}, sum[i][v]);
    }
    if (added) sum[i][end] += load(start + end * L, last);
    store(out + end * L, last, sum[i][end]);
  }
}

struct Nothing {
  INLINE void operator()(int64_t) const {}
};

// The same, `columns` wide: whole panels of whole vectors, or what is left at the edges.
template <int R, class T, class Left, class Prefetch = Nothing>
INLINE void multiply(Left left, const T* b, int64_t b_row, int64_t depth, const Result<T>& result, int rows,
                     int columns, Prefetch prefetch = {}) {
  if (columns == kWide<T>)
    multiply_panel<R, 2>(left, b, b_row, depth, result, rows, Full{}, prefetch);
  else if (columns > kLanes<T>)
    multiply_panel<R, 2>(left, b, b_row, depth, result, rows, columns - kLanes<T>, prefetch);
  else
    multiply_panel<R, 1>(left, b, b_row, depth, result, rows, columns, prefetch);
}

// The same of 1 ... kTall rows, where they are few by fewer sums.
template <class T, class Left, class Prefetch = Nothing>
INLINE void multiply_rows(Left left, const T* b, int64_t b_row, int64_t depth, const Result<T>& result, int rows,
                          int columns, Prefetch prefetch = {}) {
  if (rows <= 2)
    multiply<2>(left, b, b_row, depth, result, rows, columns, prefetch);
  else if (rows * 2 <= kTall)
    multiply<kTall / 2>(left, b, b_row, depth, result, rows, columns, prefetch);
  else
    multiply<kTall>(left, b, b_row, depth, result, rows, columns, prefetch);
}

// panel[k * Width + i] = from(i, k), zeros from `count` to Width. With `Next`, the panel after it is asked for.
template <int Width, bool Next = false, class T>
INLINE void pack(Matrix<const T> from, int count, int64_t depth, T* panel) {
  constexpr int L = kLanes<T>, whole = Width / L * L;
  if (from.row == 1 && count == Width) {
    for (int64_t k = 0; k < depth; ++k, panel += Width) {
      const T* at = from.at + k * from.column;
      for (int i = 0; Next && i < Width; i += kLine<T>) __builtin_prefetch(at + Width + i, 0, 2);
#pragma GCC unroll 4
      for (int i = 0; i < whole; i += L) store(panel + i, Full{}, load(at + i, Full{}));
      if constexpr (whole < Width) store(panel + whole, Width - whole, load(at + whole, Width - whole));
    }
  } else if (from.column == 1) {
    for (int i = 0; i < Width; i += L)
      for (int64_t k = 0; k < depth; k += L) {
        Vec<T> block[L];
        const int n = int(at_most(L, depth - k)), width = int(at_most(L, Width - i));
        const T* at = from.at + i * from.row + k;
        for (int r = 0; Next && r < L; ++r) __builtin_prefetch(at + (Width + r) * from.row, 0, 2);
        if (n == L)
          for (int r = 0; r < L; ++r) block[r] = i + r < count ? load(at + r * from.row, Full{}) : Vec<T>{};
        else
          for (int r = 0; r < L; ++r) block[r] = i + r < count ? load(at + r * from.row, n) : Vec<T>{};
        transpose(block);
        for (int r = 0; r < n; ++r) store(panel + (k + r) * Width + i, width, block[r]);
      }
  } else {
    for (int64_t k = 0; k < depth; ++k, panel += Width)
      for (int i = 0; i < Width; ++i) panel[i] = i < count ? from.from(i, k).at[0] : T(0);
  }
}

// One tile's share of kDepth terms: a (m, depth), b (depth, p).
template <class T>
struct TileStep {
  static constexpr int W = kWide<T>;
  Matrix<const T> a, b;
  Result<T> result;
  int64_t m, p, depth;

  INLINE int rows(int64_t i, int most) const { return int(at_most(most, m - i)); }
  INLINE int columns(int64_t j) const { return int(at_most(W, p - j)); }

  // b is one panel, of more vectors the fewer rows: a is read where it lies, a number at a time.
  void narrow(T* panel) const {
    constexpr int L = kLanes<T>, rows = kTall < 8 ? kTall : 8;
    if (p <= L) return narrow_rows<rows, 1>(panel);
    if (p <= 2 * L) return narrow_rows<rows, 2>(panel);
    if constexpr (kNarrowVectors == 4) {
      if (p <= 3 * L) return narrow_rows<rows, 3>(panel);
      narrow_rows<6, 4>(panel);
    }
  }

  template <int R, int Vectors>
  void narrow_rows(T* panel) const {
    constexpr int L = kLanes<T>, width = Vectors * L;
    pack<width>(Matrix<const T>{b.at, b.column, b.row}, int(p), depth, panel);
    for (int64_t i = 0; i < m; i += R) {
      const int here = rows(i, R);
      const T* row[R];
      for (int r = 0; r < R; ++r) row[r] = a.from(i + (r < here ? r : 0), 0).at;
      const auto put = [&](auto left, auto prefetch) INLINED {
        const Result<T> to = result.from(i, 0);
        if (p == width)
          multiply_panel<R, Vectors>(left, panel, width, depth, to, here, Full{}, prefetch);
        else
          multiply_panel<R, Vectors>(left, panel, width, depth, to, here, int(p) - width + L, prefetch);
      };
      const T* next = a.from(i + R < m ? i + R : i, 0).at;
      const auto prefetch = [&](int64_t k) INLINED {
        if (k < depth / kLine<T> * R) __builtin_prefetch(next + k % R * a.row + k / R * kLine<T>, 0, 2);
      };
      if (a.column == 1)
        put([&](int64_t k, int r) INLINED { return row[r][k]; }, prefetch);
      else
        put([&](int64_t k, int r) INLINED { return row[r][k * a.column]; }, Nothing{});
    }
  }

  // a is one panel: b is read where it lies, a few rows at a time, each all along the tile.
  void flat(T* memory) const {
    T* panel = memory;
    const Matrix<T> sums{memory + kDepth * kTall, p, 1};
    const bool direct = result.in_order || depth <= kAtOnce;
    pack<kTall>(a, int(m), depth, panel);
    for (int64_t k = 0; k < depth; k += kAtOnce) {
      Result<T> here = direct ? result : Result<T>{{nullptr, 0, 1}, sums, true};
      if (k > 0) here.start = {here.out.at, here.out.row, 1};
      flat_rows(panel + k * kTall, b.from(k, 0), at_most(kAtOnce, depth - k), here, m, p);
    }
    if (direct) return;
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < p; ++j) {
        const T sum = *sums.from(i, j).at;
        *result.out.from(i, j).at = result.start.at ? *result.start.from(i, j).at + sum : sum;
      }
  }

  static void flat_rows(const T* panel, Matrix<const T> b, int64_t depth, const Result<T>& result, int64_t m,
                        int64_t p) {
    const auto left = [&](int64_t k, int i) INLINED -> const T& { return panel[k * kTall + i]; };
    for (int64_t j = 0; j < p; j += W) {
      const T* at = b.from(0, j).at;
      const int columns = int(at_most(W, p - j));
      const auto prefetch = [&](int64_t k) INLINED {
        for (int v = 0; v < W; v += kLine<T>) __builtin_prefetch(at + (kAtOnce + k) * b.row + v, 0, 2);
      };
      multiply_rows(left, at, b.row, depth, result.from(0, j), int(m), columns, prefetch);
    }
  }

  void packed(T* panels) const {
    alignas(64) T panel[kDepth * kTall];
    for (int64_t j = 0; j < p; j += W)
      pack<W, true>(Matrix<const T>{b.from(0, j).at, b.column, b.row}, columns(j), depth, panels + j * depth);
    for (int64_t i = 0; i < m; i += kTall) {
      pack<kTall>(a.from(i, 0), rows(i, kTall), depth, panel);
      const auto left = [&](int64_t k, int r) INLINED -> const T& { return panel[k * kTall + r]; };
      // Short rows, or columns, far apart in memory are what no processor foresees.
      const Matrix<const T> next = a.from(i + kTall < m ? i + kTall : i, 0);
      const auto prefetch = [&](int64_t k) INLINED {
        const int64_t row = a.row == 1 ? kTall - 1 : k % kTall, column = a.row == 1 ? k : k / kTall * kLine<T>;
        __builtin_prefetch(next.at + row * next.row + column * next.column, 0, 2);
      };
      for (int64_t j = 0; j < p; j += W) {
        const T* b_panel = panels + j * depth;
        if (j == 0)
          multiply_rows(left, b_panel, W, depth, result.from(i, j), rows(i, kTall), columns(j), prefetch);
        else
          multiply_rows(left, b_panel, W, depth, result.from(i, j), rows(i, kTall), columns(j));
      }
    }
  }
};

// The tiles of the result, and how many there are: even ones, enough for the threads.
template <class T>
int64_t plan_product(ProductCall& call, int threads) {
  constexpr int W = kWide<T>;
  const auto parts = [](int64_t size, int64_t part) { return (size + part - 1) / part; };
  const auto even = [&](int64_t size, int64_t count, int64_t unit) { return parts(parts(size, count), unit) * unit; };
  const int64_t depth = call.c < 1 ? 1 : at_most(call.c, kDepth), most = kProductNumbers / depth / W * W;
  const int64_t rows = parts(call.m, kTall), columns = parts(call.p, W);  // panels
  int64_t across = parts(call.p, most), down = parts(call.m, kTileRows);
  if (across * down < 4 * threads) {
    int64_t& more = rows < columns ? across : down;
    more = at_most(rows < columns ? columns : rows, parts(more, threads) * threads);
  }
  call.tile_m = even(call.m, down, kTall);
  call.tile_p = even(call.p, across, W);
  return parts(call.m, call.tile_m) * parts(call.p, call.tile_p);
}

template <class T>
void product_tiles(const ProductCall& call, int64_t begin, int64_t end, void* panels) {
  const Matrix<const T> a{(const T*)call.a, call.a_row, call.a_column};
  const Matrix<const T> b{(const T*)call.b, call.b_row, call.b_column};
  const Matrix<const T> start{(const T*)call.start, call.start_row, 1};
  const Matrix<T> out{(T*)call.out, call.out_row, 1};
  const int64_t across = (call.p + call.tile_p - 1) / call.tile_p;
  for (int64_t item = begin; item < end; ++item) {
    const int64_t i = item / across * call.tile_m, j = item % across * call.tile_p;
    Result<T> result = Result<T>{start, out, call.in_order}.from(i, j);
    const int64_t m = at_most(call.tile_m, call.m - i), p = at_most(call.tile_p, call.p - j);
    const int64_t wide = a.column == 1 && m > kTall ? kNarrowVectors * kLanes<T> : kWide<T>;
    const bool narrow = p <= wide, flat = !narrow && m <= kTall && b.column == 1;
    for (int64_t k = 0; k < call.c || k == 0; k += kDepth) {
      const TileStep<T> step{a.from(i, k), b.from(k, j), result, m, p, at_most(kDepth, call.c - k)};
      if (narrow)
        step.narrow((T*)panels);
      else if (flat)
        step.flat((T*)panels);
      else
        step.packed((T*)panels);
      result.start = {result.out.at, result.out.row, 1};
    }
  }
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
