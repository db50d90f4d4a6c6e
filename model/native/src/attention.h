// Attention of single queries and of groups of queries, one head at a time.
//
// Knows: softmax(q K^T / sqrt(K)) V (equation 1 of Vaswani et al. 2017), keys that lie turned over or in blocks.
// Must not know: layers, weights, whose rows these are.
// Shapes: Q queries, S keys, K head width, here of whole vectors (filled up with zeros).
#pragma once

#include <cstdint>

#include "cache.h"
#include "simd.h"

namespace verto {

// Queries of one head against the same S keys. `keys` [K, room] are turned over, `values` [S, value_pitch].
struct Keys {
  const float* keys;
  size_t room;  // S filled up to whole vectors
  const float* values;
  size_t value_pitch;
  int length;
  int head_width;
};

constexpr int QUERIES = 4;  // that read a key together

// `queries` [Q, pitch] -> `out` [Q, pitch_out]; `scores` is room for [QUERIES, room]. `shares`, if not null,
// [Q, share_pitch], receives what each query gave to each key.
void attend(const float* queries, size_t pitch, int count, const Keys& keys, float scale, float* out,
            size_t out_pitch, float* scores, float* shares, size_t share_pitch);

// `count` queries of one head, each against the first `length` positions of its own row's history. `part`: where the
// head's keys begin in a block. `scores` is room for [count, length filled up].
void attend_histories(const float* queries, size_t pitch, const Row* rows, int count, size_t part, int width,
                      int length, float scale, float* out, size_t out_pitch, float* scores);

// [S, pitch] -> [K, room]; what lies beyond S is not touched.
void turn_over(const float* keys, size_t pitch, int length, int head_width, float* out, size_t room);

}  // namespace verto
