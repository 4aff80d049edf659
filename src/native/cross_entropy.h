// Cross-entropy with labels and no option but weights: loss and gradient in the compute dtype.
#pragma once

#include "softmax.h"

namespace crossent::CROSSENT_ISA {
namespace {

// A row of weight 0 is absent: whatever its logits hold, it adds nothing.
INLINE double row_weight(const CrossEntropyCall& call, int64_t row) {
  return call.row_weight ? call.row_weight[row] : 1;
}

// E = (a - z_t) + log1p(others);  G_k = p_k, G_t = -sum_{k != t} p_k. Nothing cancels.
template <class T>
INLINE double label_row(const T* z, T* gradient, int64_t count, int64_t label, double factor) {
  using C = Compute<T>;
  const C maximum = row_maximum(z, count), labelled = load_one(z + label);
  if (!is_finite(maximum)) {
    if (gradient) fill_row(gradient, count, C(kNaN));
    return kNaN;
  }
  MaximumShift<C> shift(maximum);
  Pair<double> others;
  if (gradient)
    others = weigh_row(z, gradient, count, shift, factor, 1);
  else
    others = sum_exponentials<false>(z, nullptr, count, shift);
  if (gradient) {
    const double own = double(exp_of_difference(splat(labelled), splat(maximum))[0]);
    const double beside = labelled == maximum ? others.high : 1 + others.high - own;
    store_one(gradient + label, C(-factor * beside / (1 + others.high)));
  }
  const Pair<double> distance = two_sum(double(maximum), -double(labelled)), log_sum = log1p_exactly(others);
  const double rest = distance.low + log_sum.low;  // an infinite distance has no rounding error
  return distance.high + (log_sum.high + (rest == rest ? rest : 0));
}

// A row's loss goes where it is wanted; returns it, to be summed.
INLINE double put_loss(const CrossEntropyCall& call, int64_t row, double loss) {
  if (call.loss) call.loss[row] = loss;
  return loss;
}

template <class T>
double cross_entropy_rows(const CrossEntropyCall& call, int64_t begin, int64_t end) {
  const int64_t count = call.n_classes;
  double total = 0;
  for (int64_t i = begin; i < end; ++i) {
    T* gradient = call.out ? (T*)call.out + i * count : nullptr;
    double weight = row_weight(call, i);
    if (weight == 0) {
      put_loss(call, i, 0);
      if (gradient) fill_row(gradient, count, Compute<T>(0));
      continue;
    }
    const int64_t label = call.labels[i];
    if (call.class_weight) weight *= call.class_weight[label];
    const double factor = call.gradient_factor * weight;
    const double loss = label_row((const T*)call.logits + i * count, gradient, count, label, factor);
    total += put_loss(call, i, weight == 0 && loss == kInf ? 0 : weight * loss);
  }
  return total;
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
