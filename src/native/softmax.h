// softmax, log-softmax, logsumexp and their derivatives, one row at a time.
#pragma once

#include "row_lanes.h"

namespace crossent::CROSSENT_ISA {
namespace {

// exp(z - maximum) with the rounding of the subtraction carried along; the sum leaves one maximal
// class out, whose exponential is 1, so that log1p of it keeps the digits of a confident row.
template <class C>
struct MaximumShift {
  Vec<C> maximum;
  Mask<C> ties{};

  INLINE explicit MaximumShift(C maximum) : maximum(splat(maximum)) {}
  INLINE explicit MaximumShift(Vec<C> maximum) : maximum(maximum) {}
  INLINE Vec<C> operator()(Vec<C> z) const { return exp_of_difference(z, maximum); }
  INLINE Vec<C> operator()(Vec<C> z, [[maybe_unused]] Sum<C>& sum) const {
    if constexpr (sizeof(C) == 4) {
      return exp_of_difference(z, maximum);
    } else {
      const Pair<F64> exponential = exp_of_difference_exactly(z, maximum);
      sum.error += exponential.low;
      return exponential.high;
    }
  }
  INLINE Vec<C> summand(Vec<C> z, Vec<C> exponential) {
    const Mask<C> tie = z == maximum;
    ties -= tie;
    return select(tie, Vec<C>{}, exponential);
  }
  INLINE Pair<double> others(Pair<double> sum) const {
    int64_t count = -1;
    for (int i = 0; i < kLanes<C>; ++i) count += ties[i];
    const Pair<double> whole = two_sum(double(count), sum.high);
    return two_sum(whole.high, whole.low + sum.low);
  }
};

// A shift by powers of two as the sweeps below ask for it.
template <class C>
struct PlainShift : PowerShift<C> {
  using PowerShift<C>::PowerShift;
  using PowerShift<C>::operator();
  INLINE Vec<C> operator()(Vec<C> z, Sum<C>&) const { return (*this)(z); }
  INLINE Vec<C> summand(Vec<C>, Vec<C> exponential) { return exponential; }
  INLINE Pair<double> others(Pair<double> sum) const { return sum; }
};

// The sum of the exponentials of a row as `shift` counts it; they are kept where there is room.
template <bool Keep, class T, class Shift>
INLINE Pair<double> sum_exponentials(const T* z, Compute<T>* kept, int64_t count, Shift& shift) {
  using C = Compute<T>;
  Sum<C> sum;
  sweep_groups<C, kGroup<C>>(
      count,
      [&](int64_t k) INLINED {
        Vec<C> terms[kGroup<C>];
        for (int i = 0; i < kGroup<C>; ++i) {
          const int64_t at = k + i * kLanes<C>;
          const Vec<C> x = load(z + at, Full{}), e = shift(x, sum);
          terms[i] = shift.summand(x, e);
          if constexpr (Keep) store(kept + at, Full{}, e);
        }
        add_group(sum, terms);
      },
      [&](int64_t k, auto n) INLINED {
        const Vec<C> x = load(z + k, n, -C(kInf)), e = shift(x, sum);
        sum.add(shift.summand(x, e));
        if constexpr (Keep) store(kept + k, n, e);
      });
  return shift.others(sum.total_exactly());
}

// x factor / sum with the quotient to twice the precision: one rounding less than by a rounded one.
template <class C>
struct Scale {
  Vec<C> high, low;

