#include "pool.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

#include "float_environment.h"

namespace crossent {
namespace {

constexpr double kWorthAThread = 10'000;  // nanoseconds of work that pay for waking one
constexpr int64_t kChunksPerThread = 8;
constexpr int kMostThreads = 1024;
constexpr int kSpins = 200;  // pauses before a thread sleeps, some ten microseconds: waking it takes longer

int usable_cores() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1, int(std::thread::hardware_concurrency()));
}

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Whether done() came true within a few microseconds.
template <class Done>
bool soon(Done done) {
  for (int i = 0; i < kSpins; ++i) {
    if (done()) return true;
    pause();
  }
  return false;
}

std::atomic<int> chosen_threads{0};  // 0: as many as there are cores to use

// One call's work. It lives on the caller's stack; the caller leaves only when no helper is inside.
struct Job {
  Work work;
  const void* context;
  int64_t items, chunk;
  std::atomic<int64_t> next{0};
  int wanted;                   // helpers still to come, guarded by the pool's mutex
  std::atomic<int> inside{0};   // helpers at work, written under the pool's mutex
  std::condition_variable left;

  Job(Work work, const void* context, int64_t items, int64_t chunk, int wanted)
      : work(work), context(context), items(items), chunk(chunk), wanted(wanted) {}

  void run() {
    const FloatEnvironment environment;
    for (;;) {
      const int64_t begin = next.fetch_add(chunk, std::memory_order_relaxed);
      if (begin >= items) return;
      work(context, begin, std::min(begin + chunk, items));
    }
  }
};

class Pool {
 public:
  explicit Pool(pid_t process) : process(process) {}

  const pid_t process;

  void run(Job& job) {
    const int wanted = job.wanted;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      grow(wanted);
      jobs_.push_back(&job);
      n_jobs_ = int(jobs_.size());
    }
    wanted == 1 ? wake_.notify_one() : wake_.notify_all();
    job.run();
    {
      std::lock_guard<std::mutex> lock(mutex_);
      const auto at = std::find(jobs_.begin(), jobs_.end(), &job);
      if (at != jobs_.end()) jobs_.erase(at);
      n_jobs_ = int(jobs_.size());
    }
    if (spins()) soon([&] { return job.inside == 0; });
    std::unique_lock<std::mutex> lock(mutex_);  // the last helper holds it until it has left the job
    job.left.wait(lock, [&] { return job.inside == 0; });
  }

 private:
  // Threads that cannot be had are done without: the caller works through every chunk left.
  void grow(int count) {
    sigset_t all, before;
    sigfillset(&all);
    if (threads_ >= count) return;
    pthread_sigmask(SIG_SETMASK, &all, &before);  // signals belong to the threads of the program
    try {
      for (; threads_ < count; ++threads_) std::thread([this] { serve(); }).detach();
    } catch (const std::system_error&) {
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void serve() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return !jobs_.empty(); });
      Job& job = *jobs_.front();
      ++job.inside;
      if (--job.wanted == 0) jobs_.pop_front();
      n_jobs_ = int(jobs_.size());
      lock.unlock();
      job.run();
      lock.lock();
      if (--job.inside == 0) job.left.notify_one();
      lock.unlock();
      if (spins()) soon([&] { return n_jobs_ > 0; });  // the next call often follows at once
      lock.lock();
    }
  }

  // Only where every thread has a core: elsewhere it would take the time of one that works.
  bool spins() const { return threads_ < usable_cores_; }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job*> jobs_;
  std::atomic<int> n_jobs_{0};   // how many, to be read without the mutex
  std::atomic<int> threads_{0};  // written under the mutex
  const int usable_cores_ = usable_cores();
};

// Never destroyed: at exit its threads sleep and end with the process.
std::atomic<Pool*> current_pool{nullptr};

Pool& pool() {
  const pid_t process = getpid();
  Pool* found = current_pool.load(std::memory_order_acquire);
  while (found == nullptr || found->process != process) {
    Pool* made = new Pool(process);
    if (current_pool.compare_exchange_strong(found, made, std::memory_order_acq_rel)) return *made;
    delete made;  // another thread was first; its pool is in `found`
  }
  return *found;
}

}  // namespace

int thread_count() {
  const int chosen = chosen_threads.load(std::memory_order_relaxed);
  if (chosen > 0) return chosen;
  static const int cores = usable_cores();
  return cores;
}

void set_thread_count(int count) {
  chosen_threads.store(std::clamp(count, 0, kMostThreads), std::memory_order_relaxed);
}

void parallel_for(int64_t items, int64_t grain, double nanoseconds, Work work, const void* context) {
  const int64_t grains = (items + grain - 1) / grain;
  const double worth = std::min(nanoseconds / kWorthAThread, double(kMostThreads));
  const int64_t threads = std::min({int64_t(thread_count()), int64_t(worth), grains});
  if (threads < 2) {
    const FloatEnvironment environment;
    work(context, 0, items);
    return;
  }
  const int64_t chunks = std::min(grains, threads * kChunksPerThread);
  const int64_t chunk = (grains + chunks - 1) / chunks * grain;
  Job job(work, context, items, chunk, int(threads - 1));
  pool().run(job);
}

}  // namespace crossent
