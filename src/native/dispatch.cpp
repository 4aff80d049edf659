#include "dispatch.h"

#include <cstring>

#if defined(CROSSENT_X86_KERNELS)
#include <cpuid.h>
#endif

namespace crossent {

namespace baseline {
extern const KernelTable kernels;
}
#if defined(CROSSENT_X86_KERNELS)
namespace avx2 {
extern const KernelTable kernels;
}
namespace avx512 {
extern const KernelTable kernels;
}
#endif

namespace {

#if defined(CROSSENT_X86_KERNELS)
bool has_half_conversion() {
  unsigned a, b, c, d;
  return __get_cpuid(1, &a, &b, &c, &d) && (c & (1u << 29));  // F16C
}
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_half_conversion();
}
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif
bool always() { return true; }

struct Candidate {
  const KernelTable& kernels;
  bool (*runs)();
};

const Candidate kCandidates[] = {
#if defined(CROSSENT_X86_KERNELS)
    {avx512::kernels, has_avx512},
    {avx2::kernels, has_avx2},
#endif
    {baseline::kernels, always},
};

}  // namespace

const KernelTable* find_kernels(const char* isa) {
  for (const Candidate& candidate : kCandidates)
    if (std::strcmp(candidate.kernels.isa, isa) == 0 && candidate.runs()) return &candidate.kernels;
  return nullptr;
}

const char* const* available_isas() {
  static const char* names[4] = {};
  int count = 0;
  for (const Candidate& candidate : kCandidates)
    if (candidate.runs()) names[count++] = candidate.kernels.isa;
  names[count] = nullptr;
  return names;
}

}  // namespace crossent
