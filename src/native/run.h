// One kernel over the items of a call: threads, the GIL, and sums that do not depend on either.
#pragma once

#include <Python.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "arrays.h"
#include "pool.h"

namespace crossent {

constexpr double kWorthUnlocking = 10'000;  // nanoseconds of work that pay for giving up the GIL

// What a number costs about, in nanoseconds: it decides on threads and the GIL, never on a result.
constexpr double kCheap = 0.5, kGeneral = 4, kPerRow = 20, kOfLabel = 0.25;

// Whether memory has been written before. What has not is cleared by the system first, and so in the caches.
inline bool is_resident(const void* memory) {
  static const uintptr_t page = uintptr_t(sysconf(_SC_PAGESIZE));
#if defined(__linux__)
  unsigned char resident = 0;
#else
  char resident = 0;
#endif
  return mincore((void*)(uintptr_t(memory) / page * page), 1, &resident) == 0 && (resident & 1);
}

// Results pass the caches by where a call touches more memory than they hold, so that no results would be found
// there: a store then need not read what it replaces. Rows are to be long, for lines that two rows share lose.
constexpr int64_t kStreamedBytes = 128 << 20, kStreamedRow = 512;

inline bool streams(const Numbers& rows, int arrays, const void* out) {
  const int64_t row = rows.columns * kItemSize[rows.dtype];
  if (arrays * rows.rows * row < kStreamedBytes || rows.columns < kStreamedRow || !out || out == rows.data) return false;
  return is_resident((const char*)out + rows.rows / 2 * row);
}

// Takes the GIL back. An interpreter that has begun to exit ends the thread instead, by unwinding its stack
// where the system does that; it must not pass through C++ frames, so such a thread waits for the end here.
inline void lock_again(PyThreadState* state) {
  try {
    PyEval_RestoreThread(state);
  } catch (...) {
    for (;;) pause();
  }
}

// work(begin, end) over 0 ... items in whole grains.
template <class Body>
void share(int64_t items, int64_t grain, double nanoseconds, const Body& body) {
  if (items == 0) return;
  const Work work = [](const void* context, int64_t begin, int64_t end) {
    (*static_cast<const Body*>(context))(begin, end);
  };
  if (nanoseconds < kWorthUnlocking) return parallel_for(items, grain, nanoseconds, work, &body);
  PyThreadState* state = PyEval_SaveThread();
  parallel_for(items, grain, nanoseconds, work, &body);
  lock_again(state);
}

template <class Call>
void run(Kernel<Call> kernel, const Call& call, int64_t items, int64_t grain, double nanoseconds) {
  share(items, grain, nanoseconds, [&](int64_t begin, int64_t end) { kernel(call, begin, end); });
}

constexpr int64_t kMostSums = 2048;

// The sum of a kernel's losses: blocks of `grain` items, or of more where that would be too many blocks,
// each summed by one thread, and the blocks' sums added in order.
template <class Call>
double run_summed(LossKernel<Call> kernel, const Call& call, int64_t items, int64_t grain, double nanoseconds) {
  double sums[kMostSums];
  const int64_t grains = (items + grain - 1) / grain;
  const int64_t block = std::max<int64_t>(1, (grains + kMostSums - 1) / kMostSums) * grain;
  const int64_t blocks = (items + block - 1) / block;
  share(blocks, 1, nanoseconds, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) sums[b] = kernel(call, b * block, std::min(items, (b + 1) * block));
  });
  double total = 0, error = 0;
  for (int64_t b = 0; b < blocks; ++b) {  // Knuth's TwoSum
    const double next = total + sums[b], back = next - total;
    error += (total - (next - back)) + (sums[b] - back);
    total = next;
  }
  return error - error == 0 ? total + error : total;  // an infinite sum has no error
}

inline double row_cost(const Numbers& rows, double per_number) {
  return double(rows.rows) * (kPerRow + per_number * double(rows.columns));
}

// Rows that a thread takes at least: enough to fill the lanes with short rows, one of the long ones.
inline int64_t row_grain(const Numbers& rows) { return rows.columns <= 256 ? 16 : 1; }

}  // namespace crossent
