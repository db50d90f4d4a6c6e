// One position of every row: embedding, layers, scores of all tokens. See network.h.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "network.h"

namespace verto {

namespace {

// Within these bounds of a row's largest logit, sums of e^logit neither overflow nor vanish.
constexpr float LARGEST_PLAIN = 60.0f;

// log(sum e^logit) by the sums of panels, which are of no use where the largest of all is far from zero. Never below
// that largest, as their last bits may have it: a log-probability above 0 would let sums of them rise.
float log_sum(const float* logits, int count, const float* most, const float* sums, int panels) {
  const float top = *std::max_element(most, most + panels);
  double total = 0.0;
  if (std::fabs(top) < LARGEST_PLAIN) {
    for (int panel = 0; panel < panels; ++panel) total += sums[panel];
    const float sum = static_cast<float>(std::log(total));
    return sum < top ? top : sum;  // not-a-number stays so
  }
  for (int i = 0; i < count; ++i) total += std::exp(static_cast<double>(logits[i]) - top);
  return static_cast<float>(top + std::log(total));
}

}  // namespace

void Network::step(const int64_t* token_ids, Cache& cache, const StepResult& result) {
  const bool is_watched = result.attention != nullptr || result.shares != nullptr;
  const Turn turn = cache.turn(token_ids, is_watched);
  const int count = static_cast<int>(turn.rows.size());
  float* x = scratch_.x.grown(static_cast<size_t>(count) * width);
  for (size_t segment = 0; segment + 1 < turn.starts.size(); ++segment)
    for (int i = turn.starts[segment]; i < turn.starts[segment + 1]; ++i)
      embed_row(target, target_tokens(), token_ids[turn.rows[i]], cache.segments()[segment]->filled - 1,
                x + static_cast<size_t>(i) * width);
  for (int layer = 0; layer < sizes.decoder_layers; ++layer) decode_layer(layer, x, turn, cache, result);
  score_tokens(x, count, result);
  spread(turn, cache, result);
}

void Network::decode_layer(int index, float* x, const Turn& turn, Cache& cache, const StepResult& step) {
  const DecoderLayer& layer = decoder[index];
  const int count = static_cast<int>(turn.rows.size()), columns = sizes.decoder_heads * decoder_head;
  const bool pre = sizes.pre_norm != 0;
  float* heads = scratch_.heads.grown(static_cast<size_t>(count) * columns);
  Result projected;
  projected.out = scratch_.wide.grown(static_cast<size_t>(count) * 3 * columns);
  projected.pitch = projected.columns = 3 * columns;
  multiply(layer.qkv, ready(x, count, width, width, pre ? &layer.after_self : nullptr), projected, threads);
  attend_rows(index, projected.out, turn, cache, heads);
  add_to(x, layer.joined, ready(heads, count, columns, columns, nullptr), layer.after_self);

  projected.pitch = projected.columns = columns;
  multiply(layer.query, ready(x, count, width, width, pre ? &layer.after_cross : nullptr), projected, threads);
  attend_sources(index, projected.out, turn, cache, step, heads);
  add_to(x, layer.source_joined, ready(heads, count, columns, columns, nullptr), layer.after_cross);
  feed_forward(x, count, layer.inner, layer.outer, layer.after_feed);
}

// The new position's keys and values into the row's own block, then attention over its history.
void Network::attend_rows(int layer, const float* qkv, const Turn& turn, Cache& cache, float* heads) {
  const int count = sizes.decoder_heads, columns = count * decoder_head;
  const size_t pitch = 3 * static_cast<size_t>(columns);
  const auto& segments = cache.segments();
  int longest = 0, widest = 0;
  for (const auto& segment : segments)
    longest = std::max(longest, segment->filled), widest = std::max(widest, segment->rows);
  for (Memory<float>& own : scratch_.own) own.grown(widest * round_up(longest, LANES));
  const float scale = 1.0f / std::sqrt(static_cast<float>(sizes.d_model / count));
  // Rows of a segment share much of their histories: they are looked at together, on one thread, head by head.
  threads.each(static_cast<int>(segments.size()) * count, 1, [&](int begin, int end, int thread) {
    for (int item = begin; item < end; ++item) {
      const int segment = item / count, head = item % count, first = turn.starts[segment];
      const int together = turn.starts[segment + 1] - first, length = segments[segment]->filled;
      const Row* rows = cache.rows().data() + turn.rows[first];
      const float* queries = qkv + static_cast<size_t>(first) * pitch + head * decoder_head;
      const size_t part = cache.pool().part(layer, head);
      for (int i = 0; i < together; ++i) {
        float* keys = rows[i].block + part + (length - 1) % BLOCK * decoder_head;
        copy_vectors(queries + i * pitch + columns, decoder_head, keys);
        copy_vectors(queries + i * pitch + 2 * columns, decoder_head, keys + BLOCK * decoder_head);
      }
      attend_histories(queries, pitch, rows, together, part, decoder_head, length, scale,
                       heads + static_cast<size_t>(first) * columns + head * decoder_head, columns,
                       scratch_.own[thread].data());
    }
  });
}

void Network::attend_sources(int layer, const float* queries, const Turn& turn, Cache& cache, const StepResult& step,
                             float* heads) {
  const int count = sizes.decoder_heads, columns = count * decoder_head;
  const auto& segments = cache.segments();
  const std::vector<int>& starts = turn.starts;
  int longest = 0;
  for (const auto& segment : segments) longest = std::max(longest, segment->source.length);
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
      attend(queries + first, columns, starts[segment + 1] - starts[segment], keys, scale, heads + first, columns,
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
    const size_t place = static_cast<size_t>(row) * output.panels;
    step.log_sums[row] = log_sum(step.logits + static_cast<size_t>(row) * logits.pitch, logits.columns,
                                 step.block_max + place, logits.block_sum + place, output.panels);
  }
}

// From the rows that were computed to all rows of the cache, the last first: no answer is written over one that
// has still to be copied.
void Network::spread(const Turn& turn, Cache& cache, const StepResult& step) const {
  const size_t vocabulary = sizes.target_vocabulary, panels = output.panels;
  const auto copy = [](float* values, size_t from, size_t to, size_t width) {
    std::memcpy(values + to * width, values + from * width, sizeof(float) * width);
  };
  size_t to = cache.rows().size();
  for (size_t segment = cache.segments().size(); segment-- > 0;) {
    const int computed = turn.starts[segment + 1] - turn.starts[segment];
    for (int i = cache.segments()[segment]->rows; i-- > 0;) {
      const size_t from = turn.starts[segment] + std::min(i, computed - 1);
      if (from == --to) return;  // neither this row nor one before it has moved
      copy(step.logits, from, to, vocabulary);
      copy(step.block_max, from, to, panels);
      copy(step.log_sums, from, to, 1);
    }
  }
}

}  // namespace verto
