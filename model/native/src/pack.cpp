// Weights into panels, once, at load. See matrix.h.
//
// The int8 formulas are those of model/int8.py.
#include <cmath>

#include "matrix.h"

namespace verto {

namespace {

constexpr float LARGEST = 127.0f;
constexpr float SMALLEST_SCALE = 1e-12f;

// To the nearest bfloat16, half to even; not-a-number stays so.
uint16_t to_bf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

// A weight that is no number makes the scale none, and so every answer of this output.
float scale_of(const float* row, int count) {
  float most = 0.0f;
  for (int k = 0; k < count; ++k) {
    if (!std::isfinite(row[k])) return NAN;
    most = std::fabs(row[k]) > most ? std::fabs(row[k]) : most;
  }
  return most / LARGEST < SMALLEST_SCALE ? SMALLEST_SCALE : most / LARGEST;
}

void pack_int8(Matrix& m, const float* weights, Arena& arena) {
  m.bytes = Memory<int8_t>(static_cast<size_t>(m.panels) * m.depth * PANEL, arena);
  m.scales.assign(static_cast<size_t>(m.panels) * PANEL, 0.0f);
  m.offsets.assign(static_cast<size_t>(m.panels) * PANEL, 0);
  for (int n = 0; n < m.outputs; ++n) {
    const float* row = weights + static_cast<size_t>(n) * m.inputs;
    const float scale = scale_of(row, m.inputs);
    int8_t* panel = m.bytes.data() + static_cast<size_t>(n / PANEL) * m.depth * PANEL;
    int32_t sum = 0;
    for (int k = 0; k < m.inputs; ++k) {
      const float quantised = std::nearbyint(row[k] / scale);
      const auto value = static_cast<int8_t>(std::fabs(quantised) <= LARGEST ? quantised : 0.0f);
      panel[static_cast<size_t>(k / 4) * PANEL * 4 + (n % PANEL) * 4 + k % 4] = value;
      sum += value;
    }
    m.scales[n] = scale;
    m.offsets[n] = 128 * sum;
  }
}

// `side_by_side`: so many terms of an output are next to each other.
template <class T, class Convert>
void pack_columns(Matrix& m, T* out, const float* weights, int side_by_side, Convert convert) {
  for (int n = 0; n < m.outputs; ++n) {
    T* panel = out + static_cast<size_t>(n / PANEL) * m.depth * PANEL + n % PANEL * side_by_side;
    const float* row = weights + static_cast<size_t>(n) * m.inputs;
    for (int k = 0; k < m.inputs; ++k)
      panel[static_cast<size_t>(k / side_by_side) * side_by_side * PANEL + k % side_by_side] = convert(row[k]);
  }
}

}  // namespace

Matrix Matrix::pack(Numbers numbers, int outputs, int inputs, const float* weights, const float* bias,
                    Arena& arena) {
  Matrix m;
  m.numbers = numbers, m.outputs = outputs, m.inputs = inputs;
  m.panels = (outputs + PANEL - 1) / PANEL;
  m.depth = round_up(inputs, terms_together(numbers));
  m.bias.assign(static_cast<size_t>(m.panels) * PANEL, 0.0f);
  if (bias != nullptr) std::memcpy(m.bias.data(), bias, sizeof(float) * static_cast<size_t>(outputs));
  const size_t size = static_cast<size_t>(m.panels) * m.depth * PANEL;
  if (numbers == Numbers::int8) {
    pack_int8(m, weights, arena);
  } else if (numbers == Numbers::bfloat16) {
    m.halves = Memory<uint16_t>(size, arena);
    pack_columns(m, m.halves.data(), weights, HALVES_TOGETHER, to_bf16);
  } else {
    m.floats = Memory<float>(size, arena);
    pack_columns(m, m.floats.data(), weights, 1, [](float value) { return value; });
  }
  return m;
}

}  // namespace verto
