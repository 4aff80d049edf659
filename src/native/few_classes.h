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

template <class T>
void softmax_vjp_few(const RowsCall& call, int64_t begin, int64_t end) {
  RowGroup<T> g(call.n_classes);
  groups_of_rows<T>(call.first, call.n_classes, begin, end, [&](RowGroup<T>& p, int64_t i) INLINED {
    g.read((const T*)call.second + i * call.n_classes, p.rows);
    softmax_vjp_of(p, g);
    p.write((T*)call.out + i * call.n_classes);
  });
}

template <class T>
void log_softmax_vjp_few(const RowsCall& call, int64_t begin, int64_t end) {
  RowGroup<T> g(call.n_classes);
  groups_of_rows<T>(call.first, call.n_classes, begin, end, [&](RowGroup<T>& q, int64_t i) INLINED {
    g.read((const T*)call.second + i * call.n_classes, q.rows);
    log_softmax_vjp_of(q, g);
    q.write((T*)call.out + i * call.n_classes);
  });
}

// The same where the cotangent lies in columns too.
template <class T, class Derive>
INLINE void vjp_of_columns(const ColumnsCall& call, int64_t begin, int64_t end, Derive derive) {
  RowGroup<T> g(call.n_classes);
  groups_of_columns(call, (const T*)call.out, begin, end, [&](RowGroup<T>& group, int64_t at, int64_t) INLINED {
    g.expected.next = group.expected.next - (const T*)call.logits + (const T*)call.second;
    g.expected.stride = call.inner;
    g.read_columns((const T*)call.second + at, call.inner, group.rows);
    derive(group, g);
    group.write_columns((T*)call.out + at, call.inner);
  });
}

template <class T>
void softmax_vjp_few_columns(const ColumnsCall& call, int64_t begin, int64_t end) {
  vjp_of_columns<T>(call, begin, end, [](RowGroup<T>& p, RowGroup<T>& g) INLINED { softmax_vjp_of(p, g); });
}

template <class T>
void log_softmax_vjp_few_columns(const ColumnsCall& call, int64_t begin, int64_t end) {
  vjp_of_columns<T>(call, begin, end, [](RowGroup<T>& q, RowGroup<T>& g) INLINED { log_softmax_vjp_of(q, g); });
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
