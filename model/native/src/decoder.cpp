// One position of every row: embedding, layers, scores of all tokens. See network.h.
#include <algorithm>

#include "network.h"

namespace verto {

void Network::step(const int64_t* token_ids, Cache& cache, const StepResult& result) {
  const int count = static_cast<int>(cache.rows().size());
  float* x = scratch_.x.grown(static_cast<size_t>(count) * width);
  for (int row = 0, segment = 0, last = 0; row < count; ++row) {
    while (row >= last + cache.segments()[segment]->rows) last += cache.segments()[segment++]->rows;
    const int position = cache.segments()[segment]->filled - 1;
    embed_row(target, target_tokens(), token_ids[row], position, x + static_cast<size_t>(row) * width);
  }
  for (int layer = 0; layer < sizes.decoder_layers; ++layer) decode_layer(layer, x, cache, result);
  score_tokens(x, count, result);
}

void Network::decode_layer(int index, float* x, Cache& cache, const StepResult& step) {
  const DecoderLayer& layer = decoder[index];
  const int count = static_cast<int>(cache.rows().size()), columns = sizes.decoder_heads * decoder_head;
  const bool pre = sizes.pre_norm != 0;
  float* heads = scratch_.heads.grown(static_cast<size_t>(count) * columns);
  Result projected;
  projected.out = scratch_.wide.grown(static_cast<size_t>(count) * 3 * columns);
  projected.pitch = projected.columns = 3 * columns;
  multiply(layer.qkv, ready(x, count, width, width, pre ? &layer.after_self : nullptr), projected, threads);
  attend_rows(index, projected.out, cache, heads);
  add_to(x, layer.joined, ready(heads, count, columns, columns, nullptr), layer.after_self);

  projected.pitch = projected.columns = columns;
  multiply(layer.query, ready(x, count, width, width, pre ? &layer.after_cross : nullptr), projected, threads);
  attend_sources(index, projected.out, cache, step, heads);
  add_to(x, layer.source_joined, ready(heads, count, columns, columns, nullptr), layer.after_cross);
  feed_forward(x, count, layer.inner, layer.outer, layer.after_feed);
}

// The new position's keys and values into the row's own block, then attention over its history.
void Network::attend_rows(int layer, const float* qkv, Cache& cache, float* heads) {
  const int count = sizes.decoder_heads, columns = count * decoder_head;
  const auto& segments = cache.segments();
  std::vector<int> starts(1, 0);
  int longest = 0;
  for (const auto& segment : segments) {
    starts.push_back(starts.back() + segment->rows);
    longest = std::max(longest, segment->filled);
  }
  for (Memory<float>& own : scratch_.own) own.grown(round_up(longest, LANES));
  const float scale = 1.0f / std::sqrt(static_cast<float>(sizes.d_model / count));
  // Rows of a segment share much of their histories: they follow one another on one thread, head by head.
  threads.each(static_cast<int>(segments.size()) * count, 1, [&](int begin, int end, int thread) {
    for (int item = begin; item < end; ++item) {
      const int segment = item / count, head = item % count, length = segments[segment]->filled;
      const int place = (length - 1) % BLOCK;
      for (int row = starts[segment]; row < starts[segment + 1]; ++row) {
        const std::vector<int32_t>& ancestors = cache.rows()[row].ancestors;
        const float* query = qkv + static_cast<size_t>(row) * 3 * columns + head * decoder_head;
        float* block = cache.pool().at(ancestors.back(), layer, head);
        std::memcpy(block + place * decoder_head, query + columns, sizeof(float) * decoder_head);
        std::memcpy(block + (BLOCK + place) * decoder_head, query + 2 * columns, sizeof(float) * decoder_head);
        attend_history(query, cache.pool(), layer, head, ancestors.data(), length, scale,
                       heads + static_cast<size_t>(row) * columns + head * decoder_head,
                       scratch_.own[thread].data());
      }
    }
  });
}

void Network::attend_sources(int layer, const float* queries, Cache& cache, const StepResult& step, float* heads) {
  const int count = sizes.decoder_heads, columns = count * decoder_head;
  const auto& segments = cache.segments();
  std::vector<int> starts(1, 0);
  int longest = 0;
  for (const auto& segment : segments) {
    starts.push_back(starts.back() + segment->rows);
    longest = std::max(longest, segment->source.length);
  }
  const bool watched = step.attention != nullptr && layer == sizes.alignment_layer;
  const int rows = starts.back();
  float* shares = nullptr;  // [H, R, S]
  if (step.shares != nullptr) shares = step.shares + static_cast<size_t>(layer) * count * rows * longest;
  else if (watched) shares = scratch_.shares.grown(static_cast<size_t>(count) * rows * longest);
  for (Memory<float>& own : scratch_.own) own.grown(QUERIES * round_up(longest, LANES));
  const float scale = 1.0f / std::sqrt(static_cast<float>(sizes.d_model / count));
  threads.each(static_cast<int>(segments.size()) * count, 1, [&](int begin, int end, int thread) {
    for (int item = begin; item < end; ++item) {
      const int segment = item / count, head = item % count;
      Source& source = segments[segment]->source;
      const Keys keys{source.keys(layer, head), static_cast<size_t>(source.room), source.values(layer, head),
                      static_cast<size_t>(decoder_head), source.length, decoder_head};
      const size_t first = static_cast<size_t>(starts[segment]) * columns + head * decoder_head;
      float* own = shares == nullptr
                       ? nullptr : shares + (static_cast<size_t>(head) * rows + starts[segment]) * longest;
      attend(queries + first, columns, segments[segment]->rows, keys, scale, heads + first, columns,
             scratch_.own[thread].data(), own, longest);
    }
  });
  if (!watched) return;
  for (int row = 0, segment = 0; row < rows; ++row) {
    while (row >= starts[segment + 1]) ++segment;
    for (int s = 0; s < longest; ++s) {
      float total = 0.0f;
      if (s < segments[segment]->source.length)
        for (int head = 0; head < count; ++head)
          total += shares[(static_cast<size_t>(head) * rows + row) * longest + s];
      step.attention[static_cast<size_t>(row) * longest + s] = total / static_cast<float>(count);
    }
  }
}

// Logits, their largest by block, and the log of their sum of exponentials.
void Network::score_tokens(float* x, int count, const StepResult& step) {
  Result logits;
  logits.out = step.logits, logits.pitch = logits.columns = sizes.target_vocabulary;
  logits.block_max = step.block_max;
  logits.block_sum = scratch_.block_sum.grown(static_cast<size_t>(count) * output.panels);
  const Norm* norm = sizes.final_norm ? &decoder_norm : nullptr;
  multiply(output, ready(x, count, width, width, norm), logits, threads);
  for (int row = 0; row < count; ++row) {
    const float* most = step.block_max + static_cast<size_t>(row) * output.panels;
    const float* sums = logits.block_sum + static_cast<size_t>(row) * output.panels;
    const float top = *std::max_element(most, most + output.panels);
    float total = 0.0f;
    for (int panel = 0; panel < output.panels; ++panel) total += sums[panel] * std::exp(most[panel] - top);
    step.log_sums[row] = top + std::log(total);
  }
}

}  // namespace verto
