// A small pool of threads. Work is a range of rows cut into chunks; who computes a chunk changes no bit.
//
// Several threads of Python may call at once. A forked child finds the process id changed, leaves the
// pool it inherited alone and makes its own. Nothing starts before the first call that needs it.
#pragma once

#include <cstdint>

namespace crossent {

int thread_count();
void set_thread_count(int count);

// Work on the items begin ... end; called from several threads at once.
using Work = void (*)(const void* context, int64_t begin, int64_t end);

// Runs work over 0 ... items in chunks of whole `grain`s, on as many threads as `nanoseconds` of work in
// all are worth, each with the floating-point environment of the C standard's start-up.
void parallel_for(int64_t items, int64_t grain, double nanoseconds, Work work, const void* context);

}  // namespace crossent
