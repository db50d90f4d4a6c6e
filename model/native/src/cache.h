// What a decoder remembers between steps: keys and values, its own by row, the source's by segment.
//
// Knows: blocks of positions, who holds them, which block holds each past position of a row. Must not know:
// weights, tokens, how attention is computed. A position, once written, never moves.
// Shapes: L layers, H heads, K head width filled up to whole vectors, S source, T target.
//
//     row 0 at t = 18    ancestors  [0] .. [15] block 3,3,1,3,...    [16] [17] [18] block 7,8,7
//
// Every row writes position t into place t % 16 of a block of its own, and takes a new block every 16
// positions. Which block holds position t of a row's history is its table of ancestors: whoever continues
// another row's history copies the table, not keys and values. Position t has the same place in all blocks.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "memory.h"
#include "simd.h"

namespace verto {

constexpr int BLOCK = LANES;  // positions of a block

// Blocks for the rows of all caches of one network; freed blocks are used again.
//     a block     [L, H, keys then values, 16 positions, K]
class Pool {
 public:
  Pool(int layers, int heads, int head_width);
  int take();
  void give_back(const std::vector<int32_t>& blocks);
  void give_back(int32_t block);
  float* address(int32_t block) {
    return slabs_[block / blocks_per_slab_].data() + (block % blocks_per_slab_) * block_size_;
  }
  // Where in a block 16 positions' keys of a head begin; their values follow.
  size_t part(int layer, int head) const { return static_cast<size_t>(layer * heads_ + head) * 2 * BLOCK * head_width_; }
  size_t block_bytes() const { return block_size_ * sizeof(float); }
  int heads() const { return heads_; }
  int head_width() const { return head_width_; }

 private:
  int heads_, head_width_;
  size_t block_size_;
  int32_t blocks_per_slab_;
  std::vector<Memory<float>> slabs_;
  std::vector<int32_t> free_;
  std::mutex mutex_;  // a cache may be freed while another one grows
};

// Encoded once: of every layer and head the keys turned over [K, S filled up], then the values [S, K].
struct Source {
  Source(int layers, int heads, int head_width, int length);
  float* keys(int layer, int head) { return memory.data() + (layer * heads + head) * head_size; }
  float* values(int layer, int head) { return keys(layer, head) + static_cast<size_t>(head_width) * room; }
  int heads, head_width, length, room;
  size_t head_size;
  Passing<float> memory;
};

struct Segment {
  int rows, capacity, filled = 0;
  Source source;
  std::vector<int32_t> blocks;  // all that its rows have taken
};

struct Row {
  float* block = nullptr;         // where it writes
  std::vector<float*> ancestors;  // the block of each position of its history
};

// The rows that a step computes: all, but of a segment that begins with equal rows the first alone.
struct Turn {
  std::vector<int> rows;    // [C] their numbers
  std::vector<int> starts;  // [G + 1] where a segment's rows begin among these
};

class Cache {
 public:
  explicit Cache(std::shared_ptr<Pool> pool) : pool_(std::move(pool)) {}
  ~Cache();
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  Source& add(int rows, int capacity, int source_length, int layers);
  // The segment that has no room for another position, or -1.
  int full_segment() const;
  // Every row has one more position, in its own block; `retreat` takes that back. Nothing has changed when it throws.
  void advance();
  void retreat();
  // Who is computed once `advance` has made room. The other rows of a segment that begins have their first position
  // where its first row writes it. `all`: every row is to be computed.
  Turn turn(const int64_t* token_ids, bool all);
  // False, and nothing has changed, when a parent is no row of the row's own segment.
  bool reorder(const int64_t* parents);
  void keep(const uint8_t* kept);
  // False when `other` belongs to another network.
  bool join(Cache& other);
  size_t num_bytes() const;

  Pool& pool() { return *pool_; }
  std::vector<std::unique_ptr<Segment>>& segments() { return segments_; }
  std::vector<Row>& rows() { return rows_; }

 private:
  void make_room();
  void trim();  // to the positions that segments have filled

  std::shared_ptr<Pool> pool_;
  std::vector<std::unique_ptr<Segment>> segments_;
  std::vector<Row> rows_;
  std::vector<std::vector<float*>> histories_;  // room for `reorder`, which comes at every step
};

}  // namespace verto
