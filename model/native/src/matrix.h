// The weights of a linear layer as the processor reads them, and the product of rows with them.
//
// Knows: numbers, panels, tiles, what is done to a sum before it is stored. Must not know: layers, attention.
// Shapes: R rows, N outputs, K inputs.
//
//     weights [N, K]    panel 0: outputs 0..63            panel 1: outputs 64..127   ...
//                       k = 0: 64 weights side by side    (int8: four k of an output side by side,
//                       k = 1: 64 weights ...              bfloat16 for tiles: two)
//
// Each sum runs over k in order, alone in its lane: a row has the same bits whatever rows are beside it,
// whichever tile or thread computes it. Zeros fill the last panel up.
#pragma once

#include <cstdint>
#include <vector>

#include "memory.h"
#include "simd.h"
#include "threads.h"
#include "tiles.h"

namespace verto {

constexpr int PANEL = 64;

enum class Numbers { float32 = 0, bfloat16 = 1, int8 = 2 };
enum class Activation { none = -1, relu = 0, gelu = 1, silu = 2 };

#ifdef VERTO_TILES
constexpr int HALVES_TOGETHER = 2;
// A sum's terms come in so many: those of a row of a tile.
constexpr int terms_together(Numbers numbers) { return numbers == Numbers::int8 ? 64 : TILE_HALVES; }
#else
constexpr int HALVES_TOGETHER = 1;
constexpr int terms_together(Numbers numbers) { return numbers == Numbers::int8 ? 4 : 1; }
#endif

struct Matrix {
  Numbers numbers = Numbers::float32;
  int outputs = 0, inputs = 0, panels = 0;
  size_t depth = 0;  // K, rounded up to `terms_together`
  Memory<float> floats;
  Memory<uint16_t> halves;
  Memory<int8_t> bytes;
  std::vector<float> bias;       // zeros where the layer has none
  std::vector<float> scales;     // int8: of each output
  std::vector<int32_t> offsets;  // int8: 128 times the sum of an output's weights

  // Packs `weights` [N, K] and `bias` [N] (or null) into memory of the arena.
  static Matrix pack(Numbers numbers, int outputs, int inputs, const float* weights, const float* bias,
                     Arena& arena);
  // Weights of a panel that lie together: of one k, or for int8 of four; how many such steps; where they begin.
  size_t steps() const { return numbers == Numbers::int8 ? depth / 4 : depth; }
  size_t bytes_per_panel() const {
    return depth * PANEL * (numbers == Numbers::float32 ? 4 : numbers == Numbers::bfloat16 ? 2 : 1);
  }
  const char* panel_start(int panel) const {
    const void* start = numbers == Numbers::float32 ? static_cast<const void*>(floats.data())
                        : numbers == Numbers::bfloat16 ? static_cast<const void*>(halves.data())
                                                       : static_cast<const void*>(bytes.data());
    return static_cast<const char*>(start) + panel * bytes_per_panel();
  }
  size_t num_bytes() const { return floats.num_bytes() + halves.num_bytes() + bytes.num_bytes(); }
};

// What is multiplied: `floats` [R, pitch], or for an int8 matrix `bytes` [R, pitch] (value + 128) with a scale
// for each row; the memory of `bytes` is that of `whole_tiles(R)` rows, whatever the others hold.
inline size_t whole_tiles(int rows) { return round_up(rows, 16); }

struct Rows {
  int count = 0;
  size_t pitch = 0;
  const float* floats = nullptr;
  const uint8_t* bytes = nullptr;
  const float* scales = nullptr;
};

// What becomes of the sums: + bias, activation, + residual, stored to `out` [R, pitch], of each row `columns`.
struct Result {
  float* out = nullptr;
  size_t pitch = 0;
  int columns = 0;
  Activation activation = Activation::none;
  const float* residual = nullptr;  // [R, pitch]; may be `out`
  // For each row and panel the largest value and the sum of e^value, [R, panels]; or null. A sum is right where the
  // row's largest value is below 80.
  float* block_max = nullptr;
  float* block_sum = nullptr;
};

void multiply(const Matrix& matrix, const Rows& rows, const Result& result, Threads& threads);

}  // namespace verto
