// Rows times packed weights with products of whole tiles (tile_sums.h): of bytes as they are, of floats in pieces.
#include "product_tiles.h"

#ifdef VERTO_TILES

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "finish.h"
#include "tile_sums.h"

namespace verto {

#ifdef VERTO_AMX

bool may_use_tiles() {
  constexpr long ask = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA (asm/prctl.h)
  static const bool may = syscall(SYS_arch_prctl, ask, tile_data) == 0;
  return may;
}

#endif

namespace {

constexpr size_t MOST_ACTIVATIONS = size_t{1} << 20;  // bytes of them that stay in the second cache, beside a panel

int terms_of_block(const Matrix& m) { return m.numbers == Numbers::int8 ? 64 : TILE_HALVES; }

// Made by the thread that asks for the product, for all that work at it, since those must not throw.
struct Room {
  Memory<char> activations, sums;
};
thread_local Room room;

// Some blocks of the terms of all sums.
struct Part {
  int first, blocks;
  bool is_first, is_last;
};

// The parts that terms are taken in: one after the other with all panels, so that a part's activations stay near.
struct Plan {
  int blocks, parts;

  Plan(const Matrix& m, const Rows& rows) : blocks(static_cast<int>(m.depth) / terms_of_block(m)) {
    const size_t tile_row = m.numbers == Numbers::int8 ? 64 : 64 * PIECES;
    const size_t bytes = round_up(rows.count, TILE_ROWS) * tile_row * blocks;
    parts = std::min(blocks, static_cast<int>(bytes / MOST_ACTIVATIONS) + 1);
  }
  Part part(int number) const {
    const int first = blocks * number / parts, end = blocks * (number + 1) / parts;
    return {first, end - first, number == 0, number == parts - 1};
  }
};

// Tiles of activations, [tiles of rows, blocks, pieces]; or of bytes the rows as they are.
struct Activations {
  const char* start;
  size_t pitch, row_tile, block;  // bytes from one row, tile of rows and block to the next
};

void split_rows(const Rows& rows, int inputs, int row_tile, int blocks, char* out) {
  for (int i = 0; i < TILE_ROWS; ++i, out += 64) {
    const int row = row_tile * TILE_ROWS + i;
    if (row >= rows.count) return;  // whatever stands there is multiplied and not looked at
    const float* x = rows.floats + static_cast<size_t>(row) * rows.pitch;
    for (int k = 0; k < blocks * TILE_HALVES; k += LANES) {
      alignas(64) float some[LANES] = {};
      const int count = std::min(LANES, inputs - k);
      if (count > 0 && count < LANES) std::memcpy(some, x + k, sizeof(float) * static_cast<size_t>(count));
      const Pieces pieces = in_pieces(read<Floats>(count == LANES ? x + k : some));
      char* to = out + static_cast<size_t>(k / TILE_HALVES) * PIECES * TILE_BYTES + k % TILE_HALVES * 2;
      for (int piece = 0; piece < PIECES; ++piece)
        write(to + piece * TILE_BYTES, __builtin_convertvector(pieces.of[piece] >> 16, Halves));
    }
  }
}

Activations activations_of(const Matrix& m, const Rows& rows, const Plan& plan, Threads& threads) {
  if (m.numbers == Numbers::int8)
    return {reinterpret_cast<const char*>(rows.bytes), rows.pitch, rows.pitch * TILE_ROWS, 64};
  const size_t tile = static_cast<size_t>(plan.blocks) * PIECES * TILE_BYTES;
  const int tiles = (rows.count + TILE_ROWS - 1) / TILE_ROWS;
  char* out = room.activations.grown(tiles * tile);
  threads.each(tiles, 1, [&](int begin, int end, int) {
    for (int i = begin; i < end; ++i) split_rows(rows, m.inputs, i, plan.blocks, out + i * tile);
  });
  return {out, 64, tile, PIECES * TILE_BYTES};
}

// The weights of a panel in their packed order, as tiles.
Weights weights_of(const Matrix& m, int panel, const Part& part) {
  const char* start = m.panel_start(panel) + part.first * terms_of_block(m) * (m.bytes_per_panel() / m.depth);
  return {start, PANEL * 4, 64, 0, PANEL * 64};
}

// Whole sums of bytes to floats, in place.
void scale_bytes(const Matrix& m, float scale, int column, char* sums) {
  for (int v = 0; v < GROUPS; ++v, sums += 64) {
    const Wholes whole = read<Wholes>(sums) - read<Wholes>(m.offsets.data() + column + v * LANES);
    const Floats value = __builtin_convertvector(whole, Floats);
    write(sums, value * read<Floats>(m.scales.data() + column + v * LANES) * scale);
  }
}

void finish_rows(const Matrix& m, const Rows& rows, const Result& result, int first, int panel, char* sums) {
  const int column = panel * PANEL, end = std::min(rows.count, first + 2 * TILE_ROWS);
  for (int row = first; row < end; ++row, sums += SUMS) {
    if (m.numbers == Numbers::int8) scale_bytes(m, rows.scales[row], column, sums);
    const float* values = reinterpret_cast<const float*>(sums);
    finish<1, GROUPS>(m, result, row, column, [&](int, int v) { return load(values + v * LANES); });
    if (result.block_max != nullptr) summarise<1>(result, m.panels, row, panel);
  }
}

// All rows of a part of a panel.
void multiply_part(const Matrix& m, const Rows& rows, const Activations& x, const Weights& w, const Part& part,
                   const Result& result, int panel, char* sums) {
  for (int row = 0, tile = 0; row < rows.count; row += 2 * TILE_ROWS, tile += 2, sums += 2 * TILE_ROWS * SUMS) {
    const char* first = x.start + tile * x.row_tile + part.first * x.block;
    if (rows.count - row <= TILE_ROWS) {
      add_1x4(m.numbers, {first, w.start, x.pitch, x.block, w}, part.blocks, part.is_first, sums);
    } else {
      const Two left{first, first + x.row_tile, w.start, x.pitch, x.block, w};
      Two right = left;
      right.w += HALF_GROUPS * w.group;
      add_2x2(m.numbers, left, part.blocks, part.is_first, sums);
      add_2x2(m.numbers, right, part.blocks, part.is_first, sums + SUMS / 2);
    }
    if (part.is_last) finish_rows(m, rows, result, row, panel, sums);
  }
}

}  // namespace

void multiply_tiles(const Matrix& m, const Rows& rows, const Result& result, Threads& threads) {
  const Plan plan(m, rows);
  const Activations x = activations_of(m, rows, plan, threads);
  const size_t of_panel = round_up(rows.count, 2 * TILE_ROWS) * SUMS;
  const size_t step = plan.parts > 1 ? of_panel : 0;  // sums wait for the next part, or are no longer needed
  const size_t panels_each = (m.panels + threads.count() - 1) / threads.count();
  const size_t of_thread = std::max(of_panel, step * panels_each);
  char* all_sums = room.sums.grown(of_thread * threads.count());
  threads.each(m.panels, 1, [&](int begin, int end, int thread) {
    const TilesInUse use;
    char* sums = all_sums + of_thread * thread;
    for (int number = 0; number < plan.parts; ++number)
      for (int panel = begin; panel < end; ++panel) {
        const Part part = plan.part(number);
        multiply_part(m, rows, x, weights_of(m, panel, part), part, result, panel, sums + (panel - begin) * step);
      }
  });
}

}  // namespace verto

#endif
