#include "dispatch.h"

#include <cstring>

#if defined(CROSSENT_X86_KERNELS)
#include <cpuid.h>
#endif

namespace crossent {

#define FAMILIES(isa)                            \
  namespace isa {                                \
  extern const SoftmaxKernels softmax_kernels;   \
  extern const LossKernels loss_kernels;         \
  extern const ColumnKernels column_kernels;     \
  extern const FeatureKernels feature_kernels;   \
  extern const ProductKernels product_kernels;   \
  extern const SparseKernels sparse_kernels;     \
  extern const VectorKernels vector_kernels;     \
  }
#define TABLE(isa) \
  {isa::softmax_kernels, isa::loss_kernels, isa::column_kernels, isa::feature_kernels, isa::product_kernels, \
   isa::sparse_kernels, isa::vector_kernels}

FAMILIES(baseline)
#if defined(CROSSENT_X86_KERNELS)
FAMILIES(avx2)
FAMILIES(avx512)
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
  const char* isa;
  bool (*runs)();
  KernelTable kernels;
};

const Candidate kCandidates[] = {
#if defined(CROSSENT_X86_KERNELS)
    {"avx512", has_avx512, TABLE(avx512)},
    {"avx2", has_avx2, TABLE(avx2)},
#endif
    {"baseline", always, TABLE(baseline)},
};

}  // namespace

const KernelTable* find_kernels(const char* isa) {
  for (const Candidate& candidate : kCandidates)
    if (std::strcmp(candidate.isa, isa) == 0 && candidate.runs()) return &candidate.kernels;
  return nullptr;
}

const char* const* available_isas() {
  static const char* names[4] = {};
  int count = 0;
  for (const Candidate& candidate : kCandidates)
    if (candidate.runs()) names[count++] = candidate.isa;
  names[count] = nullptr;
  return names;
}

}  // namespace crossent
