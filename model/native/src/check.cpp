// The library's check of itself. See check.h.
#include "check.h"

#include <cmath>

#include "matrix.h"
#include "rowwise.h"

namespace verto {

namespace {

constexpr int ROWS = 39, OUTPUTS = 70, INPUTS = 37, PITCH = 64;

// Numbers without a pattern that a wrong order could hide in, between -1 and 1.
float number(int index) { return static_cast<float>((index * 7919 + 104729) % 2003) / 1001.0f - 1.0f; }

bool is_right(Numbers numbers, float tolerance) {
  std::vector<float> weights(OUTPUTS * INPUTS), bias(OUTPUTS), x(ROWS * PITCH, 0.0f), out(ROWS * OUTPUTS);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = number(static_cast<int>(i));
  for (int i = 0; i < OUTPUTS; ++i) bias[i] = number(i + 11);
  for (int r = 0; r < ROWS; ++r)
    for (int k = 0; k < INPUTS; ++k) x[r * PITCH + k] = number(r * 131 + k * 17);
  std::vector<uint8_t> bytes(whole_tiles(ROWS) * PITCH);
  std::vector<float> scales(ROWS);
  for (int r = 0; r < ROWS; ++r) scales[r] = quantise(&x[r * PITCH], 48, &bytes[r * PITCH]);
  Arena arena;
  const Matrix matrix = Matrix::pack(numbers, OUTPUTS, INPUTS, weights.data(), bias.data(), arena);
  Threads alone(1);
  Result result;
  result.out = out.data(), result.pitch = result.columns = OUTPUTS;
  multiply(matrix, {ROWS, PITCH, x.data(), bytes.data(), scales.data()}, result, alone);
  for (int r = 0; r < ROWS; ++r)
    for (int n = 0; n < OUTPUTS; ++n) {
      double expected = bias[n];
      for (int k = 0; k < INPUTS; ++k) expected += static_cast<double>(x[r * PITCH + k]) * weights[n * INPUTS + k];
      if (!(std::fabs(out[r * OUTPUTS + n] - expected) < tolerance)) return false;
    }
  return true;
}

}  // namespace

int check_products() {
  if (!may_use_tiles()) return 4;
  if (!is_right(Numbers::float32, 1e-4f)) return 1;
  if (!is_right(Numbers::bfloat16, 0.05f)) return 2;
  if (!is_right(Numbers::int8, 0.15f)) return 3;
  return 0;
}

}  // namespace verto
