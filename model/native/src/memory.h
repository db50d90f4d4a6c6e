// Memory for numbers: aligned, set to zero, in huge pages where it is large, freed with its owner.
//
// Knows: bytes. Must not know: what they mean.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <utility>

namespace verto {

inline size_t round_up(size_t count, size_t unit) { return (count + unit - 1) / unit * unit; }

// `T` is a plain number. What was never written takes no physical memory: pages come from the kernel as zeros.
template <class T>
class Memory {
 public:
  Memory() = default;
  explicit Memory(size_t count, bool huge_pages = true) : count_(count) {
    if (count == 0) return;
    constexpr size_t huge = size_t{2} << 20;
    const size_t wanted = count * sizeof(T);
    const bool is_large = huge_pages && wanted >= huge;
    bytes_ = round_up(wanted, 4096) + (is_large ? huge : 0);
    void* start = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) throw std::bad_alloc();
    start_ = start;
    const auto address = reinterpret_cast<size_t>(start);
    data_ = reinterpret_cast<T*>(is_large ? round_up(address, huge) : address);
#ifdef MADV_HUGEPAGE
    // Weights are read from end to end at every step: with small pages the address translation is a cost.
    if (is_large) madvise(data_, wanted, MADV_HUGEPAGE);
#endif
  }
  Memory(Memory&& other) noexcept { *this = std::move(other); }
  Memory& operator=(Memory&& other) noexcept {
    std::swap(start_, other.start_);
    std::swap(bytes_, other.bytes_);
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    return *this;
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() {
    if (start_ != nullptr) munmap(start_, bytes_);
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
  void* start_ = nullptr;
  size_t bytes_ = 0;
  T* data_ = nullptr;
  size_t count_ = 0;
};

}  // namespace verto
