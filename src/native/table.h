// How a family's kernels are listed: one for each dtype, in the order of DType.
#pragma once

#include "kernels.h"
#include "memory.h"

#define ALL(kernel) {kernel<Float16>, kernel<BFloat16>, kernel<float>, kernel<double>}
#define WIDE(kernel) {nullptr, nullptr, kernel<float>, kernel<double>}

// name_few for rows of up to `most` classes, name_rows for longer ones.
#define ROWS(name, most)                                                                       \
  {BY_LENGTH(name, most, Float16), BY_LENGTH(name, most, BFloat16), BY_LENGTH(name, most, float), \
   BY_LENGTH(name, most, double)}
#define BY_LENGTH(name, most, T) by_length<name##_few<T>, name##_rows<T>, most>

namespace crossent::CROSSENT_ISA {
namespace {

template <auto few, auto many, int64_t most_of_few, class Call>
auto by_length(const Call& call, int64_t begin, int64_t end) {
  const StreamEnd end_of_stream{call.streamed};
  return (call.n_classes <= most_of_few ? few : many)(call, begin, end);
}

}  // namespace
}  // namespace crossent::CROSSENT_ISA
