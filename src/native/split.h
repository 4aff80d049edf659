// Rows of a few numbers, one after another in memory, as one vector for each class, and back.
//
// An even number of classes is taken apart into two halves. With an odd number K the lanes l of the vectors
// hold the classes in turn, each l places on: turning lane l back by l (in steps of powers of two) leaves one
// class in each vector, whose rows are then put in order. All shuffles are known when this is compiled.
#pragma once

#include <utility>

#include "memory.h"

namespace crossent::CROSSENT_ISA {
namespace {

template <int I>
struct Index {
  static constexpr int value = I;
};

// body(Index<0>), body(Index<1>), ... body(Index<Count - 1>)
template <class Body, int... I>
INLINE void each_of(Body body, std::integer_sequence<int, I...>) {
  (body(Index<I>{}), ...);
}
template <int Count, class Body>
INLINE void each(Body body) {
  each_of(body, std::make_integer_sequence<int, Count>{});
}

template <class V>
constexpr int kLanesOf = int(sizeof(V) / sizeof(Element<V>));

// Lane l of the result is lane from(l) of a and, beyond its lanes, of b.
template <class V, class From, int... Lane>
INLINE V shuffled(V a, V b, From from, std::integer_sequence<int, Lane...>) {
  return __builtin_shufflevector(a, b, from(Lane)...);
}
template <class V, class From>
INLINE V shuffle(V a, V b, From from) {
  return shuffled(a, b, from, std::make_integer_sequence<int, kLanesOf<V>>{});
}

// Lane l of vector (k + l) % K from vector k or, `Back`, the other way round.
template <int K, bool Back, int Step = 1, class V>
INLINE void turn_lanes(V* x) {
  constexpr int n = kLanesOf<V>;
  if constexpr (Step < K && Step < n) {
    V next[K];
    each<K>([&](auto k) INLINED {
      constexpr int other = (k.value + (Back ? Step : K - Step)) % K;
      next[k.value] = shuffle(x[k.value], x[other], [](int l) { return l % K & Step ? n + l : l; });
    });
    each<K>([&](auto k) INLINED { x[k.value] = next[k.value]; });
    turn_lanes<K, Back, 2 * Step>(x);
  }
}

// The one row r < n with r K + class = lane, modulo the number of lanes n.
constexpr int row_of_lane(int lane, int k, int K, int n) {
  int row = 0;
  while ((row * K + k) % n != lane) ++row;
  return row;
}

// K vectors of consecutive numbers of rows of K classes: class k of all rows in vector k.
template <int K, class V>
INLINE void split(V* x) {
  constexpr int n = kLanesOf<V>;
  V y[K];
  if constexpr (K % 2 == 0) {
    each<K / 2>([&](auto i) INLINED {
      constexpr int v = 2 * i.value;
      y[i.value] = shuffle(x[v], x[v + 1], [](int l) { return 2 * l; });
      y[i.value + K / 2] = shuffle(x[v], x[v + 1], [](int l) { return 2 * l + 1; });
    });
    split<K / 2>(y);
    split<K / 2>(y + K / 2);
    each<K>([&](auto k) INLINED { x[k.value] = y[k.value / 2 + (k.value % 2 ? K / 2 : 0)]; });
  } else if constexpr (K > 1) {
    each<K>([&](auto v) INLINED { y[v.value * n % K] = x[v.value]; });
    turn_lanes<K, false>(y);
    each<K>([&](auto k) INLINED {
      constexpr int first = k.value;
      x[first] = shuffle(y[first], y[first], [](int row) { return (row * K + first) % n; });
    });
  }
}

// The inverse of split.
template <int K, class V>
INLINE void join(V* x) {
  constexpr int n = kLanesOf<V>;
  V y[K];
  if constexpr (K % 2 == 0) {
    each<K>([&](auto k) INLINED { y[k.value / 2 + (k.value % 2 ? K / 2 : 0)] = x[k.value]; });
    join<K / 2>(y);
    join<K / 2>(y + K / 2);
    each<K / 2>([&](auto i) INLINED {
      constexpr int v = 2 * i.value;
      const V even = y[i.value], odd = y[i.value + K / 2];
      x[v] = shuffle(even, odd, [](int l) { return l / 2 + (l % 2 ? n : 0); });
      x[v + 1] = shuffle(even, odd, [](int l) { return (l + n) / 2 + (l % 2 ? n : 0); });
    });
  } else if constexpr (K > 1) {
    each<K>([&](auto k) INLINED {
      constexpr int first = k.value;
      y[first] = shuffle(x[first], x[first], [](int lane) { return row_of_lane(lane, first, K, n); });
    });
    turn_lanes<K, true>(y);
    each<K>([&](auto v) INLINED { x[v.value] = y[v.value * n % K]; });
  }
}

// `numbers` of rows of K classes from memory; as many rows as there are lanes make K vectors, class k in the
// k-th of them, and zeros fill up the last.
template <class T, int K>
void read_split(const T* from, Vec<T>* to, int numbers) {
  constexpr int n = kLanes<T>;
  for (; numbers > 0; numbers -= K * n, from += K * n, to += K) {
    Vec<T> x[K];
    if (numbers >= K * n)
      each<K>([&](auto v) INLINED { x[v.value] = load(from + v.value * n, Full{}); });
    else
      for (int v = 0; v < K; ++v) {
        const int left = numbers - v * n;
        x[v] = left <= 0 ? Vec<T>{} : load(from + v * n, left < n ? left : n);
      }
    split<K>(x);
    each<K>([&](auto k) INLINED { to[k.value] = x[k.value]; });
  }
}

template <class T, int K>
void write_joined(T* to, const Vec<T>* from, int numbers) {
  constexpr int n = kLanes<T>;
  for (; numbers > 0; numbers -= K * n, from += K, to += K * n) {
    Vec<T> x[K];
    each<K>([&](auto k) INLINED { x[k.value] = from[k.value]; });
    join<K>(x);
    if (numbers >= K * n)
      each<K>([&](auto v) INLINED { store(to + v.value * n, Full{}, x[v.value]); });
    else
      for (int v = 0; v < K && v * n < numbers; ++v) {
        const int left = numbers - v * n;
        store(to + v * n, left < n ? left : n, x[v]);
      }
  }
}

// Of rows of K classes, as many as there are lanes to a vector of `from`: the row's number for each of its classes.
template <class V, int K>
void spread(const V* from, V* to, int vectors) {
  constexpr int n = kLanesOf<V>;
  for (int b = 0; b < vectors; ++b, to += K)
    each<K>([&](auto v) INLINED {
      constexpr int first = v.value * n;
      to[v.value] = shuffle(from[b], from[b], [](int lane) { return (first + lane) / K; });
    });
}

constexpr int kSplit = 16;  // classes up to which this is compiled

template <class T>
using ReadSplit = void (*)(const T*, Vec<T>*, int);
template <class T>
using WriteJoined = void (*)(T*, const Vec<T>*, int);

template <class V>
using Spread = void (*)(const V*, V*, int);

template <class T, int... Less>
INLINE ReadSplit<T> read_split_of(int count, std::integer_sequence<int, Less...>) {
  static constexpr ReadSplit<T> functions[] = {read_split<T, Less + 1>...};
  return functions[count - 1];
}
template <class T, int... Less>
INLINE WriteJoined<T> write_joined_of(int count, std::integer_sequence<int, Less...>) {
  static constexpr WriteJoined<T> functions[] = {write_joined<T, Less + 1>...};
  return functions[count - 1];
}
template <class V, int... Less>
INLINE Spread<V> spread_of(int count, std::integer_sequence<int, Less...>) {
  static constexpr Spread<V> functions[] = {spread<V, Less + 1>...};
  return functions[count - 1];
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
