// Products of tiles, where the processor multiplies whole matrices (AMX): sixteen rows of 64 bytes at a time.
//
// Knows: tile registers and their instructions. Must not know: matrices of a network, layers, threads.
// A tile of sums is 16 rows of 16 numbers. A tile of activations is 16 rows of 32 halves or 64 bytes; one of
// weights holds, for 16 outputs, the same as pairs of halves or fours of bytes, side by side: 16 rows of 64 bytes.
// `TILE_DOT_HALVES` adds exact products of bfloat16 to float32 sums, `TILE_DOT_BYTES` those of unsigned by signed
// bytes to whole numbers. What a row of sums becomes depends on no other row.
//
// VERTO_TILES_IN_STEPS stands in for the instructions, one number at a time, so that all that is built on them can
// be tested on any processor. Its sums of halves may differ from the processor's in their last bits.
#pragma once

#include "simd.h"

#if defined(VERTO_TILES_IN_STEPS) || defined(VERTO_AMX)
#define VERTO_TILES 1
#endif

namespace verto {

#ifdef VERTO_AMX
// Asks the kernel once for leave to use tile registers, whose contents are too large to be saved for everybody.
bool may_use_tiles();
#else
inline bool may_use_tiles() { return true; }
#endif

}  // namespace verto

#ifdef VERTO_TILES

namespace verto {

constexpr int TILE_ROWS = 16, TILE_BYTES = 1024;
constexpr int TILE_HALVES = 32;  // of a row: terms of a sum that one instruction adds

#ifdef VERTO_AMX

// Constant, and so in memory from the beginning: compilers do not know that the instruction reads all of it.
struct alignas(64) TileShapes {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
inline constexpr TileShapes TILE_SHAPES{};

// While it lives, the eight tiles of this thread are 16 rows of 64 bytes each.
class TilesInUse {
 public:
  TilesInUse() { _tile_loadconfig(&TILE_SHAPES); }
  ~TilesInUse() { _tile_release(); }
  TilesInUse(const TilesInUse&) = delete;
  TilesInUse& operator=(const TilesInUse&) = delete;
};

// Compilers do not know that loading a tile reads memory.
inline void memory_is_written() { asm volatile("" ::: "memory"); }

#define TILE_ZERO(tile) _tile_zero(tile)
#define TILE_LOAD(tile, from, pitch) _tile_loadd(tile, from, pitch)
#define TILE_STORE(tile, to, pitch) _tile_stored(tile, to, pitch)
#define TILE_DOT_HALVES(sums, rows, weights) _tile_dpbf16ps(sums, rows, weights)
#define TILE_DOT_BYTES(sums, rows, weights) _tile_dpbusd(sums, rows, weights)

#else

// The tiles of this thread.
inline char (&tile_registers())[8][TILE_BYTES] {
  alignas(64) static thread_local char registers[8][TILE_BYTES];
  return registers;
}

class TilesInUse {};
inline void memory_is_written() {}

inline float half_as_float(uint16_t half) {
  const uint32_t bits = static_cast<uint32_t>(half) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

inline void dot_halves(int sums, int rows, int weights) {
  char(&t)[8][TILE_BYTES] = tile_registers();
  for (int r = 0; r < TILE_ROWS; ++r)
    for (int n = 0; n < LANES; ++n) {
      const auto* x = reinterpret_cast<const uint16_t*>(t[rows]) + r * TILE_HALVES;
      const auto* w = reinterpret_cast<const uint16_t*>(t[weights]) + 2 * n;
      float even = 0.0f, odd = 0.0f;
      for (int k = 0; k < TILE_HALVES; k += 2) {
        even += half_as_float(x[k]) * half_as_float(w[k / 2 * TILE_HALVES]);
        odd += half_as_float(x[k + 1]) * half_as_float(w[k / 2 * TILE_HALVES + 1]);
      }
      reinterpret_cast<float*>(t[sums])[r * LANES + n] += even + odd;
    }
}

inline void dot_bytes(int sums, int rows, int weights) {
  char(&t)[8][TILE_BYTES] = tile_registers();
  for (int r = 0; r < TILE_ROWS; ++r)
    for (int n = 0; n < LANES; ++n)
      for (int k = 0; k < 64; ++k)
        reinterpret_cast<int32_t*>(t[sums])[r * LANES + n] +=
            reinterpret_cast<const uint8_t*>(t[rows])[r * 64 + k] *
            reinterpret_cast<const int8_t*>(t[weights])[k / 4 * 64 + n * 4 + k % 4];
}

inline void load_tile(int tile, const void* from, size_t pitch) {
  for (int r = 0; r < TILE_ROWS; ++r)
    std::memcpy(tile_registers()[tile] + r * 64, static_cast<const char*>(from) + r * pitch, 64);
}

inline void store_tile(int tile, void* to, size_t pitch) {
  for (int r = 0; r < TILE_ROWS; ++r)
    std::memcpy(static_cast<char*>(to) + r * pitch, tile_registers()[tile] + r * 64, 64);
}

#define TILE_ZERO(tile) std::memset(tile_registers()[tile], 0, TILE_BYTES)
#define TILE_LOAD(tile, from, pitch) load_tile(tile, from, pitch)
#define TILE_STORE(tile, to, pitch) store_tile(tile, to, pitch)
#define TILE_DOT_HALVES(sums, rows, weights) dot_halves(sums, rows, weights)
#define TILE_DOT_BYTES(sums, rows, weights) dot_bytes(sums, rows, weights)

#endif

}  // namespace verto

#endif
