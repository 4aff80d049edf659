// What every function of the Python module needs: nanobind, the arrays, the kernels in use.
#pragma once

#include <nanobind/nanobind.h>

#include "arrays.h"
#include "dispatch.h"
#include "run.h"

namespace nb = nanobind;
using nb::handle;

namespace crossent {
namespace {

const KernelTable* kernels = nullptr;

}  // namespace
}  // namespace crossent
