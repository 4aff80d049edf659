// Derivatives along a tangent v of the plain cross-entropy of labels, of rows of more than a few classes: on the way
// on which the loss and its gradient are made, from the same exponentials.
#pragma once

#include "labelled_rows.h"
#include "loss_row.h"

namespace crossent::CROSSENT_ISA {
namespace {

// The halves of a vector in float64; where there are whole ones in memory, without a detour by one.
template <class T, class N>
INLINE Pair<F64> load_halves(const T* from, N n, float fill) {
  return widen(load(from, n, fill));
}
INLINE Pair<F64> load_halves(const float* from, Full, float) {
  return {to_float64(load_bits<F32Half>(from)), to_float64(load_bits<F32Half>(from + kLanes<double>))};
}

// Of a row, in the order of its classes.
template <class C>
struct Moments {
  Sum<C> whole, product;  // of e, and of e (v - origin)

  template <class T>
  INLINE void add(const C* e, const T* v, int64_t count, C origin) {
    sweep<C>(count, [&](int64_t k, auto n) INLINED { add_some(e + k, v + k, n, origin); });
  }
  // <p, v - origin>
  INLINE double mean() const { return product.total() / whole.total(); }

 private:
  template <class T, class N>
  INLINE void add_some(const C* e, const T* v, N n, C origin) {
    if constexpr (sizeof(C) == 4) {  // the difference too is exact in float64
      const Pair<F64> x = load_halves(e, n, 0), rise = load_halves(v, n, origin);
      whole.first += x.high;
      whole.second += x.low;
      product.first = fma(x.high, rise.high - splat(double(origin)), product.first);
      product.second = fma(x.low, rise.low - splat(double(origin)), product.second);
    } else {
      const Vec<C> x = load(e, n);
      whole.add(x);
      product.add_product(x, load(v, n, origin) - splat(origin));
    }
  }
};

template <class T>
struct AlongTangent {
  using C = Compute<T>;
  const T* const tangent;
  const int64_t n_classes;
  Moments<C> row[kLanes<C>];
  C origin[kLanes<C>] = {};
  const T* v = nullptr;  // of the batch

  INLINE explicit AlongTangent(const CrossEntropyCall& call)
      : tangent((const T*)call.tangent), n_classes(call.n_classes) {}
  INLINE void begin(int64_t i, int rows) {
    v = tangent + i * n_classes;
    for (int r = 0; r < rows; ++r) row[r] = {};
  }
  INLINE void see(int r, const C* e, int64_t first, int64_t count) {
    row[r].add(e, v + r * n_classes + first, count, origin[r]);
  }
};

// <p - onehot(t), v> = sum_k p_k (v_k - v_t): the label's own term is 0, so that nothing cancels.
template <class T>
struct Slopes : AlongTangent<T> {
  using C = Compute<T>;
  static constexpr bool kScaled = false;
  const CrossEntropyCall& call;

  INLINE explicit Slopes(const CrossEntropyCall& call) : AlongTangent<T>(call), call(call) {}
  INLINE void begin(int64_t i, int rows) {
    AlongTangent<T>::begin(i, rows);
    for (int r = 0; r < rows; ++r) {
      const int64_t label = row_weight(call, i + r) == 0 ? 0 : label_of(call, i + r);
      this->origin[r] = load_one(this->v + r * call.n_classes + label);
    }
  }
  template <class KeptRows>
  INLINE void finish(const Batch<T>& batch, int64_t i, KeptRows, const Exponentials<C>& found, const RowScale<C>&,
                     const LabelledRows<C>& given, const C*) {
    const ByRow<C> maximum(found.maximum);
    for (int r = 0; r < batch.rows; ++r) {
      const double spoiled = double(maximum.lane[r] - maximum.lane[r]);
      call.loss_tangent[i + r] = given.weight[r] == 0 ? 0 : given.factor[r] * (this->row[r].mean() + spoiled);
    }
  }
};

// p (v - <p, v>)
template <class T>
struct Curvature : AlongTangent<T> {
  using C = Compute<T>;
  static constexpr bool kScaled = true;
  T* const out;  // may be the logits or the tangent

  INLINE explicit Curvature(const CrossEntropyCall& call) : AlongTangent<T>(call), out((T*)call.out) {}
  template <class KeptRows>
  INLINE void finish(const Batch<T>& batch, int64_t i, KeptRows kept, const Exponentials<C>& found,
                     const RowScale<C>& scale, const LabelledRows<C>& given, const C* own) {
    const ByRow<C> factors(scale.high), subtracted(found.shift.subtracted);
    const ByRow<C> exponent(found.shift.power.exponent), lowest(found.shift.power.lowest);
    for (int r = 0; r < batch.rows; ++r) {
      const T *z = batch.row(r), *v = this->v + r * batch.count;
      T* const to = out + (i + r) * batch.count;
      if (given.weight[r] == 0) {
        fill_row(to, batch.count, C(0));
        continue;
      }
      const double exact = this->row[r].mean();
      const Vec<C> mean = splat(C(exact)), rest = splat(C(exact - C(exact)));  // rest: what mean's rounding took
      const Vec<C> factor = factors[r];
      const auto put = [&](auto exponential) INLINED {
        sweep<C>(batch.count, [&](int64_t k, auto n) INLINED {
          store(to + k, n, exponential(k, n) * ((load(v + k, n) - mean) - rest) * factor);
        });
      };
      C* const e = kept(r);
      if (e) {
        e[given.label[r]] = own[r];
        put([&](int64_t k, auto n) INLINED { return load(e + k, n); });
      } else {
        const RowExp<ToScale, C, Vec<C>> again{{exponent[r], lowest[r]}, subtracted[r]};
        put([&](int64_t k, auto n) INLINED { return again(load(z + k, n)); });
      }
    }
  }
};

template <class T>
void labelled_jvp_rows(const CrossEntropyCall& call, int64_t begin, int64_t end) {
  Slopes<T> slopes(call);
  labelled_batches(call, (T*)nullptr, (T*)nullptr, begin, end, slopes);
}

// Where the gradient is wanted too it takes the place that it is given, which may be that of the logits.
template <class T>
void labelled_hvp_rows(const CrossEntropyCall& call, int64_t begin, int64_t end) {
  T* const gradient = (T*)call.gradient;
  Curvature<T> curvature(call);
  T* const place = gradient ? gradient : call.out == call.tangent ? nullptr : (T*)call.out;
  labelled_batches(call, gradient, place, begin, end, curvature);
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
