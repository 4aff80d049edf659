// Labels checked before they are used as indices, and targets before they are used as such.
#pragma once

#include "kernels.h"
#include "sweep.h"

namespace crossent::CROSSENT_ISA {
namespace {

constexpr int64_t kLabelsTogether = 8 * kLanes<double>;

// The first of the labels begin ... end outside 0 ... n_classes - 1, or -1.
int64_t first_bad_label(const LabelsCall& call, int64_t begin, int64_t end) {
  const int64_t* labels = call.labels;
  const I64 n_classes = I64{} + call.n_classes;
  int64_t i = begin;
  for (; i + kLabelsTogether <= end; i += kLabelsTogether) {
    I64 bad{};
    for (int64_t k = i; k < i + kLabelsTogether; k += kLanes<double>) {
      const I64 label = load_bits<I64>(labels + k);
      bad |= (label < 0) | (label >= n_classes);
    }
    int64_t any = 0;
    for (int lane = 0; lane < kLanes<double>; ++lane) any |= bad[lane];
    if (any) break;
  }
  for (; i < end; ++i)
    if (labels[i] < 0 || labels[i] >= call.n_classes) return i;
  return -1;
}

// The first of the values begin ... end that is not in [0, most], NaN among them, or -1.
template <class T>
int64_t first_outside(const RangeCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  constexpr int64_t kTogether = 8 * kLanes<C>;
  const T* values = (const T*)call.values;
  const Vec<C> zero{}, most = splat(C(call.most));
  for (int64_t i = begin; i < end; i += kTogether) {
    const int64_t count = end - i < kTogether ? end - i : kTogether;
    Mask<C> inside = zero == zero;
    sweep<C>(count, [&](int64_t k, auto n) INLINED {
      const Vec<C> x = load(values + i + k, n, C(0));
      inside &= (x >= zero) & (x <= most);
    });
    bool all = true;
    for (int lane = 0; lane < kLanes<C>; ++lane) all &= inside[lane] != 0;
    if (all) continue;
    for (int64_t k = i; k < i + count; ++k) {
      const C x = load(values + k, 1)[0];
      if (!(x >= 0 && x <= C(call.most))) return k;
    }
  }
  return -1;
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
