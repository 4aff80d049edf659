// Cross-entropy with any target and any option, and its derivatives along a tangent.
//
// Whatever the logits are stored as, the arithmetic is float64. A row is walked three times: the largest
// logit, the sums, the result; nothing is kept between the walks but a few numbers.
#pragma once

#include "loss_row.h"

namespace crossent::CROSSENT_ISA {
namespace {

struct Totals {
  double top = -kInf;      // the largest present logit
  double maximum_high = 0, maximum_low = 0;  // the largest m
  double target = 0;       // s, before smoothing
  double n_present = 0;    // K_i
  double share = 0;        // e s / K_i
  double rest = 0;         // sum of exp(m - a) without one maximal class
  double log_rest = 0;     // log1p(rest) = l - a
  double weighted = 0;     // s''
  double largest = 0;      // the largest y''
  double beside = 0;       // sum of y'' without that one
  double distance = 0;     // sum y'' (a - m)
  double mean = 0;         // <p, dm>
  bool absent = false;

  INLINE double whole() const { return 1 + rest; }
  INLINE double lse() const { return (maximum_high + log_rest) + maximum_low; }
};

// First walk: the largest logit, K_i, s.
template <class T>
INLINE void survey(const Row<T>& row, Totals& t) {
  F64 best = splat(-kInf);
  I64 nan{}, n_present{};
  Sum<double> target;
  sweep<double>(row.count, [&](int64_t k, auto n) INLINED {
    const I64 present = row.present(k, n);
    const F64 z = row.logits(k, n, present);
    best = select(z > best, z, best);
    nan |= z != z;
    n_present -= present;
    if (row.targets) target.add(select(present, row.given(k, n), F64{}));
  });
  t.top = largest_lane<double>(best);
  for (int i = 0; i < kLanes<double>; ++i) {
    t.n_present += double(n_present[i]);
    if (nan[i]) t.top = kNaN;
  }
  t.target = row.targets ? target.total() : 1;
  t.absent = t.n_present == 0;
  t.share = row.call.label_smoothing * t.target / t.n_present;
  const Bent top = bend(row.call, splat(t.top));
  t.maximum_high = top.high[0];
  t.maximum_low = top.low[0];
}

// y'' = w ((1 - e) y + e s / K_i)
template <class T, class N>
INLINE F64 final_targets(const Row<T>& row, const Totals& t, int64_t k, N n, I64 present) {
  F64 y = row.given(k, n);
  if (row.call.label_smoothing != 0)
    y = fma(splat(1 - row.call.label_smoothing), y, splat(t.share));
  if (row.call.class_weight) y *= load(row.call.class_weight + k, n);
  return select(present, y, F64{});
}

// exp(m - a), the exponential of every class with the largest logit being 1.
INLINE F64 exponential(const Totals& t, const Bent& m) {
  const Pair<F64> difference = two_sum(m.high, splat(-t.maximum_high));
  const F64 residual = difference.low + (m.low - splat(t.maximum_low));
  return exp_shifted(difference.high, residual, None{});
}

// Second walk: sums of exponentials, of targets, of their products with l - m, and <p, dm>.
template <class T, bool Tangent>
INLINE void sum_up(const Row<T>& row, Totals& t) {
  const F64 top = splat(t.top);
  Sum<double> rest, distance, mean, beside;
  F64 largest{};
  I64 ties{};
  sweep<double>(row.count, [&](int64_t k, auto n) INLINED {
    const I64 present = row.present(k, n);
    const F64 z = row.logits(k, n, present), y = final_targets(row, t, k, n, present);
    const Bent m = bend(row.call, z);
    const F64 e = exponential(t, m);
    const I64 tie = (z == top) & present;
    ties -= tie;
    rest.add(select(present & ~tie, e, F64{}));
    const F64 below = (splat(t.maximum_high) - m.high) + (splat(t.maximum_low) - m.low);
    distance.add(select(y == 0, F64{}, y * below));
    beside.add(select(y > largest, largest, y));
    largest = select(y > largest, y, largest);
    if constexpr (Tangent) {
      const F64 dm = m.slope * row.direction(k, n, present) / splat(row.call.temperature);
      mean.add_product(select(present, e, F64{}), dm);
    }
  });
  double others = beside.total(), n_ties = -1;
  t.largest = largest_lane<double>(largest);
  bool taken = false;
  for (int i = 0; i < kLanes<double>; ++i) {
    n_ties += double(ties[i]);
    if (!taken && largest[i] == t.largest)
      taken = true;
    else
      others += largest[i];
  }
  t.rest = rest.total() + n_ties;
  t.log_rest = log1p(splat(t.rest))[0];
  t.beside = others;
  t.weighted = t.largest + others;
  t.distance = distance.total();
  t.mean = mean.total() / t.whole();
}

template <class T, bool Tangent>
INLINE Totals totals_of(const Row<T>& row) {
  Totals t;
  survey(row, t);
  if (t.absent) return t;
  if (!is_finite(t.maximum_high))  // no maximum to measure from: loss and derivatives are NaN
    t.rest = t.log_rest = t.distance = t.mean = kNaN;
  else
    sum_up<T, Tangent>(row, t);
  return t;
}

INLINE double loss_of(const CrossEntropyCall& call, const Totals& t) {
  const double lse = t.lse();
  return t.weighted * t.log_rest + t.distance + (call.z_loss != 0 ? call.z_loss * lse * lse : 0);
}

// G_m = p (s'' - y'') - y'' (1 - p) + 2 zeta l p, both differences summed from the other classes.
INLINE F64 gradient_in_m(const CrossEntropyCall& call, const Totals& t, F64 z, F64 e, F64 y) {
  const F64 whole = splat(t.whole());
  const F64 other_targets = select(y == t.largest, splat(t.beside), splat(t.weighted) - y);
  const F64 other_classes = select(z == t.top, splat(t.rest), whole - e);
  F64 gradient = e * other_targets - y * other_classes;
  if (call.z_loss != 0) gradient += splat(2 * call.z_loss * t.lse()) * e;
  return gradient / whole;
}

template <class T>
double cross_entropy_general_rows(const CrossEntropyCall& call, int64_t begin, int64_t end) {
  double total = 0;
  for (int64_t i = begin; i < end; ++i) {
    T* out = call.out ? (T*)call.out + i * call.n_classes : nullptr;
    const double weight = row_weight(call, i);
    const Row<T> row(call, i);
    Totals t;
    if (weight != 0) t = totals_of<T, false>(row);
    if (weight == 0 || t.absent) {
      put_loss(call, i, 0);
      if (out) fill_row(out, row.count, Compute<T>(0));
      continue;
    }
    total += put_loss(call, i, weight * loss_of(call, t));
    if (!out) continue;
    const F64 factor = splat(call.gradient_factor * weight / call.temperature);
    sweep<double>(row.count, [&](int64_t k, auto n) INLINED {
      const I64 present = row.present(k, n);
      const F64 z = row.logits(k, n, present), y = final_targets(row, t, k, n, present);
      const Bent m = bend(call, z);
      const F64 g = gradient_in_m(call, t, z, exponential(t, m), y) * m.slope * factor;
      store_wide(out + k, n, select(present, g, F64{}));
    });
  }
  return total;
}

template <class T>
void cross_entropy_jvp_rows(const CrossEntropyCall& call, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const double weight = row_weight(call, i);
    const Row<T> row(call, i);
    Totals t;
    if (weight != 0) t = totals_of<T, false>(row);
    if (weight == 0 || t.absent) {
      call.loss[i] = call.loss_tangent[i] = 0;
      continue;
    }
    Sum<double> change;
    sweep<double>(row.count, [&](int64_t k, auto n) INLINED {
      const I64 present = row.present(k, n);
      const F64 z = row.logits(k, n, present), y = final_targets(row, t, k, n, present);
      const Bent m = bend(call, z);
      const F64 g = gradient_in_m(call, t, z, exponential(t, m), y) * m.slope;
      change.add_product(select(present, g, F64{}), row.direction(k, n, present));
    });
    call.loss[i] = weight * loss_of(call, t);
    call.loss_tangent[i] = weight * (change.total() / call.temperature);
  }
}

// dG_z = (m1/T) [s'' p (dm - <p,dm>) + 2 zeta (p <p,dm> + l p (dm - <p,dm>))] + m2 (dz/T^2) G_m;
// Gauss-Newton leaves out what is not positive semidefinite: the terms with l and with m2.
template <class T>
void cross_entropy_hvp_rows(const CrossEntropyCall& call, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    T* out = (T*)call.out + i * call.n_classes;
    const double weight = row_weight(call, i);
    const Row<T> row(call, i);
    Totals t;
    if (weight != 0) t = totals_of<T, true>(row);
    if (weight == 0 || t.absent) {
      fill_row(out, row.count, Compute<T>(0));
      continue;
    }
    const F64 whole = splat(t.whole()), mean = splat(t.mean), temperature = splat(call.temperature);
    const double curvature = t.weighted + (call.gauss_newton || call.z_loss == 0 ? 0 : 2 * call.z_loss * t.lse());
    const bool bends = call.softcap > 0 && !call.gauss_newton;
    const F64 factor = splat(call.gradient_factor * weight);
    sweep<double>(row.count, [&](int64_t k, auto n) INLINED {
      const I64 present = row.present(k, n);
      const F64 z = row.logits(k, n, present), dz = row.direction(k, n, present) / temperature;
      const Bent m = bend(call, z);
      const F64 e = exponential(t, m), p = e / whole;
      F64 change = p * (splat(curvature) * (m.slope * dz - mean) + splat(2 * call.z_loss) * mean);
      if (bends) {
        const F64 y = final_targets(row, t, k, n, present);
        const F64 m2_over_m1 = splat(-2 / (call.softcap * call.softcap)) * m.high;
        change += m2_over_m1 * dz * gradient_in_m(call, t, z, e, y);
      }
      change = change * (m.slope / temperature) * factor;
      store_wide(out + k, n, select(present, change, F64{}));
    });
  }
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
