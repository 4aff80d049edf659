// Rows of few numbers, each with its column (SciPy's CSR form), times a weight, and the way back.
//
// The classes of a column lie side by side, so that a number meets one or a few vectors of them. A panel of classes at
// a time: its sums stay in registers.
#pragma once

#include "kernels.h"
#include "transpose.h"

namespace crossent::CROSSENT_ISA {
namespace {

constexpr int kPanelVectors = 8;

template <class T, class Index>
struct SparseRows {
  const T* numbers;
  const Index *columns, *starts;
  int64_t n_columns;

  explicit INLINE SparseRows(const SparseCall& call)
      : numbers((const T*)call.numbers),
        columns((const Index*)call.columns),
        starts((const Index*)call.starts),
        n_columns(call.n_columns) {}

  INLINE bool fits(int64_t row) const {
    bool outside = false;
    for (int64_t p = starts[row]; p < starts[row + 1]; ++p) outside |= uint64_t(columns[p]) >= uint64_t(n_columns);
    return !outside;
  }
};

// body(vectors, last): how many vectors a panel has, and the lanes of its last one.
template <int Vectors = 1, class Body>
INLINE void by_vectors(int64_t classes, int lanes, Body body) {
  if constexpr (Vectors < kPanelVectors)
    if (classes > Vectors * lanes) return by_vectors<Vectors + 1>(classes, lanes, body);
  const std::integral_constant<int, Vectors> vectors;
  if (classes == Vectors * lanes)
    body(vectors, Full{});
  else
    body(vectors, int(classes - (Vectors - 1) * lanes));
}

// body(first class, vectors, last) for each panel.
template <class C, class Body>
INLINE void by_panels(int64_t n_classes, Body body) {
  constexpr int64_t kWidth = kPanelVectors * kLanes<C>;
  for (int64_t first = 0; first < n_classes; first += kWidth)
    by_vectors(at_most(kWidth, n_classes - first), kLanes<C>,
               [&](auto vectors, auto last) INLINED { body(first, vectors, last); });
}

template <int Vectors, class C, class N, class Step>
INLINE void each_vector(N last, Step step) {
#pragma GCC unroll 8
  for (int v = 0; v < Vectors - 1; ++v) step(v, v * kLanes<C>, Full{});
  step(Vectors - 1, (Vectors - 1) * kLanes<C>, last);
}

template <int Vectors, class T, class Index, class N>
void logits_panel(const SparseRows<T, Index>& rows, const SparseCall& call, int64_t first, N last, int64_t begin,
                  int64_t end) {
  const int64_t K = call.n_classes;
  const T* const weight = (const T*)call.weight + first;
  const T* const bias = (const T*)call.bias + first;
  T* const out = (T*)call.out + first;
  for (int64_t i = begin; i < end; ++i) {
    Vec<T> sum[Vectors] = {};
    for (int64_t p = rows.starts[i]; p < rows.starts[i + 1]; ++p) {
      const T* const from = weight + int64_t(rows.columns[p]) * K;
      const Vec<T> number = splat(rows.numbers[p]);
      each_vector<Vectors, T>(last, [&](int v, int k, auto n) INLINED {
        sum[v] = fma(number, load(from + k, n), sum[v]);
      });
    }
    each_vector<Vectors, T>(last, [&](int v, int k, auto n) INLINED {
      store(out + i * K + k, n, sum[v] + load(bias + k, n));
    });
  }
}

// z = phi W^T + b of the rows begin ... end; 1 and nothing written where they have columns that are not there.
template <class T, class Index>
double sparse_logits_of(const SparseCall& call, int64_t begin, int64_t end) {
  const SparseRows<T, Index> rows(call);
  for (int64_t i = begin; i < end; ++i)
    if (!rows.fits(i)) return 1;
  by_panels<T>(call.n_classes, [&](int64_t first, auto vectors, auto last) INLINED {
    logits_panel<decltype(vectors)::value>(rows, call, first, last, begin, end);
  });
  return 0;
}

template <class Index>
constexpr int kIndexLanes = kBytes / int(sizeof(Index));

// Which of some columns lie between first and first + count, a bit each.
INLINE uint32_t columns_within(const int32_t* columns, int n, int64_t first, int64_t count) {
  const I32 at = (I32)(n == kIndexLanes<int32_t> ? load((const float*)columns, Full{}) : load((const float*)columns, n));
  return lane_bits_of((I32)((U32)(at - int32_t(first)) < uint32_t(count))) & ((2u << (n - 1)) - 1);
}
INLINE uint32_t columns_within(const int64_t* columns, int n, int64_t first, int64_t count) {
  const I64 at = (I64)(n == kIndexLanes<int64_t> ? load((const double*)columns, Full{}) : load((const double*)columns, n));
  return lane_bits_of((I64)((U64)(at - first) < uint64_t(count))) & ((2u << (n - 1)) - 1);
}

template <int Vectors, class T, class Index, class N>
void sums_panel(const SparseRows<T, Index>& rows, const SparseCall& call, int64_t first_class, N last, int64_t first,
                int64_t count) {
  constexpr int kWidth = Vectors * kLanes<double>;
  const int64_t K = call.n_classes;
  const T* const g = (const T*)call.gradient + first_class;
  double* const sums = call.sums + first_class;
  double wide[kWidth] = {};
  for (int64_t i = 0; i < call.n_rows; ++i) {
    Vec<double> back[Vectors];
    const int64_t classes = at_most(kWidth, K - first_class);
    if constexpr (sizeof(T) == 8) {
      each_vector<Vectors, double>(last, [&](int v, int k, auto n) INLINED { back[v] = load(g + i * K + k, n); });
    } else {
      for (int64_t k = 0; k < classes; ++k) wide[k] = double(g[i * K + k]);
      each_vector<Vectors, double>(last, [&](int v, int k, auto) INLINED { back[v] = load(wide + k, Full{}); });
    }
    const int64_t end = rows.starts[i + 1];
    for (int64_t p = rows.starts[i]; p < end; p += kIndexLanes<Index>) {
      const int n = int(at_most(kIndexLanes<Index>, end - p));
      for (uint32_t own = columns_within(rows.columns + p, n, first, count); own; own &= own - 1) {
        const int64_t at = p + __builtin_ctz(own);
        double* const to = sums + int64_t(rows.columns[at]) * K;
        const Vec<double> number = splat(double(rows.numbers[at]));
        each_vector<Vectors, double>(last, [&](int v, int k, auto m) INLINED {
          store(to + k, m, fma(number, back[v], load(to + k, m)));
        });
      }
    }
  }
}

// sums += phi^T G for the columns of the parts begin ... end: each number is summed in the order of the rows.
template <class T, class Index>
void sparse_sums_of(const SparseCall& call, int64_t begin, int64_t end) {
  const SparseRows<T, Index> rows(call);
  for (int64_t part = begin; part < end; ++part) {
    const int64_t first = call.cuts[part], count = call.cuts[part + 1] - first;
    by_panels<double>(call.n_classes, [&](int64_t first_class, auto vectors, auto last) INLINED {
      sums_panel<decltype(vectors)::value>(rows, call, first_class, last, first, count);
    });
  }
}

template <class T>
double sparse_logits(const SparseCall& call, int64_t begin, int64_t end) {
  return (call.wide ? sparse_logits_of<T, int64_t> : sparse_logits_of<T, int32_t>)(call, begin, end);
}

template <class T>
void sparse_sums(const SparseCall& call, int64_t begin, int64_t end) {
  (call.wide ? sparse_sums_of<T, int64_t> : sparse_sums_of<T, int32_t>)(call, begin, end);
}

// out (columns, rows), the matrix turned, a part of its longer axis at a time.
template <class T>
void turned(const TurnCall& call, int64_t begin, int64_t end) {
  const T* const from = (const T*)call.from;
  T* const out = (T*)call.out;
  const int64_t rows = call.rows, columns = call.columns;
  for (int64_t part = begin; part < end; ++part) {
    const int64_t at = part * kTurnedNumbers;
    if (rows < columns)
      turn(from + at, columns, out + at * rows, rows, rows, at_most(kTurnedNumbers, columns - at));
    else
      turn(from + at * columns, columns, out + at, rows, at_most(kTurnedNumbers, rows - at), columns);
  }
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
