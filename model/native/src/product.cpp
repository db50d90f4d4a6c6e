// Rows times packed weights, in tiles of a few rows and up to 64 outputs whose sums stay in registers.
//
// See matrix.h for the order of things in memory and for what may not change a bit.
#include "finish.h"
#include "matrix.h"
#include "product_tiles.h"

namespace verto {

namespace {

inline F16 load_weights(const float* p) { return load(p); }
inline F16 load_weights(const uint16_t* p) { return load_bf16(p); }

// What is asked of memory while a tile is computed: none, 1, 2 or 4 lines of 64 bytes at every k. To which cache, and
// when (see `fetched_by`), was found by measuring; loops over a number that varies would slow the sums down.
struct Ahead {
  const char* next = nullptr;
  int lines = 0;
};

inline void prefetch_some(Ahead& ahead) {
  if (ahead.lines == 1) {
    prefetch(ahead.next), ahead.next += 64;
  } else if (ahead.lines == 4) {
    for (int line = 0; line < 4; ++line, ahead.next += 64) prefetch(ahead.next);
  } else if (ahead.lines == 2) {
    for (int line = 0; line < 2; ++line, ahead.next += 64) prefetch_far(ahead.next);
  }
}

template <int M, int V, class T>
inline void add_products(const T* weights, size_t depth, const float* rows, size_t pitch, Ahead& ahead,
                         F16 (&sums)[M][V]) {
  for (size_t k = 0; k < depth; ++k, weights += PANEL) {
    prefetch_some(ahead);
    F16 w[V];
    EACH_VECTOR w[v] = load_weights(weights + v * LANES);
    EACH_ROW {
      const F16 x = splat(rows[static_cast<size_t>(i) * pitch + k]);
      EACH_VECTOR sums[i][v] = fma(x, w[v], sums[i][v]);
    }
  }
}

template <int M, int V>
inline void add_products(const int8_t* weights, size_t depth, const uint8_t* rows, size_t pitch, Ahead& ahead,
                         Sums (&sums)[M][V]) {
  for (size_t k = 0; k < depth; k += 4, weights += PANEL * 4) {
    prefetch_some(ahead);
    EACH_ROW {
      const FourBytes x = splat_bytes(rows + static_cast<size_t>(i) * pitch + k);
      EACH_VECTOR sums[i][v] = add_products(sums[i][v], x, weights + v * LANES * 4);
    }
  }
}

// Rows `row`.. of the result, outputs of one panel. `is_one_of_many`: other tiles are written before and after.
struct Place {
  int row, panel;
  Ahead ahead;
  bool is_one_of_many;
};

// All of a tile's products. What is written to memory that no cache holds waits for it, and whatever comes behind waits
// too: so the places of the sums are asked for while the first terms are added, those of a row every few k, since
// all at once would hold up the weights. A single tile finds its places where it left them a step before.
template <int M, int V, class T, class X, class S>
inline void add_all(const T* weights, size_t depth, const X* rows, size_t pitch, const Result& result, int column,
                    const Place& place, S (&sums)[M][V]) {
  constexpr size_t FEW = sizeof(T) == 1 ? 16 : 4;
  Ahead ahead = place.ahead;
  size_t k = 0;
  if (place.is_one_of_many && depth >= M * FEW) {
    const float* out = result.out + static_cast<size_t>(place.row) * result.pitch + column;
    for (; k < M * FEW; k += FEW, out += result.pitch) {
      EACH_VECTOR prefetch(out + v * LANES);
      add_products(weights + k * PANEL, FEW, rows + k, pitch, ahead, sums);
    }
  }
  add_products(weights + k * PANEL, depth - k, rows + k, pitch, ahead, sums);
}

// One tile of M rows: the whole panel, V vectors at a time.
template <int M, int V, class T>
void float_tile(const Matrix& m, const T* weights, const Rows& rows, const Result& result, Place place) {
  const float* x = rows.floats + static_cast<size_t>(place.row) * rows.pitch;
  for (int first = 0; first < PANEL && place.panel * PANEL + first < result.columns; first += V * LANES) {
    F16 sums[M][V];
    EACH_ROW EACH_VECTOR sums[i][v] = zero();
    const int column = place.panel * PANEL + first;
    add_all(weights + first, m.depth, x, rows.pitch, result, column, place, sums);
    finish<M, V>(m, result, place.row, column, [&](int i, int v) { return sums[i][v]; });
  }
}

template <int M, int V>
void byte_tile(const Matrix& m, const int8_t* weights, const Rows& rows, const Result& result, Place place) {
  const uint8_t* x = rows.bytes + static_cast<size_t>(place.row) * rows.pitch;
  const float* row_scales = rows.scales + place.row;
  for (int first = 0; first < PANEL && place.panel * PANEL + first < result.columns; first += V * LANES) {
    Sums sums[M][V];
    EACH_ROW EACH_VECTOR sums[i][v] = no_sums();
    const int column = place.panel * PANEL + first;
    add_all(weights + static_cast<size_t>(first) * 4, m.depth, x, rows.pitch, result, column, place, sums);
    const float* scales = m.scales.data() + column;
    const int32_t* offsets = m.offsets.data() + column;
    finish<M, V>(m, result, place.row, column, [&](int i, int v) {
      return less_as_floats(sums[i][v], offsets + v * LANES) * load(scales + v * LANES) * splat(row_scales[i]);
    });
  }
}

template <int M>
inline void tile_of(const Matrix& m, const Rows& rows, const Result& result, Place place) {
  const size_t start = static_cast<size_t>(place.panel) * m.depth * PANEL;
  if (m.numbers == Numbers::int8) {
    if constexpr (M <= BYTE_ROWS) byte_tile<M, BYTE_VECTORS>(m, m.bytes.data() + start, rows, result, place);
  } else if constexpr (M <= FLOAT_ROWS) {
    if (m.numbers == Numbers::bfloat16)
      float_tile<M, FLOAT_VECTORS>(m, m.halves.data() + start, rows, result, place);
    else
      float_tile<M, FLOAT_VECTORS>(m, m.floats.data() + start, rows, result, place);
  }
  if (result.block_max != nullptr) summarise<M>(result, m.panels, place.row, place.panel);
}

void tile(const Matrix& m, const Rows& rows, const Result& result, int count, Place place) {
  switch (count) {
    case 1: return tile_of<1>(m, rows, result, place);
    case 2: return tile_of<2>(m, rows, result, place);
    case 3: return tile_of<3>(m, rows, result, place);
    case 4: return tile_of<4>(m, rows, result, place);
    case 5: return tile_of<5>(m, rows, result, place);
    default: return tile_of<6>(m, rows, result, place);
  }
}

constexpr size_t SOON = 8192;  // bytes from what is read now to what is read by the time that memory has sent it
constexpr int FEW_ROWS = 3;    // fewer read a panel as fast as the processor fetches it by itself

// Asked for while tile `number` of `tiles` is computed. The first of few fetches its own panel, just ahead of itself,
// and the last the beginning of the next panel; many fetch the whole next panel, each its share.
Ahead fetched_by(const Matrix& m, const Rows& rows, int panel, int number, int tiles) {
  const int lines = static_cast<int>(m.bytes_per_panel() / m.steps() / 64), share = (lines + tiles - 1) / tiles;
  const char *own = m.panel_start(panel), *next = own + m.bytes_per_panel();
  const bool is_last = panel + 1 == m.panels;
  if (tiles == 1) return rows.count < FEW_ROWS ? Ahead{} : Ahead{own + SOON, lines};
  if (m.numbers == Numbers::float32 && tiles <= FEW_TILES) {
    if (number == 0) return {own + SOON, lines};
    return is_last || number + 1 < tiles ? Ahead{} : Ahead{next, 1};
  }
  const size_t first = static_cast<size_t>(number) * share * m.steps() * 64;
  if (is_last || first >= m.bytes_per_panel()) return {};
  return {next + first, share};
}

// All rows of one panel, in tiles as even as can be: 8 rows are 4 and 4 rather than 6 and 2.
void panel_product(const Matrix& m, const Rows& rows, const Result& result, int panel) {
  const int most = m.numbers == Numbers::int8 ? BYTE_ROWS : FLOAT_ROWS;
  const int tiles = (rows.count + most - 1) / most;
  for (int number = 0, row = 0; number < tiles; ++number) {
    const int count = (rows.count - row + tiles - number - 1) / (tiles - number);
    tile(m, rows, result, count, {row, panel, fetched_by(m, rows, panel, number, tiles), tiles > 1});
    row += count;
  }
}

}  // namespace

void multiply(const Matrix& matrix, const Rows& rows, const Result& result, Threads& threads) {
#ifdef VERTO_TILES
  if (is_for_tiles(matrix, rows)) return multiply_tiles(matrix, rows, result, threads);
#endif
  threads.each(matrix.panels, 1, [&](int begin, int end, int) {
    for (int panel = begin; panel < end; ++panel) panel_product(matrix, rows, result, panel);
  });
}

}  // namespace verto
