// Derivatives along a tangent of the plain cross-entropy of labels, for a few classes: one lane a row.
#pragma once

#include "few_classes.h"

namespace crossent::CROSSENT_ISA {
namespace {

// 1 / sum of every row's exponentials, which take the place of its logits; NaN where a maximum is not finite.
template <class V>
INLINE Pair<V> exponentials_of(V* z, int count) {
  const V maximum = largest(z, count);
  const PowerShift<Element<V>> shift(maximum, V{});
  const Pair<V> sum = sum_of<V>(count, [&](int k) INLINED { return z[k] = shift(z[k]); });
  return reciprocal(Pair<V>{sum.high + spoiled(maximum), sum.low});
}

// <p, rise> of p = e scale, where rise(k) is of class k.
template <class V, class Rise>
INLINE Pair<V> mean_of(const V* e, int count, Pair<V> scale, Rise rise) {
  V errors{};
  const Pair<V> sum = sum_of<V>(count, [&](int k) INLINED {
    const Pair<V> product = two_product(e[k], rise(k));
    errors += product.low;
    return product.high;
  });
  return times(Pair<V>{sum.high, sum.low + errors}, scale);
}

// body(z, v, i) with the logits and the tangents of the rows i ...
template <class T, class Body>
INLINE void tangents_of_rows(const CrossEntropyCall& call, int64_t begin, int64_t end, Body body) {
  RowGroup<T> v(call.n_classes);
  groups_of_rows<T>(call.logits, call.n_classes, begin, end, [&](RowGroup<T>& z, int64_t i) INLINED {
    v.read((const T*)call.tangent + i * call.n_classes, z.rows);
    body(z, v, i);
  });
}

// <p - onehot(t), v> = sum_k p_k (v_k - v_t): the label's own term is 0, so that nothing cancels.
template <class T>
void labelled_jvp_few(const CrossEntropyCall& call, int64_t begin, int64_t end) {
  using V = Vec<Compute<T>>;
  cross_entropy_few<T>(call, begin, end);
  CrossEntropyCall slopes = call;
  slopes.loss = call.loss_tangent;
  tangents_of_rows<T>(call, begin, end, [&](RowGroup<T>& z, RowGroup<T>& v, int64_t i) INLINED {
    z.each([&](int b, V* e) INLINED {
      const V* vb = v.block(b);
      const int64_t first = i + b * z.kRows;
      LabelLanes<Compute<T>> given;
      given.read(call, first, z.rows_of(b), Pair<V>{});
      V origin{};
      for (int k = 0; k < z.count; ++k) origin = select(given.label == k, vb[k], origin);
      const Pair<V> scale = exponentials_of(e, z.count);
      const Pair<V> slope = mean_of(e, z.count, scale, [&](int k) INLINED { return vb[k] - origin; });
      given.put(slopes, first, z.rows_of(b), wide_sum(slope.high, slope.low, V{}));
    });
  });
}

// p (v - <p, v>); out may be the logits or the tangent.
template <class T>
void labelled_hvp_few(const CrossEntropyCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  using V = Vec<C>;
  PerRow<C> factor;
  for (F64& part : factor.part) part = splat(call.gradient_factor);
  const Pair<V> of_all = pair_of(factor);
  tangents_of_rows<T>(call, begin, end, [&](RowGroup<T>& z, RowGroup<T>& v, int64_t i) INLINED {
    z.each([&](int b, V* e) INLINED {
      const V* vb = v.block(b);
      LabelLanes<C> given;
      given.read(call, i + b * z.kRows, z.rows_of(b), of_all);
      const Pair<V> of_sum = exponentials_of(e, z.count);
      const Pair<V> mean = mean_of(e, z.count, of_sum, [&](int k) INLINED { return vb[k]; });
      const Pair<V> scale = times(given.gradient_factor, of_sum);
      const V low = zero_if_nan(scale.low);
      for (int k = 0; k < z.count; ++k) {
        const Pair<V> rise = two_sum(vb[k], -mean.high);
        e[k] = multiply(multiply(e[k], rise.high, rise.low - mean.low), scale.high, low);
      }
      if (given.weighted)
        for (int k = 0; k < z.count; ++k) e[k] = select(given.absent, V{}, e[k]);
    });
    z.write((T*)call.out + i * call.n_classes);
  });
  if (!call.gradient) return;
  CrossEntropyCall beside = call;
  beside.out = call.gradient;
  cross_entropy_few<T>(beside, begin, end);
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
