// The encoder: tokens of all segments one after the other, without padding. See network.h.
#include <algorithm>

#include "network.h"

namespace verto {

namespace {

// Tokens that go through the layers together: enough to read the weights seldom, few enough that what is
// between two layers stays in the cache of the processor.
constexpr int GROUP_TOKENS = 256;

}  // namespace

void Network::open(const int64_t* ids, const int32_t* lengths, const int32_t* rows, const int32_t* capacities,
                   int segments, Cache& cache) {
  for (int first = 0; first < segments;) {
    std::vector<Source*> sources;
    int tokens = 0, end = first;
    for (; end < segments && (end == first || tokens + lengths[end] <= GROUP_TOKENS); ++end) {
      sources.push_back(&cache.add(rows[end], capacities[end], lengths[end], sizes.decoder_layers));
      tokens += lengths[end];
    }
    encode_group(ids, lengths + first, end - first, sources.data());
    ids += tokens;
    first = end;
  }
}

void Network::encode_group(const int64_t* ids, const int32_t* lengths, int segments, Source* const* sources) {
  int count = 0;
  for (int i = 0; i < segments; ++i) count += lengths[i];
  float* x = scratch_.x.grown(static_cast<size_t>(count) * width);
  for (int i = 0, row = 0; i < segments; ++i)
    for (int position = 0; position < lengths[i]; ++position, ++row)
      embed_row(source, source.tokens.data(), ids[row], position, x + static_cast<size_t>(row) * width);
  encode(x, count, lengths, segments);
  remember_sources(x, count, lengths, segments, sources);
}

void Network::encode(float* x, int count, const int32_t* lengths, int segments) {
  const int columns = sizes.encoder_heads * encoder_head;
  for (const EncoderLayer& layer : encoder) {
    Result qkv;
    qkv.pitch = qkv.columns = 3 * columns;
    qkv.out = scratch_.wide.grown(count * qkv.pitch);
    multiply(layer.qkv, ready(x, count, width, width, sizes.pre_norm ? &layer.after_self : nullptr), qkv, threads);
    float* heads = scratch_.heads.grown(static_cast<size_t>(count) * columns);
    attend_encoder(qkv.out, lengths, segments, heads);
    add_to(x, layer.joined, ready(heads, count, columns, columns, nullptr), layer.after_self);
    feed_forward(x, count, layer.inner, layer.outer, layer.after_feed);
  }
  if (sizes.final_norm) norm_rows(encoder_norm, x, count);
}

void Network::attend_encoder(const float* qkv, const int32_t* lengths, int segments, float* heads) {
  const int count = sizes.encoder_heads, columns = count * encoder_head;
  std::vector<int> starts(segments + 1, 0);
  for (int i = 0; i < segments; ++i) starts[i + 1] = starts[i] + lengths[i];
  const size_t room = round_up(*std::max_element(lengths, lengths + segments), LANES);
  for (Memory<float>& own : scratch_.own) own.grown(room * (encoder_head + QUERIES));
  const float scale = 1.0f / std::sqrt(static_cast<float>(sizes.d_model / count));
  threads.each(segments * count, 1, [&](int begin, int end, int thread) {
    float* scores = scratch_.own[thread].data();
    float* keys = scores + QUERIES * room;
    for (int item = begin; item < end; ++item) {
      const int segment = item / count, head = item % count, length = lengths[segment];
      const float* q = qkv + static_cast<size_t>(starts[segment]) * 3 * columns + head * encoder_head;
      const size_t own_room = round_up(length, LANES);
      turn_over(q + columns, 3 * columns, length, encoder_head, keys, own_room);
      const Keys given{keys, own_room, q + 2 * columns, static_cast<size_t>(3 * columns), length, encoder_head};
      float* out = heads + static_cast<size_t>(starts[segment]) * columns + head * encoder_head;
      attend(q, 3 * columns, length, given, scale, out, columns, scores, nullptr, 0);
    }
  });
}

void Network::remember_sources(const float* x, int count, const int32_t* lengths, int segments,
                               Source* const* sources) {
  const int heads = sizes.decoder_heads, columns = heads * decoder_head;
  const Rows rows = ready(x, count, width, width, nullptr);  // quantised once for all layers
  Result both;
  both.pitch = both.columns = 2 * columns;
  both.out = scratch_.wide.grown(count * both.pitch);
  for (int layer = 0; layer < sizes.decoder_layers; ++layer) {
    multiply(decoder[layer].source, rows, both, threads);
    threads.each(segments, 1, [&](int begin, int end, int) {
      int start = 0;
      for (int i = 0; i < begin; ++i) start += lengths[i];
      for (int i = begin; i < end; start += lengths[i++])
        for (int head = 0; head < heads; ++head) {
          const float* keys = both.out + start * both.pitch + head * decoder_head;
          Source& to = *sources[i];
          turn_over(keys, both.pitch, lengths[i], decoder_head, to.keys(layer, head), to.room);
          for (int s = 0; s < lengths[i]; ++s)
            std::memcpy(to.values(layer, head) + static_cast<size_t>(s) * decoder_head,
                        keys + s * both.pitch + columns, sizeof(float) * decoder_head);
        }
    });
  }
}

}  // namespace verto
