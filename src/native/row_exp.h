// The exponentials of one row's numbers, each times the row's 2^-shift.
#pragma once

#include "shift.h"

namespace crossent::CROSSENT_ISA {
namespace {

// What a softmax needs, and what a sum under a logarithm needs.
struct ToScale {
  static constexpr bool kFitting = false;
  template <class V>
  INLINE static V exp(V x, Scaling<V> power) {
    return exp_for_softmax(x, power);
  }
};
struct ToSum {
  static constexpr bool kFitting = true;
  template <class V>
  INLINE static V exp(V x, Scaling<V> power) {
    return exp_fitting(x, power);
  }
};

// Of a row from whose numbers `subtracted` (or None) is taken first.
template <class Use, class C, class Subtracted>
struct RowExp {
  Scaling<Vec<C>> power;
  Subtracted subtracted;
  INLINE Vec<C> operator()(Vec<C> z) const { return Use::exp(minus(z, subtracted), power); }
};

// Of a row whose numbers are taken as they are, and whose shift is a small one.
template <class Use, class C>
struct NearExp : RowExp<Use, C, None> {
  INLINE explicit NearExp(Scaling<Vec<C>> power) : RowExp<Use, C, None>{power, {}} {}
  INLINE static Mask<C> serves(const PowerShift<C>& shift) { return shift.subtracted == 0; }
};

#if defined(__AVX512F__)
// The table holds the shift already, to the same bits.
template <class Use>
struct NearExp<Use, float> {
  static constexpr float kMostShift = 100;  // the table's numbers stay normal
  F32 powers, lowest;

  INLINE explicit NearExp(Scaling<F32> power)
      : powers(scale_by_power(sixteen_powers(), -power.exponent)), lowest(power.lowest + power.exponent) {}
  INLINE static I32 serves(const PowerShift<float>& shift) {
    return (shift.subtracted == 0) & (absolute(shift.power.exponent) <= kMostShift);
  }

  // Lanes that are to be 0 are masked: one that underflowed would cost as much as many vectors.
  INLINE F32 operator()(F32 z) const {
    const Pair<F32> power = exp_by_table(z, powers);
    const __mmask16 some = _mm512_cmp_ps_mask(power.high, lowest, _CMP_NLT_UQ);
    return _mm512_maskz_scalef_ps(some, power.low, power.high);
  }
};
#endif

}  // namespace
}  // namespace crossent::CROSSENT_ISA