  INLINE Scale(double factor, double sum) {
    const double quotient = factor / sum;
    high = splat(C(quotient));
    double rest = quotient - double(C(quotient));
    if constexpr (sizeof(C) == 8) {
      const Pair<F64> product = two_product(splat(quotient), splat(sum));
      rest = ((factor - product.high[0]) - product.low[0]) / sum;
    }
    low = splat(is_finite(rest) ? C(rest) : C(0));
  }
  INLINE Vec<C> operator()(Vec<C> x) const { return multiply(x, high, low); }
};

constexpr int64_t kBuffered = 4096;  // exponentials of 16-bit numbers wait in this much float32

// out = factor * exponentials / (excluded + their sum); returns the sum.
template <class T, class Shift>
INLINE Pair<double> weigh_row(const T* z, T* out, int64_t count, Shift shift, double factor, double excluded) {
  using C = Compute<T>;
  const auto spread = [&](const C* kept, double sum) INLINED {
    const Scale<C> scale(factor, excluded + sum);
    sweep<C>(count, [&](int64_t k, auto n) INLINED { store(out + k, n, scale(load(kept + k, n))); });
  };
  Pair<double> sum;
  if constexpr (sizeof(T) == sizeof(C)) {
    sum = sum_exponentials<true>(z, out, count, shift);
    spread(out, sum.high);
  } else if (count <= kBuffered) {
    C kept[kBuffered];
    sum = sum_exponentials<true>(z, kept, count, shift);
    spread(kept, sum.high);
  } else {
    sum = sum_exponentials<false>(z, nullptr, count, shift);
    const Scale<C> scale(factor, excluded + sum.high);
    sweep<C>(count, [&](int64_t k, auto n) INLINED { store(out + k, n, scale(shift(load(z + k, n)))); });
  }
  return sum;
}

template <class T>
INLINE void softmax_row(const T* z, T* out, int64_t count, double factor) {
  using C = Compute<T>;
  const C maximum = row_maximum(z, count);
  if (!is_finite(maximum)) return fill_row(out, count, C(kNaN));
  if constexpr (sizeof(C) == 4)
    weigh_row(z, out, count, PlainShift<C>(maximum), factor, 0);
  else  // a dominant class's exponential is exactly 1: its rounding would be in the sum and in the entry
    weigh_row(z, out, count, MaximumShift<C>(maximum), factor, 1);
}

// log of the row's sum of exponentials over the largest, from the sum without that largest.
template <class T>
INLINE Pair<double> log_sum(const T* z, int64_t count, Compute<T> maximum) {
  MaximumShift<Compute<T>> shift(maximum);
  return log1p_exactly(sum_exponentials<false>(z, nullptr, count, shift));
}

// high + low = a + b to twice the precision of C.
template <class C>
INLINE Pair<C> add_exactly(C a, Pair<double> b) {
  const Pair<double> sum = two_sum(double(a), b.high);
  const C high = C(sum.high + (sum.low + b.low));
  return {high, C(((sum.high - double(high)) + sum.low) + b.low)};
}

template <class T>
INLINE void log_softmax_row(const T* z, T* out, int64_t count) {
  using C = Compute<T>;
  const C maximum = row_maximum(z, count);
  if (!is_finite(maximum)) return fill_row(out, count, C(kNaN));
  const Pair<C> lse = add_exactly(maximum, log_sum(z, count, maximum));
  const Vec<C> high = splat(lse.high), low = splat(lse.low);
  sweep<C>(count, [&](int64_t k, auto n) INLINED {
    const Pair<Vec<C>> q = two_sum(load(z + k, n), -high);
    store(out + k, n, select(q.high == -C(kInf), q.high, q.high + (q.low - low)));
  });
}

template <class T>
INLINE double logsumexp_row(const T* z, int64_t count) {
  const Compute<T> maximum = row_maximum(z, count);
  if (!is_finite(maximum)) return row_has_nan(z, count) ? kNaN : double(maximum);
  return add_exactly(double(maximum), log_sum(z, count, maximum)).high;
}

// ---------------------------------------------------------------- derivatives

// <weight(a), b>
template <class T, class Weight>
INLINE double inner_product(const T* a, const T* b, int64_t count, Weight weight) {
  using C = Compute<T>;
  Sum<C> sum;
  sweep<C>(count, [&](int64_t k, auto n) INLINED {
    const Vec<C> x = keep(n, weight(load(a + k, n)), Vec<C>{});
    sum.add_product(x, load(b + k, n));
  });
  return sum.total();
}

template <class T>
INLINE double sum_row(const T* row, int64_t count) {
  using C = Compute<T>;
  Sum<C> sum;
  sweep<C>(count, [&](int64_t k, auto n) INLINED { sum.add(load(row + k, n)); });
  return sum.total();
}

template <class T>
INLINE void softmax_vjp_row(const T* p, const T* g, T* out, int64_t count) {
  using C = Compute<T>;
  const Vec<C> mean = splat(C(inner_product(p, g, count, [](Vec<C> x) INLINED { return x; })));
  sweep<C>(count, [&](int64_t k, auto n) INLINED {
    store(out + k, n, load(p + k, n) * (load(g + k, n) - mean));
  });
}

template <class T>
INLINE void log_softmax_vjp_row(const T* q, const T* g, T* out, int64_t count) {
  using C = Compute<T>;
  const Vec<C> total = splat(C(sum_row(g, count)));
  sweep<C>(count, [&](int64_t k, auto n) INLINED {
    store(out + k, n, fma(-exp(load(q + k, n)), total, load(g + k, n)));
  });
}

template <class T>
INLINE void log_softmax_jvp_row(const T* q, const T* v, T* out, int64_t count) {
  using C = Compute<T>;
  const Vec<C> mean = splat(C(inner_product(q, v, count, [](Vec<C> x) INLINED { return exp(x); })));
  sweep<C>(count, [&](int64_t k, auto n) INLINED { store(out + k, n, load(v + k, n) - mean); });
}

template <class T>
INLINE double logsumexp_jvp_row(const T* z, const T* v, int64_t count) {
  using C = Compute<T>;
  const C maximum = row_maximum(z, count);
  if (!is_finite(maximum)) return kNaN;
  PlainShift<C> shift(maximum);
  const double product = inner_product(z, v, count, shift);
  return product / sum_exponentials<false>(z, nullptr, count, shift).high;
}

// ---------------------------------------------------------------- rows begin ... end of a call

template <class T>
struct Rows {
  const T *first, *second;
  T* out;
  int64_t count;

