// Two classes by one logit: the sigmoid and its cross-entropy, element by element.
#pragma once

#include "loss_row.h"

namespace crossent::CROSSENT_ISA {
namespace {

// From exp(-|x|), so that nothing overflows and both tails keep their digits.
template <class V>
INLINE V sigmoid(V x) {
  const V decay = exp(-absolute(x)), one = splat(Element<V>(1));
  return select(x < 0, decay, one) / (one + decay);
}

// log(1 + exp(x))
INLINE F64 softplus(F64 x) {
  return select(x > 0, x, F64{}) + log1p(exp(-absolute(x)));
}

// weight * value, where a weight of 0 makes even an infinity 0.
INLINE F64 zero_times(F64 weight, F64 value) {
  return select((weight == 0) & (value == kInf), F64{}, weight * value);
}

template <class T>
void sigmoid_elements(const RowsCall& call, int64_t begin, int64_t end) {
  const T* x = (const T*)call.first + begin;
  T* out = (T*)call.out + begin;
  sweep<Compute<T>>(end - begin,
                    [&](int64_t k, auto n) INLINED { store(out + k, n, sigmoid(load(x + k, n))); });
}

template <class T>
double binary_cross_entropy_elements(const BinaryCall& call, int64_t begin, int64_t end) {
  const T* x = (const T*)call.logits;
  const Compute<T>* targets = (const Compute<T>*)call.targets;
  const F64 temperature = splat(call.temperature), kept = splat(1 - call.label_smoothing);
  const F64 half = splat(call.label_smoothing / 2);
  F64 total{};
  sweep<double>(end - begin, [&](int64_t at, auto n) INLINED {
    const int64_t k = begin + at;
    const F64 weight = call.row_weight ? load(call.row_weight + k, n) : splat(1.0);
    const I64 present = weight != 0;
    const F64 u = select(present, load_wide(x + k, n), F64{}) / temperature;
    const F64 y = select(present, load_wide(targets + k, n), F64{});
    const F64 of_1 = splat(call.weight_of_1) * (kept * y + half);
    const F64 of_0 = splat(call.weight_of_0) * (kept * (splat(1.0) - y) + half);
    const F64 loss = zero_times(of_1, softplus(-u)) + zero_times(of_0, softplus(u));
    const F64 weighted = select(present, weight * loss, F64{});
    if (call.loss) store(call.loss + k, n, weighted);
    total += keep(n, weighted, F64{});
    if (call.out) {
      const F64 slope = of_0 * sigmoid(u) - of_1 * sigmoid(-u);
      store_wide((T*)call.out + k, n, splat(call.gradient_factor) * weight * slope / temperature);
    }
  });
  return sum_of_lanes(total);
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
