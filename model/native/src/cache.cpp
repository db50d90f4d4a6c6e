// Blocks for rows as they grow, and tables of ancestors as they fork: what a cache's changes do. See cache.h.
#include "cache.h"

#include <algorithm>

namespace verto {

namespace {

constexpr size_t SLAB_BYTES = size_t{16} << 20;  // asked of the kernel at once

}  // namespace

Pool::Pool(int layers, int heads, int head_width)
    : heads_(heads), head_width_(head_width),
      block_size_(static_cast<size_t>(layers) * heads * 2 * BLOCK * head_width) {
  const size_t fitting = SLAB_BYTES / block_bytes();
  blocks_per_slab_ = fitting < 1 ? 1 : static_cast<int32_t>(fitting);
}

int Pool::take() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (free_.empty()) {
    const auto first = static_cast<int32_t>(slabs_.size()) * blocks_per_slab_;
    free_.reserve(static_cast<size_t>(first) + blocks_per_slab_);  // so that giving back never fails
    // Small pages: what no block has written takes no memory.
    slabs_.emplace_back(block_size_ * blocks_per_slab_, false);
    for (int32_t block = first + blocks_per_slab_ - 1; block >= first; --block) free_.push_back(block);
  }
  const int32_t block = free_.back();
  free_.pop_back();
  return block;
}

void Pool::give_back(const std::vector<int32_t>& blocks) {
  const std::lock_guard<std::mutex> lock(mutex_);
  free_.insert(free_.end(), blocks.begin(), blocks.end());
}

void Pool::give_back(int32_t block) {
  const std::lock_guard<std::mutex> lock(mutex_);
  free_.push_back(block);
}

Source::Source(int layers, int heads_, int head_width_, int length_)
    : heads(heads_), head_width(head_width_), length(length_),
      room((length_ + LANES - 1) / LANES * LANES),
      head_size(static_cast<size_t>(head_width_) * (room + length_)),
      memory(head_size * layers * heads_) {}

Cache::~Cache() {
  for (const auto& segment : segments_) pool_->give_back(segment->blocks);
}

Source& Cache::add(int rows, int capacity, int source_length, int layers) {
  auto segment = std::unique_ptr<Segment>(new Segment{
      rows, capacity, 0, Source(layers, pool_->heads(), pool_->head_width(), source_length), {}});
  rows_.resize(rows_.size() + rows);
  segments_.push_back(std::move(segment));
  return segments_.back()->source;
}

int Cache::full_segment() const {
  for (size_t i = 0; i < segments_.size(); ++i)
    if (segments_[i]->filled >= segments_[i]->capacity) return static_cast<int>(i);
  return -1;
}

void Cache::advance() {
  try {
    make_room();
  } catch (...) {
    trim();
    throw;
  }
  for (const auto& segment : segments_) ++segment->filled;
}

void Cache::make_room() {
  size_t row = 0;
  for (const auto& segment : segments_) {
    const bool wants_blocks = segment->filled % BLOCK == 0;
    if (wants_blocks) segment->blocks.reserve(segment->blocks.size() + segment->rows);
    for (int i = 0; i < segment->rows; ++i, ++row) {
      if (wants_blocks) {
        segment->blocks.push_back(pool_->take());
        rows_[row].block = pool_->address(segment->blocks.back());
      }
      rows_[row].ancestors.push_back(rows_[row].block);
    }
  }
}

void Cache::retreat() {
  for (const auto& segment : segments_) --segment->filled;
  trim();
}

void Cache::trim() {
  size_t row = 0;
  for (const auto& segment : segments_) {
    for (int i = 0; i < segment->rows; ++i, ++row) rows_[row].ancestors.resize(segment->filled);
    const size_t held = round_up(segment->filled, BLOCK) / BLOCK * segment->rows;
    for (; segment->blocks.size() > held; segment->blocks.pop_back()) pool_->give_back(segment->blocks.back());
  }
}

Turn Cache::turn(const int64_t* token_ids, bool all) {
  Turn turn{{}, {0}};
  size_t first = 0;
  for (const auto& segment : segments_) {
    const int64_t* own = token_ids + first;
    const bool is_alike = std::all_of(own, own + segment->rows, [&](int64_t id) { return id == *own; });
    const int computed = segment->filled == 1 && is_alike && !all ? 1 : segment->rows;
    for (int i = 0; i < computed; ++i) turn.rows.push_back(static_cast<int>(first) + i);
    for (int i = computed; i < segment->rows; ++i) rows_[first + i].ancestors.front() = rows_[first].block;
    turn.starts.push_back(static_cast<int>(turn.rows.size()));
    first += segment->rows;
  }
  return turn;
}

bool Cache::reorder(const int64_t* parents) {
  size_t first = 0;
  for (const auto& segment : segments_) {
    for (int i = 0; i < segment->rows; ++i) {
      const int64_t parent = parents[first + i];
      if (parent < static_cast<int64_t>(first) || parent >= static_cast<int64_t>(first) + segment->rows)
        return false;
    }
    first += segment->rows;
  }
  histories_.resize(std::max(histories_.size(), rows_.size()));
  const auto moves = [&](size_t row) { return parents[row] != static_cast<int64_t>(row); };
  for (size_t row = 0; row < rows_.size(); ++row)
    if (moves(row)) histories_[row] = rows_[parents[row]].ancestors;
  for (size_t row = 0; row < rows_.size(); ++row)
    if (moves(row)) rows_[row].ancestors.swap(histories_[row]);
  return true;
}

void Cache::keep(const uint8_t* kept) {
  size_t row = 0, row_out = 0, out = 0;
  for (size_t i = 0; i < segments_.size(); ++i) {
    const int count = segments_[i]->rows;
    if (kept[i]) {
      for (int j = 0; j < count; ++j) std::swap(rows_[row_out + j], rows_[row + j]);
      row_out += count;
      std::swap(segments_[out++], segments_[i]);
    } else {
      pool_->give_back(segments_[i]->blocks);
      segments_[i]->blocks.clear();
    }
    row += count;
  }
  segments_.resize(out);
  rows_.resize(row_out);
}

bool Cache::join(Cache& other) {
  if (other.pool_ != pool_) return false;
  segments_.reserve(segments_.size() + other.segments_.size());
  rows_.reserve(rows_.size() + other.rows_.size());
  for (auto& segment : other.segments_) segments_.push_back(std::move(segment));
  for (auto& row : other.rows_) rows_.push_back(std::move(row));
  other.segments_.clear();
  other.rows_.clear();
  return true;
}

size_t Cache::num_bytes() const {
  size_t total = 0;
  for (const auto& segment : segments_)
    total += segment->blocks.size() * pool_->block_bytes() + segment->source.memory.num_bytes();
  return total;
}

}  // namespace verto
