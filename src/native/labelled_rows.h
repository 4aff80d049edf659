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

// What else comes of a batch's exponentials: here nothing.
template <class T>
struct NothingElse {
  static constexpr bool kScaled = false;
  INLINE void begin(int64_t, int) {}
  template <class C>
  INLINE void see(int, const C*, int64_t, int64_t) {}
  template <class... Found>
  INLINE void finish(const Found&...) {}
};

// The exponentials of all classes but the labelled one, which is `own`, and their sums; `also` sees all of them.
template <class T, class Also>
INLINE void keep_beside(const Batch<T>& batch, T* out, Kept<T>& kept, Exponentials<Compute<T>>& found,
                        const int64_t* label, Compute<T>* own, Also& also) {
  using C = Compute<T>;
  const auto take = [&](int r, C* e, int64_t first, int64_t count) INLINED {
    also.see(r, e, first, count);
    take_out(e, first, count, label[r], own[r]);
  };
  const auto add = [](int, Sum<C>& sum, const C* e, int64_t count, Vec<C>) INLINED {
    add_kept(sum, e, count, [](Vec<C> x) INLINED { return x; });
  };
  keep_and_sum(batch, out, out ? kept.expected(out) : nullptr, kept, found, take, add);
}

// Losses and, where it is not null, their gradient. Exponentials of long rows wait in `place`, which is that, or null.
template <class T, class Also>
INLINE double labelled_batches(const CrossEntropyCall& call, T* gradient, T* place, int64_t begin, int64_t end,
                               Also& also) {
  using C = Compute<T>;
  Kept<T> kept(call.n_classes, call.streamed);
  double total = 0;
  batches((const T*)call.logits, call.n_classes, begin, end, [&](const Batch<T>& batch, int64_t i) INLINED {
    T* const out = gradient ? gradient + i * batch.count : nullptr;
    T* const waiting = place ? place + i * batch.count : nullptr;
    const bool scaled = out || Also::kScaled;
    const LabelledRows<C> given(call, i, batch.rows);
    const PerRow<C> factor = given.factors(call.gradient_factor);
    Vec<C> labelled{}, its_own{};
    for (int r = 0; r < batch.rows; ++r) labelled[r] = load_one(batch.row(r) + given.label[r]);
    C own[kLanes<C>] = {};
    Exponentials<C> found(batch.rows, headroom<C>(narrow(factor)));
    LabelledSums<C> sums;
    RowScale<C> scale;
    do {
      also.begin(i, batch.rows);
      keep_beside(batch, waiting, kept, found, given.label, own, also);
      __builtin_memcpy(&its_own, own, sizeof own);
      sums = labelled_sums(found.shift, found.maximum, found.top, labelled, its_own, found.sums.fold());
      if (scaled) scale = scale_of<C>(factor, sums.row.whole, found.maximum);
    } while (scaled && found.near && !is_exact<C>(scale, factor, found.maximum, found.room, batch.rows) &&
             kept.caution.take());
    also.finish(batch, i, kept.rows(waiting), found, scale, given, own);
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

template <class T>
double cross_entropy_rows(const CrossEntropyCall& call, int64_t begin, int64_t end) {
  NothingElse<T> nothing;
  return labelled_batches(call, (T*)call.out, (T*)call.out, begin, end, nothing);
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
