// The kernels for a few classes: rows begin ... end of a call, or tiles of columns.
#pragma once

#include "small.h"

namespace crossent::CROSSENT_ISA {
namespace {

// body(group, i) with the rows i ... of `from`, for all rows begin ... end.
template <class T, class Body>
INLINE void groups_of_rows(const void* from, int64_t count, int64_t begin, int64_t end, Body body) {
  RowGroup<T> group(count);
  const int64_t most = group.most_rows();
  for (int64_t i = begin; i < end; i += most) {
    group.read((const T*)from + i * count, int(at_most(most, end - i)));
    body(group, i);
  }
}

// body(group, at, i) with the columns whose first number is `at`, the i-th of all columns. What will be read next and
// where the results will lie, if anywhere, is asked for before.
template <class T, class Body>
INLINE void groups_of_columns(const ColumnsCall& call, const T* results, int64_t begin, int64_t end, Body body) {
  RowGroup<T> group(call.n_classes);
  const int64_t most = group.most_rows();
  for (int64_t item = begin; item < end; ++item) {
    const Tile2D<T> tile(call, item);
    const Tile2D<T> after(call, item + 1 < end ? item + 1 : item);
    for (int64_t j = 0; j < tile.width; j += most) {
      const int64_t at = tile.number(call) + j, here = at_most(most, tile.width - j), to = j + most;
      const int64_t next = to < tile.width ? at + most : after.number(call);
      group.expected = {(const T*)call.logits + next, results ? results + at : nullptr, call.inner};
      group.read_columns((const T*)call.logits + at, call.inner, int(here));
      body(group, at, tile.row(call) + j);
    }
  }
}

template <class T>
void softmax_few(const RowsCall& call, int64_t begin, int64_t end) {
  groups_of_rows<T>(call.first, call.n_classes, begin, end, [&](RowGroup<T>& group, int64_t i) INLINED {
    softmax_of(group);
    group.write((T*)call.out + i * call.n_classes);
  });
}

template <class T>
void softmax_few_columns(const ColumnsCall& call, int64_t begin, int64_t end) {
  groups_of_columns(call, (const T*)call.out, begin, end, [&](RowGroup<T>& group, int64_t at, int64_t) INLINED {
    softmax_of(group);
    group.write_columns((T*)call.out + at, call.inner);
  });
}

template <class T>
void log_softmax_few(const RowsCall& call, int64_t begin, int64_t end) {
  groups_of_rows<T>(call.first, call.n_classes, begin, end, [&](RowGroup<T>& group, int64_t i) INLINED {
    log_softmax_of(group);
    group.write((T*)call.out + i * call.n_classes);
  });
}

template <class T>
void log_softmax_few_columns(const ColumnsCall& call, int64_t begin, int64_t end) {
  groups_of_columns(call, (const T*)call.out, begin, end, [&](RowGroup<T>& group, int64_t at, int64_t) INLINED {
    log_softmax_of(group);
    group.write_columns((T*)call.out + at, call.inner);
  });
}

template <class T>
void logsumexp_few(const RowsCall& call, int64_t begin, int64_t end) {
  groups_of_rows<T>(call.first, call.n_classes, begin, end,
                    [&](RowGroup<T>& group, int64_t i) INLINED { logsumexp_of(group, (T*)call.out + i); });
}

template <class T>
void logsumexp_few_columns(const ColumnsCall& call, int64_t begin, int64_t end) {
  groups_of_columns(call, (const T*)nullptr, begin, end, [&](RowGroup<T>& group, int64_t, int64_t i) INLINED {
    logsumexp_of(group, (T*)call.out + i);
  });
}

template <class T>
void logsumexp_vjp_few(const RowsCall& call, int64_t begin, int64_t end) {
  groups_of_rows<T>(call.first, call.n_classes, begin, end, [&](RowGroup<T>& group, int64_t i) INLINED {
    scaled_softmax_of(group, (const T*)call.second + i);
    group.write((T*)call.out + i * call.n_classes);
  });
}

// Rows are taken apart for their sums alone.
template <class Vjp, class T>
void vjp_few(const RowsCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  using V = Vec<C>;
  RowGroup<C> group(call.n_classes);
  V terms[kGroupVectors], sums[kMostBlocks];
  const int64_t most = group.most_rows();
  for (int64_t i = begin; i < end; i += most) {
    const int64_t rows = at_most(most, end - i), at = i * call.n_classes;
    const T *x = (const T*)call.first + at, *y = (const T*)call.second + at;
    T* const out = (T*)call.out + at;
    C* const of_numbers = (C*)terms;
    sweep<C>(rows * call.n_classes, [&](int64_t k, auto n) INLINED {
      store(of_numbers + k, n, Vjp::term(load(x + k, n), load(y + k, n)));
    });
    group.read(of_numbers, int(rows));
    group.each([&](int b, V* z) INLINED {
      sums[b] = sum_of<V>(group.count, [&](int k) INLINED { return z[k]; }).high;
    });
    spread_of<V>(group.count, typename RowGroup<C>::Few{})(sums, terms, group.blocks());
    sweep<C>(rows * call.n_classes, [&](int64_t k, auto n) INLINED {
      store(out + k, n, Vjp::value(load(x + k, n), load(y + k, n), load(of_numbers + k, n)));
    });
  }
}

template <class T>
void softmax_vjp_few(const RowsCall& call, int64_t begin, int64_t end) {
  vjp_few<SoftmaxVjp, T>(call, begin, end);
}

template <class T>
void log_softmax_vjp_few(const RowsCall& call, int64_t begin, int64_t end) {
  vjp_few<LogSoftmaxVjp, T>(call, begin, end);
}

// The same where the cotangent lies in columns too.
template <class Vjp, class T>
void vjp_few_columns(const ColumnsCall& call, int64_t begin, int64_t end) {
  RowGroup<T> g(call.n_classes);
  groups_of_columns(call, (const T*)call.out, begin, end, [&](RowGroup<T>& group, int64_t at, int64_t) INLINED {
    g.expected.next = group.expected.next - (const T*)call.logits + (const T*)call.second;
    g.expected.stride = call.inner;
    g.read_columns((const T*)call.second + at, call.inner, group.rows);
    vjp_of<Vjp>(group, g);
    group.write_columns((T*)call.out + at, call.inner);
  });
}

template <class T>
void softmax_vjp_few_columns(const ColumnsCall& call, int64_t begin, int64_t end) {
  vjp_few_columns<SoftmaxVjp, T>(call, begin, end);
}

template <class T>
void log_softmax_vjp_few_columns(const ColumnsCall& call, int64_t begin, int64_t end) {
  vjp_few_columns<LogSoftmaxVjp, T>(call, begin, end);
}

template <class T>
void logsumexp_vjp_few_columns(const ColumnsCall& call, int64_t begin, int64_t end) {
  groups_of_columns(call, (const T*)call.out, begin, end, [&](RowGroup<T>& group, int64_t at, int64_t i) INLINED {
    scaled_softmax_of(group, (const T*)call.second + i);
    group.write_columns((T*)call.out + at, call.inner);
  });
}

template <class T>
double cross_entropy_few(const CrossEntropyCall& call, int64_t begin, int64_t end) {
  F64 total{};
  groups_of_rows<T>(call.logits, call.n_classes, begin, end, [&](RowGroup<T>& group, int64_t i) INLINED {
    total += cross_entropy_of(group, call, i, call.out != nullptr);
    if (call.out) group.write((T*)call.out + i * call.n_classes);
  });
  return sum_of_lanes(total);
}

template <class T>
double cross_entropy_few_columns(const ColumnsCall& call, int64_t begin, int64_t end) {
  F64 total{};
  groups_of_columns(call, (const T*)call.out, begin, end, [&](RowGroup<T>& group, int64_t at, int64_t i) INLINED {
    total += cross_entropy_of(group, *call.loss, i, call.out != nullptr);
    if (call.out) group.write_columns((T*)call.out + at, call.inner);
  });
  return sum_of_lanes(total);
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
