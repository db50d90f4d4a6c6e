// What becomes of sums before they are stored: bias, activation, residual, and the summaries of 64 outputs.
//
// Knows: registers, `Result`. Must not know: how a sum came about.
#pragma once

#include <cmath>

#include "matrix.h"

namespace verto {

// A tile: the sums of M rows and V vectors of outputs. Loops over it are unrolled by order, since what is indexed
// by a variable lies in memory, and then compilers write every sum to memory at every k.
#define EACH_ROW _Pragma("GCC unroll 8") for (int i = 0; i < M; ++i)
#define EACH_VECTOR _Pragma("GCC unroll 4") for (int v = 0; v < V; ++v)

inline F16 activate(Activation activation, F16 x) {
  switch (activation) {
    case Activation::relu: return max(zero(), x);  // x second: not-a-number passes through
    case Activation::gelu: return splat(0.5f) * x * (splat(1.0f) + erf(x * splat(0.70710678118654752f)));
    case Activation::silu: return x / (splat(1.0f) + exp(zero() - x));
    case Activation::none: break;
  }
  return x;
}

// What the widths of vectors do not divide, and what the fast way below does not know: one value at a time.
inline void finish_one(const Result& result, F16 value, size_t row, int column) {
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
// filling of the last panel counts as -inf, whose exponential is nothing beside any other: a largest that is above
// all that is there would promise a token to who chooses (select.cpp), and there is none.
template <int M>
inline void summarise(const Result& result, int panels, int row, int panel) {
  const int count = result.columns - panel * PANEL;
  const float* values = result.out + static_cast<size_t>(row) * result.pitch + panel * PANEL;
  const F16 least = splat(-INFINITY);
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

}  // namespace verto