  INLINE Rows(const RowsCall& call)
      : first((const T*)call.first), second((const T*)call.second), out((T*)call.out), count(call.n_classes) {}
};

template <class T>
void softmax_rows(const RowsCall& call, int64_t begin, int64_t end) {
  const Rows<T> rows(call);
  for (int64_t i = begin * rows.count; i < end * rows.count; i += rows.count)
    softmax_row(rows.first + i, rows.out + i, rows.count, 1);
}

template <class T>
void log_softmax_rows(const RowsCall& call, int64_t begin, int64_t end) {
  const Rows<T> rows(call);
  for (int64_t i = begin * rows.count; i < end * rows.count; i += rows.count)
    log_softmax_row(rows.first + i, rows.out + i, rows.count);
}

template <class T>
void logsumexp_rows(const RowsCall& call, int64_t begin, int64_t end) {
  const Rows<T> rows(call);
  for (int64_t i = begin; i < end; ++i)
    store_one(rows.out + i, Compute<T>(logsumexp_row(rows.first + i * rows.count, rows.count)));
}

template <class T>
void softmax_vjp_rows(const RowsCall& call, int64_t begin, int64_t end) {
  const Rows<T> rows(call);
  for (int64_t i = begin * rows.count; i < end * rows.count; i += rows.count)
    softmax_vjp_row(rows.first + i, rows.second + i, rows.out + i, rows.count);
}

template <class T>
void log_softmax_vjp_rows(const RowsCall& call, int64_t begin, int64_t end) {
  const Rows<T> rows(call);
  for (int64_t i = begin * rows.count; i < end * rows.count; i += rows.count)
    log_softmax_vjp_row(rows.first + i, rows.second + i, rows.out + i, rows.count);
}

template <class T>
void log_softmax_jvp_rows(const RowsCall& call, int64_t begin, int64_t end) {
  const Rows<T> rows(call);
  for (int64_t i = begin * rows.count; i < end * rows.count; i += rows.count)
    log_softmax_jvp_row(rows.first + i, rows.second + i, rows.out + i, rows.count);
}

template <class T>
void logsumexp_vjp_rows(const RowsCall& call, int64_t begin, int64_t end) {
  const Rows<T> rows(call);
  for (int64_t i = begin; i < end; ++i)
    softmax_row(rows.first + i * rows.count, rows.out + i * rows.count, rows.count,
                double(load_one(rows.second + i)));
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
