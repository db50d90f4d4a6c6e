// What encoder and decoder layers have in common: embedding, norms, residual sums, feed-forward. See network.h.
#include <algorithm>

#include "network.h"

namespace verto {

namespace {

constexpr int ROWS_A_PART = 4;  // rows that are worth another thread

}  // namespace

Network::Network(const Sizes& given)
    : sizes(given),
      width(whole_vectors(given.d_model)),
      encoder_head(whole_vectors(given.d_model / given.encoder_heads)),
      decoder_head(whole_vectors(given.d_model / given.decoder_heads)),
      threads(given.threads),
      pool(std::make_shared<Pool>(given.decoder_layers, given.decoder_heads, decoder_head)),
      encoder(given.encoder_layers),
      decoder(given.decoder_layers) {
  scratch_.own.resize(threads.count());
}

size_t Network::num_bytes() const {
  size_t total = output.num_bytes();
  for (const Embedding* each : {&source, &target}) total += each->tokens.num_bytes() + each->positions.num_bytes();
  for (const EncoderLayer& layer : encoder)
    for (const Matrix* each : {&layer.qkv, &layer.joined, &layer.inner, &layer.outer}) total += each->num_bytes();
  for (const DecoderLayer& layer : decoder)
    for (const Matrix* each : {&layer.qkv, &layer.joined, &layer.query, &layer.source, &layer.source_joined,
                               &layer.inner, &layer.outer})
      total += each->num_bytes();
  return total;
}

void Network::embed_row(const Embedding& embedding, const float* tokens, int64_t id, int position,
                        float* out) const {
  const float* where = embedding.positions.data() + static_cast<size_t>(position) * width;
  embed(tokens + static_cast<size_t>(id) * width, sizes.embedding_scale, where, width, out);
  if (sizes.embedding_norm) normalise(embedding.norm, out, sizes.d_model, out);
}

Rows Network::ready(const float* x, int count, int columns, size_t pitch, const Norm* norm) {
  const bool is_int8 = numbers() == Numbers::int8;
  if (norm == nullptr && !is_int8) return {count, pitch, x, nullptr, nullptr};
  float* y = norm == nullptr ? nullptr : scratch_.y.grown(static_cast<size_t>(count) * width);
  const size_t byte_pitch = round_up(columns, 64);
  uint8_t* bytes = is_int8 ? scratch_.bytes.grown(whole_tiles(count) * byte_pitch) : nullptr;
  float* scales = is_int8 ? scratch_.scales.grown(count) : nullptr;
  threads.each(count, ROWS_A_PART, [&](int begin, int end, int) {
    for (int row = begin; row < end; ++row) {
      const float* from = x + row * pitch;
      if (norm != nullptr) {
        normalise(*norm, from, sizes.d_model, y + static_cast<size_t>(row) * width);
        from = y + static_cast<size_t>(row) * width;
      }
      if (is_int8) scales[row] = quantise(from, whole_vectors(columns), bytes + row * byte_pitch);
    }
  });
  if (is_int8) return {count, byte_pitch, nullptr, bytes, scales};
  return {count, static_cast<size_t>(width), y, nullptr, nullptr};
}

void Network::norm_rows(const Norm& norm, float* x, int count) {
  threads.each(count, ROWS_A_PART, [&](int begin, int end, int) {
    for (int row = begin; row < end; ++row) {
      float* own = x + static_cast<size_t>(row) * width;
      normalise(norm, own, sizes.d_model, own);
    }
  });
}

void Network::add_to(float* x, const Matrix& matrix, const Rows& rows, const Norm& norm) {
  Result result;
  result.out = x, result.pitch = width, result.columns = width, result.residual = x;
  multiply(matrix, rows, result, threads);
  if (!sizes.pre_norm) norm_rows(norm, x, rows.count);
}

void Network::feed_forward(float* x, int count, const Matrix& inner, const Matrix& outer, const Norm& norm) {
  const int columns = whole_vectors(inner.outputs);
  Result result;
  result.out = scratch_.wide.grown(static_cast<size_t>(count) * columns);
  result.pitch = columns, result.columns = columns, result.activation = activation();
  multiply(inner, ready(x, count, width, width, sizes.pre_norm ? &norm : nullptr), result, threads);
  add_to(x, outer, ready(result.out, count, columns, columns, nullptr), norm);
}

}  // namespace verto
