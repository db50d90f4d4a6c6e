// Rows times packed weights, in tiles of a few rows and up to 64 outputs whose sums stay in registers.
//
// See matrix.h for the order of things in memory and for what may not change a bit.
#include <cmath>

#include "matrix.h"

namespace verto {

namespace {

inline F16 load_weights(const float* p) { return load(p); }
inline F16 load_weights(const uint16_t* p) { return load_bf16(p); }

// What is asked of memory while a tile is computed: some lines of 64 bytes at every k. One at a time goes well to
// the nearest cache, several better to the second (measured; so is the choice of when, see `fetched_by`).
struct Ahead {
  const char* next;
  int lines;
};

inline void prefetch_some(Ahead& ahead) {
  if (ahead.lines == 1) {
    prefetch(ahead.next), ahead.next += 64;
  } else {
    for (int line = 0; line < ahead.lines; ++line, ahead.next += 64) prefetch_far(ahead.next);
  }
}

// A tile: the sums of M rows and V vectors of outputs. Loops over it are unrolled by order, since what is indexed
// by a variable lies in memory, and then compilers write every sum to memory at every k.
#define EACH_ROW _Pragma("GCC unroll 8") for (int i = 0; i < M; ++i)
#define EACH_VECTOR _Pragma("GCC unroll 4") for (int v = 0; v < V; ++v)

template <int M, int V, class T>
inline void add_products(const T* weights, size_t depth, const float* rows, size_t pitch, Ahead ahead,
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
inline void add_products(const int8_t* weights, size_t depth, const uint8_t* rows, size_t pitch, Ahead ahead,
                         Sums (&sums)[M][V]) {
  for (size_t k = 0; k < depth; k += 4, weights += PANEL * 4) {
    prefetch_some(ahead);
    EACH_ROW {
      const FourBytes x = splat_bytes(rows + static_cast<size_t>(i) * pitch + k);
      EACH_VECTOR sums[i][v] = add_products(sums[i][v], x, weights + v * LANES * 4);
    }
  }
}

F16 activate(Activation activation, F16 x) {
  switch (activation) {
    case Activation::relu: return max(zero(), x);  // x second: not-a-number passes through
    case Activation::gelu: return splat(0.5f) * x * (splat(1.0f) + erf(x * splat(0.70710678118654752f)));
    case Activation::silu: return x / (splat(1.0f) + exp(zero() - x));
    case Activation::none: break;
  }
  return x;
}

// What the widths of vectors do not divide, and what the fast way below does not know: one value at a time.
void finish_one(const Result& result, F16 value, size_t row, int column) {
  const int count = result.columns - column;
  if (count <= 0) return;
  const size_t place = row * result.pitch + column;
  value = activate(result.activation, value);
  if (count >= LANES) {
    if (result.residual != nullptr) value = load(result.residual + place) + value;
    store(result.out + place, value);
  } else {
    if (result.residual != nullptr) value = load_some(result.residual + place, count) + value;
    store_some(result.out + place, value, count);
  }
}

// Bias, activation, residual; then to memory. `value_of(i, v)` is a sum as floats.
template <int M, int V, class Value>
inline void finish(const Matrix& m, const Result& result, int row, int column, const Value& value_of) {
  F16 bias[V];
  EACH_VECTOR bias[v] = load(m.bias.data() + column + v * LANES);
  const bool is_simple = result.activation == Activation::none || result.activation == Activation::relu;
  if (!is_simple || column + V * LANES > result.columns) {
    EACH_ROW EACH_VECTOR finish_one(result, value_of(i, v) + bias[v], row + i, column + v * LANES);
    return;
  }
  const F16 floor = splat(result.activation == Activation::relu ? 0.0f : -INFINITY);
  float* out = result.out + static_cast<size_t>(row) * result.pitch + column;
  if (result.residual == nullptr) {
    EACH_ROW EACH_VECTOR store(out + i * result.pitch + v * LANES, max(floor, value_of(i, v) + bias[v]));
  } else {
    const float* residual = result.residual + static_cast<size_t>(row) * result.pitch + column;
    EACH_ROW EACH_VECTOR {
      const F16 value = max(floor, value_of(i, v) + bias[v]);
      store(out + i * result.pitch + v * LANES, load(residual + i * result.pitch + v * LANES) + value);
    }
  }
}

// Of each of M rows the largest of 64 values and the sum of their exponentials, from what was just stored. The
// filling of the last panel counts as the least of all numbers, whose exponential is nothing beside any other.
template <int M>
inline void summarise(const Result& result, int panels, int row, int panel) {
  const int count = result.columns - panel * PANEL;
  const float* values = result.out + static_cast<size_t>(row) * result.pitch + panel * PANEL;
  const F16 least = splat(-3.402823466e38f);
  for (int i = 0; i < M; ++i, values += result.pitch) {
    F16 v[PANEL / LANES];
    for (int part = 0; part < PANEL / LANES; ++part) {
      const int left = count - part * LANES;
      if (left >= LANES) v[part] = load(values + part * LANES);
      else v[part] = left > 0 ? keep_first(load_some(values + part * LANES, left), left, least) : least;
    }
    const size_t place = static_cast<size_t>(row + i) * panels + panel;
    result.block_max[place] = largest(max(max(v[0], v[1]), max(v[2], max(v[3], least))));
    result.block_sum[place] =
        sum((exp_below_80(v[0]) + exp_below_80(v[1])) + (exp_below_80(v[2]) + exp_below_80(v[3])));
  }
}

// Rows `row`.. of the result, outputs of one panel.
struct Place {
  int row, panel;
  Ahead ahead;
};

// One tile of M rows: the whole panel, V vectors at a time.
template <int M, int V, class T>
void float_tile(const Matrix& m, const T* weights, const Rows& rows, const Result& result, Place place) {
  const float* x = rows.floats + static_cast<size_t>(place.row) * rows.pitch;
  for (int first = 0; first < PANEL && place.panel * PANEL + first < result.columns; first += V * LANES) {
    F16 sums[M][V];
    EACH_ROW EACH_VECTOR sums[i][v] = zero();
    add_products(weights + first, m.depth, x, rows.pitch, place.ahead, sums);
    finish<M, V>(m, result, place.row, place.panel * PANEL + first, [&](int i, int v) { return sums[i][v]; });
  }
}

template <int M, int V>
void byte_tile(const Matrix& m, const int8_t* weights, const Rows& rows, const Result& result, Place place) {
  const uint8_t* x = rows.bytes + static_cast<size_t>(place.row) * rows.pitch;
  const float* row_scales = rows.scales + place.row;
  for (int first = 0; first < PANEL && place.panel * PANEL + first < result.columns; first += V * LANES) {
    Sums sums[M][V];
    EACH_ROW EACH_VECTOR sums[i][v] = no_sums();
    add_products(weights + static_cast<size_t>(first) * 4, m.depth, x, rows.pitch, place.ahead, sums);
    const int column = place.panel * PANEL + first;
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

// While tile `number` of `tiles` is computed, its share of the next panel is fetched. A tile that is alone with its
// panel reads it but once, as fast as the processor fetches it by itself.
Ahead fetched_by(const Matrix& m, int panel, int number, int tiles) {
  const int lines = static_cast<int>(m.bytes_per_panel() / m.steps() / 64), share = (lines + tiles - 1) / tiles;
  const size_t first = static_cast<size_t>(number) * share * m.steps() * 64;
  if (tiles == 1 || panel + 1 == m.panels || first >= m.bytes_per_panel()) return {nullptr, 0};
  return {m.panel_start(panel + 1) + first, share};
}

// All rows of one panel, in tiles as even as can be: 8 rows are 4 and 4 rather than 6 and 2.
void panel_product(const Matrix& m, const Rows& rows, const Result& result, int panel) {
  const int most = m.numbers == Numbers::int8 ? BYTE_ROWS : FLOAT_ROWS;
  const int tiles = (rows.count + most - 1) / most;
  for (int number = 0, row = 0; number < tiles; ++number) {
    const int count = (rows.count - row + tiles - number - 1) / (tiles - number);
    tile(m, rows, result, count, {row, panel, fetched_by(m, panel, number, tiles)});
    row += count;
  }
}

}  // namespace

void multiply(const Matrix& matrix, const Rows& rows, const Result& result, Threads& threads) {
  threads.each(matrix.panels, 1, [&](int begin, int end, int) {
    for (int panel = begin; panel < end; ++panel) panel_product(matrix, rows, result, panel);
  });
}

}  // namespace verto
