// Cross-entropy of rows of more than a few classes: their exponentials as a softmax has them, but the labelled
// one, which is taken out of the sum - of the others no digit is lost - and whose gradient is put in its place.
#pragma once

#include "rows.h"

namespace crossent::CROSSENT_ISA {
namespace {

// Takes the exponential of the label out of `count` kept ones of its row, which begin with that of class `first`.
template <class C>
INLINE void take_out(C* kept, int64_t first, int64_t count, int64_t label, C& own) {
  if (uint64_t(label - first) >= uint64_t(count)) return;
  own = kept[label - first];
  kept[label - first] = 0;
}

// The exponentials of all classes but the labelled one, which is `own`, and their sums.
template <class T>
INLINE void keep_beside(const Batch<T>& batch, T* out, Kept<T>& kept, Exponentials<Compute<T>>& found,
                        const int64_t* label, Compute<T>* own) {
  using C = Compute<T>;
  const auto take = [&](int r, C* e, int64_t first, int64_t count) INLINED {
    take_out(e, first, count, label[r], own[r]);
  };
  const auto add = [](int, Sum<C>& sum, const C* e, int64_t count, Vec<C>) INLINED {
    add_kept(sum, e, count, [](Vec<C> x) INLINED { return x; });
  };
  keep_and_sum(batch, out, out ? kept.expected(out) : nullptr, kept, found, take, add);
}

template <class T>
double cross_entropy_rows(const CrossEntropyCall& call, int64_t begin, int64_t end) {
  using C = Compute<T>;
  Kept<T> kept(call.n_classes, call.streamed);
  double total = 0;
  batches((const T*)call.logits, call.n_classes, begin, end, [&](const Batch<T>& batch, int64_t i) INLINED {
    T* out = call.out ? (T*)call.out + i * batch.count : nullptr;
    const LabelledRows<C> given(call, i, batch.rows);
    const PerRow<C> factor = given.factors(call.gradient_factor);
    Vec<C> labelled{}, its_own{};
    for (int r = 0; r < batch.rows; ++r) labelled[r] = load_one(batch.row(r) + given.label[r]);
    C own[kLanes<C>] = {};
    Exponentials<C> found(batch.rows, headroom<C>(narrow(factor)));
    LabelledSums<C> sums;
    RowScale<C> scale;
    do {
      keep_beside(batch, out, kept, found, given.label, own);
      __builtin_memcpy(&its_own, own, sizeof own);
      sums = labelled_sums(found.shift, found.maximum, found.top, labelled, its_own, found.sums.fold());
      if (out) scale = scale_of<C>(factor, sums.row.whole, found.maximum);
    } while (out && found.near && !is_exact<C>(scale, factor, found.maximum, found.room, batch.rows) &&
             kept.caution.take());
    if (out) weigh_batch(batch, out, kept, found, scale);
    const LabelResult<C> result = label_result(found.maximum, labelled, sums, factor);
    for (int r = 0; r < batch.rows && out; ++r) {
      T* row = out + r * batch.count;
      if (given.weight[r] == 0)
        fill_row(row, batch.count, C(0));
      else
        store_one(row + given.label[r], result.gradient[r]);
    }
    total += given.put(call, i, batch.rows, result.loss);
  });
  return total;
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
