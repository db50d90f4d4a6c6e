// Rows times packed weights, in tiles of a few rows and up to 64 outputs whose sums stay in registers.
// See matrix.h for the order of things in memory and for what may not change a bit.
#include "matrix.h"

namespace verto {

namespace {

F16 activate(Activation activation, F16 x) {
  switch (activation) {
    case Activation::relu: return max(zero(), x);  // x second: not-a-number passes through
    case Activation::gelu: return splat(0.5f) * x * (splat(1.0f) + erf(x * splat(0.70710678118654752f)));
    case Activation::silu: return x / (splat(1.0f) + exp(zero() - x));
    case Activation::none: break;
  }
  return x;
}

inline F16 load_weights(const float* p) { return load(p); }
inline F16 load_weights(const uint16_t* p) { return load_bf16(p); }

// Sums of M rows and V vectors of outputs. `Prefetch` bytes ahead, since a few rows wait for memory, not for
// products, and the processor's own prefetching stops at every page.
template <int M, int V, class T>
inline void add_tile(const T* weights, size_t depth, const float* rows, size_t pitch, F16 (&sums)[M][V]) {
  constexpr size_t ahead = 4096 / sizeof(T);
  for (int i = 0; i < M; ++i)
    for (int v = 0; v < V; ++v) sums[i][v] = zero();
  for (size_t k = 0; k < depth; ++k, weights += PANEL) {
    if constexpr (V == PANEL / LANES && M <= 4)
      for (size_t line = 0; line < PANEL * sizeof(T); line += 64)
        prefetch(reinterpret_cast<const char*>(weights + ahead) + line);
    F16 w[V];
    for (int v = 0; v < V; ++v) w[v] = load_weights(weights + v * LANES);
    for (int i = 0; i < M; ++i) {
      const F16 x = splat(rows[static_cast<size_t>(i) * pitch + k]);
      for (int v = 0; v < V; ++v) sums[i][v] = fma(x, w[v], sums[i][v]);
    }
  }
}

template <int M, int V>
inline void add_tile(const int8_t* weights, size_t depth, const uint8_t* rows, size_t pitch, Sums (&sums)[M][V]) {
  for (int i = 0; i < M; ++i)
    for (int v = 0; v < V; ++v) sums[i][v] = no_sums();
  for (size_t k = 0; k < depth; k += 4, weights += PANEL * 4) {
    if constexpr (V == PANEL / LANES && M <= 4)
      for (int line = 0; line < PANEL * 4; line += 64) prefetch(weights + 4096 + line);
    for (int i = 0; i < M; ++i) {
      const FourBytes x = splat_bytes(rows + static_cast<size_t>(i) * pitch + k);
      for (int v = 0; v < V; ++v) sums[i][v] = add_products(sums[i][v], x, weights + v * LANES * 4);
    }
  }
}

// Bias, activation, residual; then to memory.
inline void finish(const Matrix& m, const Result& result, F16 value, int row, int column) {
  const size_t place = static_cast<size_t>(row) * result.pitch + column;
  value = activate(result.activation, value + load(m.bias.data() + column));
  const int count = result.columns - column;
  if (count >= LANES) {
    store(result.out + place, result.residual == nullptr ? value : load(result.residual + place) + value);
  } else if (count > 0) {
    if (result.residual != nullptr) value = load_some(result.residual + place, count) + value;
    store_some(result.out + place, value, count);
  }
}

// The largest of a row's 64 values and the sum of e^(value - largest), from what was just stored.
inline void summarise(const Result& result, int panels, int row, int panel) {
  const float* values = result.out + static_cast<size_t>(row) * result.pitch + panel * PANEL;
  const int count = result.columns - panel * PANEL < PANEL ? result.columns - panel * PANEL : PANEL;
  const F16 least = splat(-3.402823466e38f);
  F16 parts[PANEL / LANES], most = least;
  for (int v = 0; v < PANEL / LANES; ++v) {
    const int left = count - v * LANES;
    if (left >= LANES) parts[v] = load(values + v * LANES);
    else parts[v] = left > 0 ? keep_first(load_some(values + v * LANES, left), left, least) : least;
    most = max(parts[v], most);
  }
  const float top = largest(most);
  F16 total = zero();
  for (int v = 0; v < PANEL / LANES; ++v) {
    const int left = count - v * LANES;
    if (left <= 0) break;
    const F16 share = exp(parts[v] - splat(top));
    total = total + (left >= LANES ? share : keep_first(share, left, zero()));
  }
  const size_t place = static_cast<size_t>(row) * panels + panel;
  result.block_max[place] = top;
  result.block_sum[place] = sum(total);
}

// One tile of M rows: the whole panel, V vectors at a time.
template <int M, int V, class T>
void float_tile(const Matrix& m, const T* weights, const Rows& rows, const Result& result, int row, int panel) {
  const float* x = rows.floats + static_cast<size_t>(row) * rows.pitch;
  for (int first = 0; first < PANEL && panel * PANEL + first < result.columns; first += V * LANES) {
    F16 sums[M][V];
    add_tile<M, V>(weights + first, m.depth, x, rows.pitch, sums);
    for (int i = 0; i < M; ++i)
      for (int v = 0; v < V; ++v) finish(m, result, sums[i][v], row + i, panel * PANEL + first + v * LANES);
  }
}

template <int M, int V>
void byte_tile(const Matrix& m, const int8_t* weights, const Rows& rows, const Result& result, int row, int panel) {
  const uint8_t* x = rows.bytes + static_cast<size_t>(row) * rows.pitch;
  for (int first = 0; first < PANEL && panel * PANEL + first < result.columns; first += V * LANES) {
    Sums sums[M][V];
    add_tile<M, V>(weights + static_cast<size_t>(first) * 4, m.depth, x, rows.pitch, sums);
    for (int v = 0; v < V; ++v) {
      const int column = panel * PANEL + first + v * LANES;
      const F16 scales = load(m.scales.data() + column);
      for (int i = 0; i < M; ++i) {
        const F16 whole = less_as_floats(sums[i][v], m.offsets.data() + column);
        finish(m, result, whole * scales * splat(rows.scales[row + i]), row + i, column);
      }
    }
  }
}

template <int M>
inline void tile_of(const Matrix& m, const Rows& rows, const Result& result, int row, int panel) {
  const size_t start = static_cast<size_t>(panel) * m.depth * PANEL;
  if (m.numbers == Numbers::int8) {
    if constexpr (M <= BYTE_ROWS) byte_tile<M, BYTE_VECTORS>(m, m.bytes.data() + start, rows, result, row, panel);
  } else if constexpr (M <= FLOAT_ROWS) {
    if (m.numbers == Numbers::bfloat16)
      float_tile<M, FLOAT_VECTORS>(m, m.halves.data() + start, rows, result, row, panel);
    else
      float_tile<M, FLOAT_VECTORS>(m, m.floats.data() + start, rows, result, row, panel);
  }
}

void tile(const Matrix& m, const Rows& rows, const Result& result, int row, int count, int panel) {
  switch (count) {
    case 1: tile_of<1>(m, rows, result, row, panel); break;
    case 2: tile_of<2>(m, rows, result, row, panel); break;
    case 3: tile_of<3>(m, rows, result, row, panel); break;
    case 4: tile_of<4>(m, rows, result, row, panel); break;
    case 5: tile_of<5>(m, rows, result, row, panel); break;
    default: tile_of<6>(m, rows, result, row, panel); break;
  }
  if (result.block_max != nullptr)
    for (int i = 0; i < count; ++i) summarise(result, m.panels, row + i, panel);
}

// All rows of one panel, in tiles as even as can be: 8 rows are 4 and 4 rather than 6 and 2.
void panel_product(const Matrix& m, const Rows& rows, const Result& result, int panel) {
  const int most = m.numbers == Numbers::int8 ? BYTE_ROWS : FLOAT_ROWS;
  const int tiles = (rows.count + most - 1) / most;
  for (int t = 0, row = 0; t < tiles; ++t) {
    const int count = (rows.count - row + tiles - t - 1) / (tiles - t);
    tile(m, rows, result, row, count, panel);
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
