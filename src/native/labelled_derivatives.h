// Derivatives along a tangent of the plain cross-entropy of labels: E = l - z_t, H = diag(p) - p p^T.
//
// What needs no option needs no float64 row: exponentials are those of the logits' own precision, only the
// sums are wide.
#pragma once

#include "loss_row.h"
#include "shift.h"

namespace crossent::CROSSENT_ISA {
namespace {

// The weights of a row and of its label; of a row of weight 0, whose label is not read, 0.
INLINE double labelled_weight(const CrossEntropyCall& call, int64_t i) {
  const double weight = row_weight(call, i);
  return weight == 0 || !call.class_weight ? weight : weight * call.class_weight[label_of(call, i)];
}

struct Moments {
  double whole = kNaN;    // sum of the exponentials
  double product = kNaN;  // sum of e (v - origin)
};

// Of a row whose largest logit is finite; others have no exponentials, and their derivatives are NaN.
template <class T>
INLINE Moments moments_of(const T* z, const T* v, int64_t count, const PowerShift<Compute<T>>& shift,
                          Compute<T> origin) {
  using C = Compute<T>;
  Sum<C> whole, product;
  sweep<C>(count, [&](int64_t k, auto n) INLINED {
    const Vec<C> e = shift(load(z + k, n, -C(kInf)));
    whole.add(e);
    product.add_product(e, load(v + k, n, origin) - splat(origin));
  });
  return {whole.total(), product.total()};
}

// <p - onehot(t), v> = sum_k p_k (v_k - v_t): the label's own term is 0, so that nothing cancels.
template <class T>
void labelled_jvp_rows(const CrossEntropyCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  for (int64_t i = begin; i < end; ++i) {
    const double weight = row_weight(call, i);
    const T *z = (const T*)call.logits + i * call.n_classes, *v = (const T*)call.tangent + i * call.n_classes;
    const C maximum = weight == 0 ? C(0) : row_maximum(z, call.n_classes);
    Moments row;
    if (weight != 0 && is_finite(maximum))
      row = moments_of(z, v, call.n_classes, PowerShift<C>(maximum), load_one(v + label_of(call, i)));
    call.loss_tangent[i] = weight == 0 ? 0 : labelled_weight(call, i) * (row.product / row.whole);
  }
}

// p (v - <p, v>); out may be the logits or the tangent.
template <class T>
void labelled_hvp_rows(const CrossEntropyCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  for (int64_t i = begin; i < end; ++i) {
    const double weight = row_weight(call, i);
    const T *z = (const T*)call.logits + i * call.n_classes, *v = (const T*)call.tangent + i * call.n_classes;
    T* out = (T*)call.out + i * call.n_classes;
    const C maximum = weight == 0 ? C(0) : row_maximum(z, call.n_classes);
    if (weight == 0 || !is_finite(maximum)) {
      fill_row(out, call.n_classes, weight == 0 ? C(0) : C(kNaN));
      continue;
    }
    const PowerShift<C> shift(maximum);
    const Moments row = moments_of(z, v, call.n_classes, shift, C(0));
    const double exact = row.product / row.whole;
    const Vec<C> mean = splat(C(exact)), rest = splat(C(exact - C(exact)));  // rest: what mean's rounding took
    const Vec<C> factor = splat(C(call.gradient_factor * labelled_weight(call, i) / row.whole));
    sweep<C>(call.n_classes, [&](int64_t k, auto n) INLINED {
      const Vec<C> e = shift(load(z + k, n, -C(kInf)));
      store(out + k, n, e * ((load(v + k, n) - mean) - rest) * factor);
    });
  }
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
