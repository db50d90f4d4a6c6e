// What is done to one row of numbers: embedding, layer normalisation, quantisation, softmax.
//
// Knows: rows whose width is filled up to whole vectors with zeros. Must not know: matrices, attention.
#pragma once

#include <cmath>
#include <vector>

#include "simd.h"

namespace verto {

// Whole vectors, few of them: a call of memcpy would take longer.
inline void copy_vectors(const float* from, int width, float* to) {
  for (int i = 0; i < width; i += LANES) store(to + i, load(from + i));
}

inline int whole_vectors(int width) { return (width + LANES - 1) / LANES * LANES; }

struct Norm {
  std::vector<float> gain, shift;  // filled up with zeros, so that the filling of a row stays zero
  float epsilon = 1e-5f;
};

// (x - mean) / sqrt(variance + epsilon) * gain + shift; `out` may be `x`.
inline void normalise(const Norm& norm, const float* x, int width, float* out) {
  F16 total = zero();
  for (int i = 0; i < width; i += LANES) total = total + load(x + i);
  const float mean = sum(total) / static_cast<float>(width);
  F16 squares = zero();
  for (int i = 0; i < width; i += LANES) {
    F16 distance = load(x + i) - splat(mean);
    if (width - i < LANES) distance = keep_first(distance, width - i, zero());
    squares = fma(distance, distance, squares);
  }
  const float variance = sum(squares) / static_cast<float>(width);
  const F16 factor = splat(1.0f / std::sqrt(variance + norm.epsilon)), middle = splat(mean);
  for (int i = 0; i < width; i += LANES) {
    const F16 unit = (load(x + i) - middle) * factor;
    store(out + i, fma(unit, load(norm.gain.data() + i), load(norm.shift.data() + i)));
  }
}

// x ~ (bytes - 128) * answer, by the largest absolute value; not-a-number or infinity in a row makes its scale
// not-a-number, and so all that is computed from it. `width` is of whole vectors.
inline float quantise(const float* x, int width, uint8_t* bytes) {
  Largest most = nothing_yet();
  for (int i = 0; i < width; i += LANES) most = widen(most, load(x + i));
  float scale = value(most) / 127.0f;
  if (!(scale <= 3.402823466e38f)) scale = NAN;
  if (scale < 1e-12f) scale = 1e-12f;
  const F16 factor = splat(1.0f / scale);
  for (int i = 0; i < width; i += LANES) store_offset_bytes(bytes + i, load(x + i) * factor);
  return scale;
}

// tokens * scale + positions.
inline void embed(const float* token, float scale, const float* position, int width, float* out) {
  for (int i = 0; i < width; i += LANES) store(out + i, load(token + i) * splat(scale) + load(position + i));
}

// In place: e^(x - largest) / sum over the first `count` of a row; the rest of its last vector becomes zero.
inline void softmax(float* x, int count) {
  F16 most = splat(-3.402823466e38f);
  const int whole = count / LANES * LANES, left = count - whole;
  for (int i = 0; i < whole; i += LANES) most = max(load(x + i), most);
  if (left) most = max(keep_first(load(x + whole), left, most), most);
  const F16 top = splat(largest(most));
  F16 total = zero();
  for (int i = 0; i < count; i += LANES) {
    F16 share = exp_below_zero(load(x + i) - top);
    if (count - i < LANES) share = keep_first(share, count - i, zero());
    store(x + i, share);
    total = total + share;
  }
  const F16 factor = splat(1.0f / sum(total));
  for (int i = 0; i < count; i += LANES) store(x + i, load(x + i) * factor);
}

}  // namespace verto
