// Labels checked before they are used as indices.
#pragma once

#include "kernels.h"
#include "memory.h"

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

}  // namespace
}  // namespace crossent::CROSSENT_ISA
