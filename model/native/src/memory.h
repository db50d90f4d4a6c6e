// Memory for numbers: aligned, set to zero, in huge pages where it is large, freed with its owner.
//
// Knows: bytes. Must not know: what they mean.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>
#include <vector>

namespace verto {

inline size_t round_up(size_t count, size_t unit) { return (count + unit - 1) / unit * unit; }

// Some bytes of the kernel's. What was never written takes no physical memory: pages come as zeros.
class Pages {
 public:
  Pages() = default;
  Pages(size_t count, bool huge) {
    constexpr size_t huge_page = size_t{2} << 20;
    bytes_ = round_up(count, 4096) + (huge ? huge_page : 0);
    void* start = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) throw std::bad_alloc();
    start_ = start;
    data_ = static_cast<char*>(start);
    if (!huge) return;
    data_ = reinterpret_cast<char*>(round_up(reinterpret_cast<size_t>(start), huge_page));
#ifdef MADV_HUGEPAGE
    madvise(data_, bytes_ - huge_page, MADV_HUGEPAGE);
#endif
  }
  Pages(Pages&& other) noexcept { *this = std::move(other); }
  Pages& operator=(Pages&& other) noexcept {
    std::swap(start_, other.start_);
    std::swap(bytes_, other.bytes_);
    std::swap(data_, other.data_);
    return *this;
  }
  ~Pages() {
    if (start_ != nullptr) munmap(start_, bytes_);
  }
  char* data() { return data_; }

 private:
  void* start_ = nullptr;
  size_t bytes_ = 0;
  char* data_ = nullptr;
};

// Memory that is taken piece by piece and given back all at once: small matrices lie side by side in huge pages.
// Weights are read from end to end at every step, and small pages would stop the processor's prefetching.
class Arena {
 public:
  char* take(size_t count) {
    count = round_up(count, 4096);
    if (count > left_) {
      left_ = count > CHUNK ? count : CHUNK;
      chunks_.emplace_back(left_, true);
      next_ = chunks_.back().data();
    }
    char* taken = next_;
    next_ += count, left_ -= count;
    return taken;
  }

 private:
  static constexpr size_t CHUNK = size_t{64} << 20;
  std::vector<Pages> chunks_;
  char* next_ = nullptr;
  size_t left_ = 0;
};

// `T` is a plain number. Its own pages, or a part of an arena's, which must outlive it.
template <class T>
class Memory {
 public:
  Memory() = default;
  explicit Memory(size_t count, bool huge = true)
      : pages_(count * sizeof(T), huge && count * sizeof(T) >= size_t{2} << 20),
        data_(reinterpret_cast<T*>(pages_.data())), count_(count) {}
  Memory(size_t count, Arena& arena) : data_(reinterpret_cast<T*>(arena.take(count * sizeof(T)))), count_(count) {}
  Memory(Memory&& other) noexcept { *this = std::move(other); }
  Memory& operator=(Memory&& other) noexcept {
    std::swap(pages_, other.pages_);
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    return *this;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t count() const { return count_; }
  size_t num_bytes() const { return count_ * sizeof(T); }

  // At least so many; what was there is lost when it grows.
  T* grown(size_t count) {
    if (count > count_) *this = Memory(count + count / 4);
    return data_;
  }

 private:
  Pages pages_;
  T* data_ = nullptr;
  size_t count_ = 0;
};

// As `Memory`, for what comes and goes all the time: the heap's, which keeps what is freed, not set to anything.
template <class T>
class Passing {
 public:
  explicit Passing(size_t count)
      : data_(static_cast<T*>(std::aligned_alloc(64, round_up(count * sizeof(T), 64)))), count_(count) {
    if (data_ == nullptr) throw std::bad_alloc();
  }
  Passing(Passing&& other) noexcept : data_(std::exchange(other.data_, nullptr)), count_(other.count_) {}
  Passing& operator=(Passing&&) = delete;
  ~Passing() { std::free(data_); }

  T* data() { return data_; }
  size_t num_bytes() const { return count_ * sizeof(T); }

 private:
  T* data_;
  size_t count_;
};

}  // namespace verto
