// A few threads that work on parts of one task, and sleep when there is none.
//
// Knows: how many, which part is whose. Must not know: what the parts are. Which thread does a part never
// changes a bit of it. Threads do not survive a fork: a pool is made in the process that uses it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace verto {

class Threads {
 public:
  // Throws, and leaves none behind, where so many threads cannot be started.
  explicit Threads(int count);
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  int count() const { return count_; }

  // Calls work(begin, end, thread) for parts that together are 0..items-1; returns when all are done. Parts
  // begin at multiples of `grain`. `work` must not throw.
  template <class Work>
  void each(int items, int grain, const Work& work) {
    if (items <= 0) return;
    if (count_ == 1 || items <= grain) return work(0, items, 0);
    const int grains = (items + grain - 1) / grain;
    run([&](int thread) {
      const int begin = static_cast<int>(static_cast<long>(grains) * thread / count_) * grain;
      const int end = static_cast<int>(static_cast<long>(grains) * (thread + 1) / count_) * grain;
      if (begin < items && begin < end) work(begin, end < items ? end : items, thread);
    });
  }

 private:
  void run(const std::function<void(int)>& work);
  void serve(int thread);
  void end();
  bool wait_for_more(unsigned seen);

  int count_;
  const std::function<void(int)>* work_ = nullptr;
  std::atomic<unsigned> round_{0};    // counts tasks; a worker waits for it to change
  std::atomic<int> unfinished_{0};    // workers still at the present task
  std::atomic<bool> is_over_{false};
  std::mutex mutex_;
  std::condition_variable more_;
  std::atomic<int> asleep_{0};
  std::vector<std::thread> workers_;
};

}  // namespace verto
