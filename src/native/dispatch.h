// The choice of an instruction set, all of it here and in dispatch.cpp.
#pragma once

#include "kernels.h"

namespace crossent {

// The kernels of that name, or null where this build or this machine has none.
const KernelTable* find_kernels(const char* isa);

// The names this machine can run, best first, ending with a null pointer.
const char* const* available_isas();

}  // namespace crossent
