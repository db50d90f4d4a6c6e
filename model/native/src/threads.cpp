// Workers that look for the next task for a moment and then sleep. See threads.h.
//
// A worker looks for the next task in a loop for about as long as a step's parts are apart, and
// then sleeps, so that an idle server burns nothing.
#include "threads.h"

#include <stdexcept>
#include <string>
#include <system_error>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace verto {

namespace {

constexpr int LOOKS = 4000;  // about 50 to 100 microseconds

inline void breathe() {
#if defined(__x86_64__) || defined(__i386__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

}  // namespace

// Of a pool that has not come about, the threads that have are ended too: one that nobody waits for ends the process.
Threads::Threads(int count) : count_(count < 1 ? 1 : count) {
  try {
    for (int thread = 1; thread < count_; ++thread) workers_.emplace_back([this, thread] { serve(thread); });
  } catch (const std::system_error& error) {
    const std::string started = std::to_string(workers_.size() + 1);
    end();
    throw std::runtime_error(started + " of " + std::to_string(count_) + " threads started: " + error.what());
  } catch (...) {
    end();
    throw;
  }
}

Threads::~Threads() { end(); }

void Threads::end() {
  is_over_.store(true);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    round_.fetch_add(1);
  }
  more_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void Threads::run(const std::function<void(int)>& work) {
  work_ = &work;
  unfinished_.store(count_ - 1);
  round_.fetch_add(1);  // sequentially consistent: before the look at who sleeps
  if (asleep_.load() > 0) {
    { const std::lock_guard<std::mutex> lock(mutex_); }  // whoever has seen no task now waits to be woken
    more_.notify_all();
  }
  work(0);
  // With fewer processors than threads a worker must get its turn, so looking gives way to yielding.
  for (int looks = 0; unfinished_.load(std::memory_order_acquire) > 0; ++looks) {
    if (looks < LOOKS) breathe(); else std::this_thread::yield();
  }
}

bool Threads::wait_for_more(unsigned seen) {
  for (int looks = 0; looks < LOOKS && round_.load(std::memory_order_acquire) == seen; ++looks) breathe();
  if (round_.load(std::memory_order_acquire) == seen) {
    std::unique_lock<std::mutex> lock(mutex_);
    asleep_.fetch_add(1);
    more_.wait(lock, [&] { return round_.load() != seen; });
    asleep_.fetch_sub(1);
  }
  return !is_over_.load();
}

void Threads::serve(int thread) {
  unsigned seen = 0;
  while (wait_for_more(seen)) {
    ++seen;
    (*work_)(thread);
    unfinished_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace verto
