// Sums of products over some blocks of terms: of two tiles of rows and half a panel of weights, or of one and all of it.
//
// Knows: the eight tile registers, pieces of floats, the order in which they are multiplied. Must not know: matrices,
// threads, what becomes of sums.
//
// A float is the sum of three bfloat16, and nothing is lost: its 24 significant bits are 8 and 8 and 8. The product
// of two floats is that of their pieces, nine in all, of which the three smallest are left out: together less than
// 2^-20 of it at worst and 2^-24 as a rule, which is what a float32 sum rounds by. Tiles add the other six, each of
// them exact, to float32 sums, in the same order whichever way rows are taken, so that a row has the same bits
// whatever rows are beside it.
//
// Weights stay as they are in memory (matrix.h), for they are read more often than multiplied: a block of them is
// cut into pieces in the nearest cache, while the block before is multiplied.
#pragma once

#include "matrix.h"
#include "tiles.h"

#ifdef VERTO_TILES

namespace verto {

typedef uint32_t Words __attribute__((vector_size(64)));
typedef float Floats __attribute__((vector_size(64)));
typedef int32_t Wholes __attribute__((vector_size(64)));
typedef uint16_t Halves __attribute__((vector_size(32)));

template <class V, class T>
inline V read(const T* p) {
  V value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

template <class V>
inline void write(void* p, V value) {
  std::memcpy(p, &value, sizeof value);
}

constexpr int PIECES = 3, LOW = 0, MIDDLE = 1, HIGH = 2;
constexpr int GROUPS = PANEL / LANES, HALF_GROUPS = GROUPS / 2;  // tiles of outputs in a panel
constexpr size_t SUMS = PANEL * 4;                               // bytes of a row of sums

// The first, second and third eight bits of each number: bfloat16 in the upper halves of words, whose sum it is.
// Not-a-number stays so in all but the first, and infinity becomes it there.
struct Pieces {
  Words of[PIECES];
};

inline Pieces in_pieces(Floats x) {
  const Words upper = Words{} + 0xFFFF0000u;
  const Words high = reinterpret_cast<Words>(x) & upper;
  const Floats rest = x - reinterpret_cast<Floats>(high);
  const Words middle = reinterpret_cast<Words>(rest) & upper;
  return {{reinterpret_cast<Words>(rest - reinterpret_cast<Floats>(middle)), middle, high}};
}

// The upper halves of both, those of `odd` on top. The third piece of a number below 2^-110 has bits in its lower half
// too: left there, they would stand for a weight of any size.
inline Words upper_halves(Words even, Words odd) {
#ifdef VERTO_AMX
  const auto low = reinterpret_cast<__m512i>(even >> 16), high = reinterpret_cast<__m512i>(odd);
  return reinterpret_cast<Words>(_mm512_mask_blend_epi16(0xAAAAAAAAu, low, high));  // one instruction
#else
  return (even >> 16) | (odd & 0xFFFF0000u);
#endif
}

// Tiles of weights: where they are, and bytes from one row, group of outputs, piece and block to the next.
struct Weights {
  const char* start;
  size_t pitch, group, piece, block;
};

// Sums are in the tiles 0 to 3: of two tiles of rows with two groups of outputs, or of one with four. What is done
// to a tile is a statement, and its number stands in the instruction: hence macros.
#define DOT_2X2(DOT) \
  do {               \
    DOT(0, 4, 6);    \
    DOT(1, 4, 7);    \
    DOT(2, 5, 6);    \
    DOT(3, 5, 7);    \
  } while (false)

// Where the next block of two tiles of rows and of two groups of weights is, and how to come to the one behind it.
struct Two {
  const char *x, *y, *w;
  size_t pitch, block;  // of rows
  Weights weights;

  void load_rows(int piece) const {
    TILE_LOAD(4, x + piece * TILE_BYTES, pitch);
    TILE_LOAD(5, y + piece * TILE_BYTES, pitch);
  }
  void load_weights(int piece) const {
    TILE_LOAD(6, w + piece * weights.piece, weights.pitch);
    TILE_LOAD(7, w + piece * weights.piece + weights.group, weights.pitch);
  }
  void go_on() { x += block, y += block, w += weights.block; }
};

constexpr size_t SPLIT_BLOCK = PIECES * GROUPS * TILE_BYTES;  // bytes of a block of a panel, in pieces

// Pairs of terms `first` to `end` of a block of weights, of so many groups: to tiles [pieces, groups].
template <int COUNT>
[[gnu::always_inline]] inline void split_weights(const float* w, int first, int end, char* out) {
  for (int pair = first; pair < end; ++pair) {
    for (int group = 0; group < COUNT; ++group) {
      const float* from = w + 2 * pair * PANEL + group * LANES;
      const Pieces even = in_pieces(read<Floats>(from)), odd = in_pieces(read<Floats>(from + PANEL));
      for (int piece = 0; piece < PIECES; ++piece)
        write(out + (piece * COUNT + group) * TILE_BYTES + pair * 64, upper_halves(even.of[piece], odd.of[piece]));
    }
  }
}

// Two blocks of weights in pieces: one that is multiplied, and the next.
struct SplitBlocks {
  alignas(64) char of[2][SPLIT_BLOCK];
};
inline SplitBlocks& split_blocks() {
  static thread_local SplitBlocks own;
  return own;
}

// One side stays where it is from one pair of pieces to the next. While tiles are multiplied, the next block of the
// weights is cut into pieces.
inline void floats_2x2(Two at, int blocks) {
  const float* w = reinterpret_cast<const float*>(at.w);
  SplitBlocks& split = split_blocks();
  at.weights = {nullptr, 64, TILE_BYTES, HALF_GROUPS * TILE_BYTES, 0};
  split_weights<HALF_GROUPS>(w, 0, TILE_ROWS, split.of[0]);
  for (int block = 0; block < blocks; ++block, at.go_on()) {
    char* next = split.of[(block + 1) % 2];
    at.w = split.of[block % 2];
    if (block + 1 < blocks) w += TILE_HALVES * PANEL;  // the last is cut once more
    memory_is_written();
    at.load_rows(HIGH), at.load_weights(LOW);
    DOT_2X2(TILE_DOT_HALVES);
    split_weights<HALF_GROUPS>(w, 0, 3, next);
    at.load_weights(MIDDLE);
    DOT_2X2(TILE_DOT_HALVES);
    split_weights<HALF_GROUPS>(w, 3, 6, next);
    at.load_rows(MIDDLE);
    DOT_2X2(TILE_DOT_HALVES);
    split_weights<HALF_GROUPS>(w, 6, 9, next);
    at.load_weights(HIGH);
    DOT_2X2(TILE_DOT_HALVES);
    split_weights<HALF_GROUPS>(w, 9, 12, next);
    at.load_rows(HIGH);
    DOT_2X2(TILE_DOT_HALVES);
    split_weights<HALF_GROUPS>(w, 12, 14, next);
    at.load_rows(LOW);
    DOT_2X2(TILE_DOT_HALVES);
    split_weights<HALF_GROUPS>(w, 14, TILE_ROWS, next);
  }
}

// Weights in bfloat16 are one piece.
inline void halves_2x2(Two at, int blocks) {
  for (; blocks > 0; --blocks, at.go_on()) {
    at.load_weights(0), at.load_rows(LOW);
    DOT_2X2(TILE_DOT_HALVES);
    at.load_rows(MIDDLE);
    DOT_2X2(TILE_DOT_HALVES);
    at.load_rows(HIGH);
    DOT_2X2(TILE_DOT_HALVES);
  }
}

inline void bytes_2x2(Two at, int blocks) {
  for (; blocks > 0; --blocks, at.go_on()) {
    at.load_rows(0), at.load_weights(0);
    DOT_2X2(TILE_DOT_BYTES);
  }
}

// One tile of rows: all its pieces stay in registers while weights pass by.
struct One {
  const char *x, *w;
  size_t pitch, block;
  Weights weights;

  void load_rows() const {
    TILE_LOAD(4, x + LOW * TILE_BYTES, pitch);
    TILE_LOAD(5, x + MIDDLE * TILE_BYTES, pitch);
    TILE_LOAD(6, x + HIGH * TILE_BYTES, pitch);
  }
  const char* weights_at(int group, int piece) const { return w + piece * weights.piece + group * weights.group; }
  void go_on() { x += block, w += weights.block; }
};

#define FLOATS(group)                                              \
  do {                                                             \
    TILE_LOAD(7, at.weights_at(group, LOW), at.weights.pitch);     \
    TILE_DOT_HALVES(group, 6, 7);                                  \
    TILE_LOAD(7, at.weights_at(group, MIDDLE), at.weights.pitch);  \
    TILE_DOT_HALVES(group, 6, 7);                                  \
    TILE_DOT_HALVES(group, 5, 7);                                  \
    TILE_LOAD(7, at.weights_at(group, HIGH), at.weights.pitch);    \
    TILE_DOT_HALVES(group, 5, 7);                                  \
    TILE_DOT_HALVES(group, 6, 7);                                  \
    TILE_DOT_HALVES(group, 4, 7);                                  \
  } while (false)

// In the order of `floats_2x2`.
inline void floats_1x4(One at, int blocks) {
  const float* w = reinterpret_cast<const float*>(at.w);
  SplitBlocks& split = split_blocks();
  at.weights = {nullptr, 64, TILE_BYTES, GROUPS * TILE_BYTES, 0};
  split_weights<GROUPS>(w, 0, TILE_ROWS, split.of[0]);
  for (int block = 0; block < blocks; ++block, at.go_on()) {
    char* next = split.of[(block + 1) % 2];
    at.w = split.of[block % 2];
    if (block + 1 < blocks) w += TILE_HALVES * PANEL;  // the last is cut once more
    memory_is_written();
    at.load_rows();
    FLOATS(0);
    split_weights<GROUPS>(w, 0, 4, next);
    FLOATS(1);
    split_weights<GROUPS>(w, 4, 8, next);
    FLOATS(2);
    split_weights<GROUPS>(w, 8, 12, next);
    FLOATS(3);
    split_weights<GROUPS>(w, 12, TILE_ROWS, next);
  }
}

#define HALVES(group)                                         \
  do {                                                        \
    TILE_LOAD(7, at.weights_at(group, 0), at.weights.pitch);  \
    TILE_DOT_HALVES(group, 4, 7);                             \
    TILE_DOT_HALVES(group, 5, 7);                             \
    TILE_DOT_HALVES(group, 6, 7);                             \
  } while (false)

inline void halves_1x4(One at, int blocks) {
  for (; blocks > 0; --blocks, at.go_on()) {
    at.load_rows();
    HALVES(0);
    HALVES(1);
    HALVES(2);
    HALVES(3);
  }
}

#define BYTES(group, spare)                                       \
  do {                                                            \
    TILE_LOAD(spare, at.weights_at(group, 0), at.weights.pitch);  \
    TILE_DOT_BYTES(group, 4, spare);                              \
  } while (false)

inline void bytes_1x4(One at, int blocks) {
  for (; blocks > 0; --blocks, at.go_on()) {
    TILE_LOAD(4, at.x, at.pitch);
    BYTES(0, 5);
    BYTES(1, 6);
    BYTES(2, 7);
    BYTES(3, 5);
  }
}

// `DO` with the four tiles of sums, whose places are so far apart.
#define EACH_SUM(DO, second, third, fourth) \
  do {                                      \
    DO(0, sums, SUMS);                      \
    DO(1, sums + (second), SUMS);           \
    DO(2, sums + (third), SUMS);            \
    DO(3, sums + (fourth), SUMS);           \
  } while (false)

inline void begin_with_nothing() {
  TILE_ZERO(0);
  TILE_ZERO(1);
  TILE_ZERO(2);
  TILE_ZERO(3);
}

// Adds so many blocks to `sums`, [rows, 64], or begins them.
inline void add_2x2(Numbers numbers, const Two& at, int blocks, bool is_first, char* sums) {
  if (is_first) begin_with_nothing();
  else EACH_SUM(TILE_LOAD, 64, TILE_ROWS * SUMS, TILE_ROWS * SUMS + 64);
  if (numbers == Numbers::float32) floats_2x2(at, blocks);
  else if (numbers == Numbers::bfloat16) halves_2x2(at, blocks);
  else bytes_2x2(at, blocks);
  EACH_SUM(TILE_STORE, 64, TILE_ROWS * SUMS, TILE_ROWS * SUMS + 64);
}

inline void add_1x4(Numbers numbers, const One& at, int blocks, bool is_first, char* sums) {
  if (is_first) begin_with_nothing();
  else EACH_SUM(TILE_LOAD, 64, 128, 192);
  if (numbers == Numbers::float32) floats_1x4(at, blocks);
  else if (numbers == Numbers::bfloat16) halves_1x4(at, blocks);
  else bytes_1x4(at, blocks);
  EACH_SUM(TILE_STORE, 64, 128, 192);
}

}  // namespace verto

#endif
