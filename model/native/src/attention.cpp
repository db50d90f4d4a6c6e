// Scores, softmax and weighted values in tiles whose sums stay in registers. See attention.h.
//
// Every sum has one order, whatever the number of queries beside it.
#include "attention.h"

#include "rowwise.h"

namespace verto {

namespace {

// Scores of M queries with V vectors of keys. Even and odd k are summed apart: with few queries one chain of
// sums per vector would wait for itself.
template <int M, int V>
inline void score_tile(const float* queries, size_t pitch, const Keys& keys, int first, F16 scale, float* scores) {
  F16 even[M][V], odd[M][V];
  for (int i = 0; i < M; ++i)
    for (int v = 0; v < V; ++v) even[i][v] = odd[i][v] = zero();
  const float* k = keys.keys + first;
  for (int d = 0; d < keys.head_width; d += 2, k += 2 * keys.room) {
    F16 now[V], next[V];
    for (int v = 0; v < V; ++v) now[v] = load(k + v * LANES), next[v] = load(k + keys.room + v * LANES);
    for (int i = 0; i < M; ++i) {
      const F16 a = splat(queries[i * pitch + d]), b = splat(queries[i * pitch + d + 1]);
      for (int v = 0; v < V; ++v) {
        even[i][v] = fma(a, now[v], even[i][v]);
        odd[i][v] = fma(b, next[v], odd[i][v]);
      }
    }
  }
  for (int i = 0; i < M; ++i)
    for (int v = 0; v < V; ++v)
      store(scores + i * keys.room + first + v * LANES, (even[i][v] + odd[i][v]) * scale);
}

// Weighted sums of values: M queries, V vectors of the head.
template <int M, int V>
inline void value_tile(const float* shares, const Keys& keys, int first, float* out, size_t pitch) {
  F16 sums[M][V];
  for (int i = 0; i < M; ++i)
    for (int v = 0; v < V; ++v) sums[i][v] = zero();
  const float* row = keys.values + first;
  for (int s = 0; s < keys.length; ++s, row += keys.value_pitch) {
    F16 value[V];
    for (int v = 0; v < V; ++v) value[v] = load(row + v * LANES);
    for (int i = 0; i < M; ++i) {
      const F16 share = splat(shares[i * keys.room + s]);
      for (int v = 0; v < V; ++v) sums[i][v] = fma(share, value[v], sums[i][v]);
    }
  }
  for (int i = 0; i < M; ++i)
    for (int v = 0; v < V; ++v) store(out + i * pitch + first + v * LANES, sums[i][v]);
}

template <int M>
void attend_together(const float* queries, size_t pitch, const Keys& keys, F16 scale, float* out,
                     size_t out_pitch, float* scores) {
  int first = 0;
  const int room = static_cast<int>(keys.room);
  for (; first + 2 * LANES <= room; first += 2 * LANES)
    score_tile<M, 2>(queries, pitch, keys, first, scale, scores);
  if (first < room) score_tile<M, 1>(queries, pitch, keys, first, scale, scores);
  for (int i = 0; i < M; ++i) softmax(scores + i * keys.room, keys.length);
  first = 0;
  for (; first + 4 * LANES <= keys.head_width; first += 4 * LANES)
    value_tile<M, 4>(scores, keys, first, out, out_pitch);
  for (; first < keys.head_width; first += LANES) value_tile<M, 1>(scores, keys, first, out, out_pitch);
}

// Scores of one query with up to 16 positions of a history, whose keys begin `part` numbers into their blocks.
inline F16 history_scores(const float* query, const float* const* blocks, size_t part, int width, int count) {
  F16 parts[LANES];
  for (int t = 0; t < count; ++t) {
    const float* key = blocks[t] + part + t * width;
    F16 total = load(query) * load(key);
    for (int d = LANES; d < width; d += LANES) total = fma(load(query + d), load(key + d), total);
    parts[t] = total;
  }
  for (int t = count; t < LANES; ++t) parts[t] = zero();
  return sum_each(parts);
}

template <int V>
inline void history_values(const float* shares, const float* const* blocks, size_t part, int width, int length,
                           float* out) {
  F16 sums[V];
  for (int v = 0; v < V; ++v) sums[v] = zero();
  for (int t = 0; t < length; ++t) {
    const float* value = blocks[t] + part + (BLOCK + t % BLOCK) * width;
    const F16 share = splat(shares[t]);
    for (int v = 0; v < V; ++v) sums[v] = fma(share, load(value + v * LANES), sums[v]);
  }
  for (int v = 0; v < V; ++v) store(out + v * LANES, sums[v]);
}

}  // namespace

void attend(const float* queries, size_t pitch, int count, const Keys& keys, float scale, float* out,
            size_t out_pitch, float* scores, float* shares, size_t share_pitch) {
  const F16 factor = splat(scale);
  for (int first = 0; first < count; first += QUERIES) {
    const int together = count - first < QUERIES ? count - first : QUERIES;
    const float* q = queries + first * pitch;
    float* o = out + first * out_pitch;
    switch (together) {
      case 1: attend_together<1>(q, pitch, keys, factor, o, out_pitch, scores); break;
      case 2: attend_together<2>(q, pitch, keys, factor, o, out_pitch, scores); break;
      case 3: attend_together<3>(q, pitch, keys, factor, o, out_pitch, scores); break;
      default: attend_together<4>(q, pitch, keys, factor, o, out_pitch, scores); break;
    }
    if (shares == nullptr) continue;
    for (int i = 0; i < together; ++i)
      std::memcpy(shares + (first + i) * share_pitch, scores + i * keys.room,
                  sizeof(float) * static_cast<size_t>(keys.length));
  }
}

// Step by step over all rows, since within a row every step waits for the one before.
void attend_histories(const float* queries, size_t pitch, const Row* rows, int count, size_t part, int width,
                      int length, float scale, float* out, size_t out_pitch, float* scores) {
  const size_t room = round_up(length, LANES);
  for (int i = 0; i < count; ++i)
    for (int first = 0; first < length; first += BLOCK) {
      const int some = length - first < BLOCK ? length - first : BLOCK;
      const F16 block = history_scores(queries + i * pitch, rows[i].ancestors.data() + first, part, width, some);
      store(scores + i * room + first, block * splat(scale));
    }
  for (int i = 0; i < count; ++i) softmax(scores + i * room, length);
  for (int i = 0; i < count; ++i) {
    const float* const* blocks = rows[i].ancestors.data();
    const float* shares = scores + i * room;
    int first = 0;
    for (; first + 4 * LANES <= width; first += 4 * LANES)
      history_values<4>(shares, blocks, part + first, width, length, out + i * out_pitch + first);
    for (; first < width; first += LANES)
      history_values<1>(shares, blocks, part + first, width, length, out + i * out_pitch + first);
  }
}

void turn_over(const float* keys, size_t pitch, int length, int head_width, float* out, size_t room) {
  for (int s = 0; s < length; ++s)
    for (int d = 0; d < head_width; ++d) out[d * room + s] = keys[s * pitch + d];
}

}  // namespace verto
