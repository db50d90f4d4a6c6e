// Choosing among the logits of a step: the likeliest tokens of rows, one step of plain beams.
//
// Knows: where numbers lie, as model/native/binding.py declares it. Must not know: how they are found.
// Shapes: R rows, V vocabulary, U beams, N barred pairs.
#pragma once

#include <cstdint>

namespace verto::select {

// What a step has left, of all its rows; `rows` of them, the `chosen`, are asked about (null: all).
struct StepLogits {
  float* logits;           // [all rows, V]; as it was when a call returns
  const float* log_sums;   // [all rows]
  float* block_max;        // [all rows, V / 64 rounded up]; as it was when a call returns
  const int64_t* chosen;   // [R]
  const int64_t* barred;   // [2, N]: rows (of the R) and tokens that count as -inf
  int64_t vocabulary, rows, num_barred;
};

struct BeamsIn {
  const int64_t* widths;  // [U], R together
  const double* sums;     // [R]
  int64_t beams, eos_id;
};

// See `BeamStep` in model/beam_step.py.
struct BeamsOut {
  double* numbers;  // totals, log_probs [R], best_live, highest [U], totals of the ends [R]
  int64_t* places;  // parents, tokens, beams of the ends, rows of the ends [R], the number of ends
};

// `values` and `tokens` [R, count], count at most V.
void top(const StepLogits& given, int64_t count, float* values, int64_t* tokens);
void extend_beams(const StepLogits& given, const BeamsIn& in, const BeamsOut& out);

}  // namespace verto::select
