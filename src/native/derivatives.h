// Derivatives of softmax, log-softmax and logsumexp, one row at a time.
#pragma once

#include "row_lanes.h"

namespace crossent::CROSSENT_ISA {
namespace {

// A row is walked twice. The first walk asks for the memory of the results, the second for the next rows; of
// short rows for some after the next.
constexpr int64_t kShort = 4096, kLong = 65536;

template <class T>
INLINE void expect_results(const T* out, int64_t count, int64_t k) {
  if (out) __builtin_prefetch(out + k + (count < kShort ? kShort / 2 : 0), 1, 2);
}
template <class T>
INLINE void expect_rows(const T* a, const T* b, int64_t count, int64_t k) {
  const int64_t ahead = k + (count < kShort ? kShort : count < kLong ? count : kShort);
  __builtin_prefetch(a + ahead, 0, 2);
  __builtin_prefetch(b + ahead, 0, 2);
}

// <weight(a), b>, on the way to `out`, or to nothing that is expected soon
template <class T, class Weight>
INLINE double inner_product(const T* a, const T* b, const T* out, int64_t count, Weight weight) {
  using C = Compute<T>;
  Sum<C> sum;
  sweep<C>(count, [&](int64_t k, auto n) INLINED {
    expect_results(out, count, k);
    const Vec<C> x = keep(n, weight(load(a + k, n)), Vec<C>{});
    sum.add_product(x, load(b + k, n));
  });
  return sum.total();
}

template <class T>
INLINE double sum_row(const T* row, const T* out, int64_t count) {
  using C = Compute<T>;
  Sum<C> sum;
  sweep<C>(count, [&](int64_t k, auto n) INLINED {
    expect_results(out, count, k);
    sum.add(load(row + k, n));
  });
  return sum.total();
}

template <class T>
INLINE void softmax_vjp_row(const T* p, const T* g, T* out, int64_t count, bool streamed) {
  using C = Compute<T>;
  const T* expected = streamed ? nullptr : out;
  const Vec<C> mean = splat(C(inner_product(p, g, expected, count, [](Vec<C> x) INLINED { return x; })));
  sweep_into(out, count, streamed, [&](int64_t k, auto n) INLINED {
    expect_rows(p, g, count, k);
    return load(p + k, n) * (load(g + k, n) - mean);
  });
}

template <class T>
INLINE void log_softmax_vjp_row(const T* q, const T* g, T* out, int64_t count, bool streamed) {
  using C = Compute<T>;
  const Vec<C> total = splat(C(sum_row(g, streamed ? nullptr : out, count)));
  sweep_into(out, count, streamed, [&](int64_t k, auto n) INLINED {
    expect_rows(q, g, count, k);
    return fma(-exp(load(q + k, n)), total, load(g + k, n));
  });
}

template <class T>
INLINE void log_softmax_jvp_row(const T* q, const T* v, T* out, int64_t count) {
  using C = Compute<T>;
  const Vec<C> mean = splat(C(inner_product(q, v, out, count, [](Vec<C> x) INLINED { return exp(x); })));
  sweep<C>(count, [&](int64_t k, auto n) INLINED {
    expect_rows(q, v, count, k);
    store(out + k, n, load(v + k, n) - mean);
  });
}

template <class T>
INLINE double logsumexp_jvp_row(const T* z, const T* v, int64_t count) {
  using C = Compute<T>;
  const C maximum = row_maximum(z, count);
  if (!is_finite(maximum)) return kNaN;
  const PowerShift<C> shift(maximum);
  Sum<C> sum, product;
  sweep<C>(count, [&](int64_t k, auto n) INLINED {
    const Vec<C> e = shift(load(z + k, n, -C(kInf)));
    sum.add(e);
    product.add_product(e, load(v + k, n));
  });
  return product.total() / sum.total();
}

// ---------------------------------------------------------------- rows begin ... end of a call

template <class T>
struct Rows {
  const T *first, *second;
  T* out;
  int64_t count;
  bool streamed;

  INLINE Rows(const RowsCall& call)
      : first((const T*)call.first),
        second((const T*)call.second),
        out((T*)call.out),
        count(call.n_classes),
        streamed(call.streamed) {}
};

template <class T>
void softmax_vjp_rows(const RowsCall& call, int64_t begin, int64_t end) {
  const Rows<T> rows(call);
  for (int64_t i = begin * rows.count; i < end * rows.count; i += rows.count)
    softmax_vjp_row(rows.first + i, rows.second + i, rows.out + i, rows.count, rows.streamed);
}

template <class T>
void log_softmax_vjp_rows(const RowsCall& call, int64_t begin, int64_t end) {
  const Rows<T> rows(call);
  for (int64_t i = begin * rows.count; i < end * rows.count; i += rows.count)
    log_softmax_vjp_row(rows.first + i, rows.second + i, rows.out + i, rows.count, rows.streamed);
}

template <class T>
void log_softmax_jvp_rows(const RowsCall& call, int64_t begin, int64_t end) {
  const Rows<T> rows(call);
  for (int64_t i = begin * rows.count; i < end * rows.count; i += rows.count)
    log_softmax_jvp_row(rows.first + i, rows.second + i, rows.out + i, rows.count);
}

template <class T>
void logsumexp_jvp_rows(const RowsCall& call, int64_t begin, int64_t end) {
  const Rows<T> rows(call);
  for (int64_t i = begin; i < end; ++i) {
    const int64_t at = i * rows.count;
    store_one(rows.out + i, Compute<T>(logsumexp_jvp_row(rows.first + at, rows.second + at, rows.count)));
  }
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
