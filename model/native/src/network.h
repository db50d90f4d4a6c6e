// A Transformer encoder-decoder with packed weights: its sizes, its layers, its two passes.
//
// Knows: the order of sublayers (figure 1 of Vaswani et al. 2017), norms before or after. Must not know: Python,
// strategies, how a product or an attention is computed. One call at a time per network.
// Shapes: M source tokens of all segments one after the other, R rows, D width, A heads x their filled-up width.
//
// The width of every row is filled up to whole vectors with zeros, and so is that of every head; the weights
// are packed accordingly (model/native/packing.py), and zeros stay zeros through every layer.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "attention.h"
#include "cache.h"
#include "matrix.h"
#include "rowwise.h"
#include "threads.h"

namespace verto {

// As model/native/binding.py declares it.
struct Sizes {
  int32_t d_model, encoder_layers, decoder_layers, encoder_heads, decoder_heads;
  int32_t encoder_ffn, decoder_ffn, source_vocabulary, target_vocabulary;
  int32_t source_positions, target_positions;  // rows of the position tables
  int32_t pre_norm, final_norm, embedding_norm, shared_embeddings;
  int32_t activation, alignment_layer, numbers, threads;
  float embedding_scale, epsilon;
};

struct EncoderLayer {
  Matrix qkv, joined, inner, outer;
  Norm after_self, after_feed;
};

struct DecoderLayer {
  Matrix qkv, joined, query, source, source_joined, inner, outer;  // `source`: keys and values of the memory
  Norm after_self, after_cross, after_feed;
};

struct Embedding {
  Memory<float> tokens, positions;  // [V, D], [positions, D], rows filled up
  Norm norm;
};

// Room for the rows that are between two layers; grows to what was needed most.
struct Scratch {
  Memory<float> x, y, wide, heads, block_max, block_sum, shares;
  Memory<uint8_t> bytes;
  Memory<float> scales;
  std::vector<Memory<float>> own;  // of each thread
};

// Where a step's answers go; `shares` and `attention` may be null.
struct StepResult {
  float* logits;     // [R, V]
  float* log_sums;   // [R], log of the sum of e^logit
  float* block_max;  // [R, V / 64 rounded up]
  float* attention;  // [R, S of the longest source], the alignment layer's, averaged over heads
  float* shares;     // [L, H, R, S of the longest source]
};

class Network {
 public:
  explicit Network(const Sizes& sizes);

  // Encodes the segments (each of lengths[i] tokens of `ids`) and appends them to `cache`.
  void open(const int64_t* ids, const int32_t* lengths, const int32_t* rows, const int32_t* capacities,
            int segments, Cache& cache);
  // One position for all rows of `cache`, which has room.
  void step(const int64_t* token_ids, Cache& cache, const StepResult& result);

  const Sizes sizes;
  const int width, encoder_head, decoder_head;  // D, and head widths, filled up
  Threads threads;
  Arena arena;  // of all matrices
  std::shared_ptr<Pool> pool;
  Embedding source, target;
  std::vector<EncoderLayer> encoder;
  std::vector<DecoderLayer> decoder;
  Norm encoder_norm, decoder_norm;
  Matrix output;
  size_t num_bytes() const;

 private:
  Numbers numbers() const { return static_cast<Numbers>(sizes.numbers); }
  Activation activation() const { return static_cast<Activation>(sizes.activation); }
  const float* target_tokens() const { return (sizes.shared_embeddings ? source : target).tokens.data(); }

  void embed_row(const Embedding& embedding, const float* tokens, int64_t id, int position, float* out) const;
  // x -> what a product takes: normalised by `norm` unless it is null, quantised for int8.
  Rows ready(const float* x, int count, int columns, size_t pitch, const Norm* norm);
  void norm_rows(const Norm& norm, float* x, int count);
  // The result of a sublayer added to x, and the norm that follows the sum, if one does.
  void add_to(float* x, const Matrix& matrix, const Rows& rows, const Norm& norm);
  void feed_forward(float* x, int count, const Matrix& inner, const Matrix& outer, const Norm& norm);

  void encode(float* x, int count, const int32_t* lengths, int segments);
  void encode_group(const int64_t* ids, const int32_t* lengths, int segments, Source* const* sources);
  void attend_encoder(const float* qkv, const int32_t* lengths, int segments, float* heads);
  void remember_sources(const float* x, int count, const int32_t* lengths, int segments, Source* const* sources);

  void decode_layer(int index, float* x, const Turn& turn, Cache& cache, const StepResult& result);
  void attend_rows(int layer, const float* qkv, const Turn& turn, Cache& cache, float* heads);
  void attend_sources(int layer, const float* queries, const Turn& turn, Cache& cache, const StepResult& result,
                      float* heads);
  void score_tokens(float* x, int count, const StepResult& result);
  void spread(const Turn& turn, Cache& cache, const StepResult& result) const;

  Scratch scratch_;
};

}  // namespace verto
